//! The request path, one step after the other.
//!
//! Each step takes what the one before made, so that none can be left out or moved. From the
//! moment a request is bound to a release, whatever happens to it ends in one record; the client
//! sees the end of its answer only after that record is written.

mod client;
mod mirror;
mod output;
pub mod passages;
mod settings;
mod trail;
mod trial;

use std::sync::Arc;

use futures::stream::Fuse;
use futures::{FutureExt, StreamExt};
use http::HeaderMap;
use models::{
    Bound as BoundProvider, Call, ChatRequest, ClientSystemMessage, Dialect, EmbedRequest,
    Embeddings, Event, EventStream, FinishReason, Message, Passage, ProviderError, RequestField,
    Role, Sampling,
};
use monitoring::{AnswerRecord, Aside, TraceId};
use prompts::PassageView;
use release::{AppName, Binding, Caller, EnvironmentName, PrincipalId, TenantId, Unit};
use security::guardrails::{Hit, RuleAction};
use security::{Action, Resource, authorize};
use tracing::Instrument;

pub use client::{Client, Out, Responding};
pub use mirror::Copies;
pub use settings::Settings;
pub use trail::Trail;
pub use trial::{Asked, KnownVector, Trial, Tried};

use output::Output;

use crate::dialect::{Parsed, arrived};
use crate::{Gateway, GatewayError, Loaded};

/// How many events go to the client together at most.
const TOGETHER: usize = 64;

/// A request as its dialect understood it, with the key it came with.
pub struct Arrived {
    /// The key, if there was one.
    pub key: Option<String>,
    /// The tenant that a principal of the whole installation means.
    pub tenant: Option<TenantId>,
    /// What the client calls `model`: `app` or `app@environment`.
    pub target: String,
    /// What the client says the request belongs to.
    pub session: Option<String>,
    /// The request's headers, for routes.
    pub headers: HeaderMap,
    /// The conversation.
    pub request: ChatRequest,
    /// The request fields that the client set itself.
    pub set: Vec<(RequestField, String)>,
}

/// A request that may be made.
pub struct Admitted {
    principal: PrincipalId,
    tenant: TenantId,
    app: AppName,
    environment: EnvironmentName,
    arrived: Arrived,
}

/// A request that is bound to a release, to its end.
pub struct Bound {
    /// The request's trace.
    pub trace: TraceId,
    /// Who asks.
    pub principal: PrincipalId,
    /// Why nobody waits for the answer, if nobody does.
    pub aside: Option<Aside>,
    /// Why the copy of it that the plan wanted is not made.
    pub copy_dropped: Option<&'static str>,
    /// Whose app.
    pub tenant: TenantId,
    /// The app.
    pub app: AppName,
    /// To what it is bound.
    pub binding: Binding,
    /// The release.
    pub loaded: Arc<Loaded>,
    /// The conversation.
    pub request: ChatRequest,
    /// The request fields that the client set itself.
    pub set: Vec<(RequestField, String)>,
    /// The question's vector, where it was made before.
    pub vector: Option<KnownVector>,
}

/// A request with the passages that ground it.
struct Grounded {
    bound: Bound,
    passages: Arc<[Passage]>,
}

/// A request as the model will see it.
struct Composed {
    tenant: TenantId,
    environment: EnvironmentName,
    loaded: Arc<Loaded>,
    call: Call,
}

/// A request that the guardrails let through.
struct Cleared(Composed);

/// Answers one request and records it. Runs in a task of its own: a client that hangs up loses its
/// answer, not the record of it.
pub async fn answer(gateway: Arc<Gateway>, arrived: Arrived, client: Client) {
    let bound = admit(&gateway, arrived).and_then(|admitted| bind(&gateway, admitted));
    let mut bound = match bound {
        Ok(bound) => bound,
        // Bound to no release, it has no record: nothing was answered.
        Err(error) => return client.fail(error).await,
    };
    mirror::mirror(&gateway, &mut bound);
    answer_bound(&gateway, bound, client).await;
}

/// Answers a request that is bound to a release, records it, and gives the record, with what
/// grounded the answer.
async fn answer_bound(
    gateway: &Gateway,
    bound: Bound,
    mut client: Client,
) -> (AnswerRecord, Arc<[Passage]>) {
    let mut trail = Trail::begin(gateway, &bound);
    client.bound(trail.trace(), bound.binding.release);
    let span =
        tracing::info_span!("answer", request = %trail.trace(), release = %bound.binding.release);
    let result = respond(gateway, bound, &mut trail, &mut client).instrument(span).await;
    trail.settle(gateway, result.as_ref());
    let (record, passages) = trail.into_record();
    let recorded = gateway.parts.traces.append(&record).await;
    match (recorded, result) {
        (Err(error), _) => client.fail(GatewayError::Unrecorded(error)).await,
        (Ok(_), Err(error)) => client.fail(error).await,
        (Ok(_), Ok(finish)) => client.finish(finish).await,
    }
    (record, passages)
}

async fn respond(
    gateway: &Gateway,
    bound: Bound,
    trail: &mut Trail,
    client: &mut Client,
) -> Result<FinishReason, GatewayError> {
    overrides(&bound)?;
    let grounded = ground(gateway, bound, trail).await?;
    let composed = compose(grounded, trail)?;
    let cleared = screen(composed, trail)?;
    let begin = trail.now();
    let generated = generate(gateway, cleared, trail, client).await;
    trail.step("generate", begin);
    generated
}

/// What a client sets itself must be what the app lets it set.
fn overrides(bound: &Bound) -> Result<(), GatewayError> {
    let allowed = &bound.loaded.config.overridable;
    match bound.set.iter().find(|(field, _)| !allowed.contains(field)) {
        Some((_, name)) => Err(GatewayError::NotOverridable(name.clone())),
        None => Ok(()),
    }
}

/// Who asks, and for what: a valid key, the right to ask this tenant's apps, and room for the record.
fn admit(gateway: &Gateway, arrived: Arrived) -> Result<Admitted, GatewayError> {
    let key = arrived.key.as_deref().ok_or(GatewayError::Unauthorized)?;
    let identity = gateway.parts.keys.authenticate(key).map_err(|_| GatewayError::Unauthorized)?;
    let tenant = identity.tenant.clone().or_else(|| arrived.tenant.clone());
    let tenant = tenant.unwrap_or(TenantId::DEFAULT);
    authorize(&identity, Action::Answer, Resource::Tenant(&tenant))?;
    gateway.parts.traces.admits().map_err(GatewayError::Unrecorded)?;
    let (app, environment) = match arrived.target.split_once('@') {
        Some((app, environment)) => (app, Some(environment)),
        None => (arrived.target.as_str(), None),
    };
    let unknown = |error: release::InvalidName| GatewayError::bad("model", error.to_string());
    let app = app.parse().map_err(unknown)?;
    let environment = match environment {
        Some(environment) => environment.parse().map_err(unknown)?,
        None => gateway.parts.environment.clone(),
    };
    let principal = identity.principal.clone();
    Ok(Admitted { principal, tenant, app, environment, arrived })
}

/// To one release, kept to the end.
fn bind(gateway: &Gateway, admitted: Admitted) -> Result<Bound, GatewayError> {
    let Admitted { principal, tenant, app, environment, arrived } = admitted;
    let live = Arc::clone(&gateway.parts.live.borrow());
    let trace = (gateway.parts.trace_ids)();
    let unit = match arrived.session {
        Some(session) => Unit::Stuck(session),
        None => Unit::Unstuck(trace.to_string()),
    };
    let header = |name: &str| arrived.headers.get(name)?.to_str().ok();
    let caller = Caller { tenant: &tenant, unit, header: &header };
    let binding = live.table.bind(&app, &environment, caller)?;
    let release = binding.release;
    let loaded = live.release(&tenant, release);
    let loaded = loaded.map_err(|why| GatewayError::NotLoaded { release, why })?;
    let (request, set) = (arrived.request, arrived.set);
    let (aside, copy_dropped, vector) = (None, None, None);
    let bound = Bound {
        trace,
        principal,
        aside,
        copy_dropped,
        tenant,
        app,
        binding,
        loaded,
        request,
        set,
        vector,
    };
    Ok(bound)
}

/// With the passages that fit the question, from the snapshot the release pins.
async fn ground(
    gateway: &Gateway,
    bound: Bound,
    trail: &mut Trail,
) -> Result<Grounded, GatewayError> {
    let Some(snapshot) = bound.loaded.snapshot.clone() else {
        return Ok(Grounded { bound, passages: Arc::new([]) });
    };
    let begin = trail.now();
    let question = bound.request.question().unwrap_or_default();
    let limit = bound.loaded.config.top_k as usize;
    let (digest, manifest) = (snapshot.digest, &snapshot.manifest);
    let shown = match (&bound.loaded.reranker, &manifest.retrieval.rerank) {
        (Some(_), Some(spec)) => limit.max(spec.candidates as usize),
        _ => limit,
    };
    let mut ask = snapshot.ask(&question, shown);
    if let (Some(embedder), Some(entry)) = (&bound.loaded.embedder, &manifest.embedding)
        && ask.needs_vector()
    {
        let by = (embedder.as_ref(), &entry.spec);
        let known = bound.vector.as_ref().filter(|known| known.embedder == entry.identity);
        ask.vector = Some(match known {
            Some(known) => Arc::clone(&known.values),
            None => {
                let made = gateway.questions.get(&bound.tenant, by, &question).await?;
                trail.step("embed", begin);
                made
            }
        });
    }
    let vector = ask.vector.clone();
    let mut found = {
        // Retrieval takes CPU time: on threads made for that, and only a few at once. Copies wait for
        // one another, and no client for a copy. The semaphores are never closed.
        let permits = match bound.aside {
            Some(Aside::CopyOf(_)) => &gateway.copied_retrievals,
            _ => &gateway.retrievals,
        };
        let _permit = permits.acquire().await;
        let work = tokio::task::spawn_blocking(move || snapshot.retrieve(&ask));
        work.await.map_err(|_| knowledge::KnowledgeError::Stopped)??
    };
    if let Some(reranker) = &bound.loaded.reranker {
        let begin = trail.now();
        knowledge::rerank(&mut found, reranker.as_ref(), &question, limit).await;
        trail.step("rerank", begin);
    }
    trail.retrieved(digest, &found, vector.as_deref());
    let most = bound.loaded.config.max_passage_tokens;
    let passages: Arc<[Passage]> = passages::given(found.passages, most).into();
    trail.grounded_on(&passages);
    trail.step("ground", begin);
    Ok(Grounded { bound, passages })
}

/// Into what the model will see: the rendered prompt as the system message, then the client's.
fn compose(grounded: Grounded, trail: &mut Trail) -> Result<Composed, GatewayError> {
    let begin = trail.now();
    let Grounded { bound, passages } = grounded;
    let Bound { tenant, binding, loaded, mut request, .. } = bound;
    let forbidden = loaded.config.client_system_message == ClientSystemMessage::Forbid;
    if forbidden && request.messages.iter().any(|message| message.role == Role::System) {
        return Err(GatewayError::NotOverridable("system message".to_owned()));
    }
    let views = passages.iter().enumerate().map(|(index, passage)| PassageView {
        number: index + 1,
        id: &passage.id,
        title: &passage.title,
        text: &passage.text,
        source: &passage.source,
    });
    let views: Vec<_> = views.collect();
    let system = loaded.prompt.render(&request.metadata, &views)?;
    request.messages.insert(0, Message::text_of(Role::System, system));
    // A client's setting beats the model artifact's, which beats the prompt author's hint.
    let hints = &loaded.prompt.front().model;
    let hints = Sampling {
        temperature: hints.temperature,
        max_tokens: hints.max_tokens,
        ..Sampling::default()
    };
    let settings = hints.overridden_by(&loaded.model.parameters.sampling());
    request.sampling = settings.overridden_by(&request.sampling);
    trail.step("compose", begin);
    let call = Call { model: Arc::clone(&loaded.model), request, passages };
    Ok(Composed { tenant, environment: binding.environment, loaded, call })
}

/// Past the guardrails for input: they see what the client sent, not what we added.
fn screen(composed: Composed, trail: &mut Trail) -> Result<Cleared, GatewayError> {
    let begin = trail.now();
    let said = composed.call.request.messages.iter().skip(1).map(Message::said);
    let text = said.collect::<Vec<_>>().join("\n");
    let hits = composed.loaded.guardrails.input(&text);
    trail.step("screen", begin);
    passed(hits, trail)?;
    Ok(Cleared(composed))
}

/// Notes what the guardrails found in the input; a rule that blocks ends the request.
fn passed(hits: Vec<Hit>, trail: &mut Trail) -> Result<(), GatewayError> {
    trail.findings("input", &hits);
    match hits.into_iter().find(|hit| hit.action == RuleAction::Block) {
        Some(Hit { rule, message, .. }) => Err(GatewayError::Blocked { rule, message }),
        None => Ok(()),
    }
}

/// Through the model, past the guardrails for output, to the client as it is made. The end is held
/// back until the record is written.
async fn generate(
    gateway: &Gateway,
    cleared: Cleared,
    trail: &mut Trail,
    client: &mut Client,
) -> Result<FinishReason, GatewayError> {
    let Composed { tenant, environment, loaded, call } = cleared.0;
    let provider = loaded.model.provider.as_str();
    let BoundProvider { provider: target, binding } =
        gateway.parts.providers.resolve(&tenant, &environment, provider)?;
    trail.called(&loaded.model, *binding);
    let mut events = tokio::select! {
        begun = target.chat(call) => begun?.fuse(),
        () = client.gone() => return Err(GatewayError::HungUp),
    };
    let mut output = Output::new(&loaded.guardrails);
    let mut finish = None;
    while finish.is_none() {
        let piece = tokio::select! {
            piece = together(&mut events) => piece,
            () = client.gone() => return Err(GatewayError::HungUp),
        };
        if piece.is_empty() {
            break;
        }
        let mut passed = Vec::with_capacity(piece.len());
        let mut broken = None;
        for event in piece {
            match event {
                Ok(event) => {
                    trail.event(&event);
                    output.pass(event, trail, &mut passed);
                }
                Err(error) => broken = Some(error),
            }
        }
        let end = passed.iter().position(|event| matches!(event, Event::Finished(_)));
        if let Some(Event::Finished(reason)) = end.and_then(|end| passed.drain(end..).next()) {
            finish = Some(reason);
        }
        if !passed.is_empty() {
            client.send(passed).await?;
        }
        if let Some(error) = broken.filter(|_| finish.is_none()) {
            return Err(error.into());
        }
    }
    finish.ok_or_else(|| ProviderError::Truncated { provider: provider.to_owned() }.into())
}

/// The next events, and those that arrive with them: sent on together they cost one write. Nothing
/// is waited for, others only get their turn; none if the stream is over.
async fn together(events: &mut Fuse<EventStream>) -> Vec<Result<Event, ProviderError>> {
    let mut piece: Vec<_> = events.next().await.into_iter().collect();
    let mut before = 0;
    while piece.len() > before && piece.len() < TOGETHER {
        before = piece.len();
        tokio::task::yield_now().await;
        while let Some(Some(event)) = events.next().now_or_never() {
            piece.push(event);
        }
    }
    piece
}

/// Vectors by the app's model: admitted, bound, screened and recorded like an answer, and like one
/// run in a task of its own, until `gone` resolves: then nobody waits for it any more. What it was
/// bound to is told even where there are no vectors.
pub async fn embed(
    gateway: &Gateway,
    headers: HeaderMap,
    (target, session): (String, Option<String>),
    (wanted, gone): (EmbedRequest, impl Future),
) -> (Option<Responding>, Result<Embeddings, GatewayError>) {
    let mut request = ChatRequest::new(Dialect::OpenAi);
    request.messages = wanted.input.iter().map(|text| Message::text_of(Role::User, text)).collect();
    let parsed = Parsed { target, session, request, set: Vec::new(), include_usage: false };
    let bound = arrived(parsed, headers)
        .and_then(|arrived| admit(gateway, arrived))
        .and_then(|admitted| bind(gateway, admitted));
    let bound = match bound {
        Ok(bound) => bound,
        Err(error) => return (None, Err(error)),
    };
    let mut trail = Trail::begin(gateway, &bound);
    let responding = Responding { trace: trail.trace(), release: bound.binding.release };
    let result = tokio::select! {
        result = vectors(gateway, bound, wanted, &mut trail) => result,
        _ = gone => Err(GatewayError::HungUp),
    };
    trail.settle(gateway, result.as_ref().map(|_| &FinishReason::Stop));
    let recorded = gateway.parts.traces.append(&trail.into_record().0).await;
    let result = recorded.map_err(GatewayError::Unrecorded).and(result);
    (Some(responding), result)
}

async fn vectors(
    gateway: &Gateway,
    bound: Bound,
    wanted: EmbedRequest,
    trail: &mut Trail,
) -> Result<Embeddings, GatewayError> {
    let (environment, model) = (&bound.binding.environment, &bound.loaded.model);
    let refused = bound.loaded.guardrails.input(&wanted.input.join("\n"));
    passed(refused, trail)?;
    let begin = trail.now();
    let provider = model.provider.as_str();
    let target = gateway.parts.providers.resolve(&bound.tenant, environment, provider)?;
    trail.called(model, target.binding);
    let embeddings = target.provider.embed(model, wanted).await?;
    trail.event(&Event::Usage(embeddings.usage));
    trail.step("embed", begin);
    Ok(embeddings)
}
