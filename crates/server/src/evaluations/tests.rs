//! Runs of suites, with real parts: a project, its releases, the request path, and providers that
//! speak HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use delivery::{Refresh, TenantDelivery, Upload};
use evaluation::online::Step;
use evaluation::run::{Run, Verdict};
use gateway::{Limits, LiveReleases, Parts};
use knowledge::source::Put;
use knowledge::{Extractor, Metadata, NoModels, NoSteps, Offered, Watch, Workshop};
use models::{ProviderBinding, ProviderEntry, ProviderKind, Timers, TokenLimitField};
use monitoring::query::QueryLimits;
use monitoring::tables::TablesOptions;
use monitoring::{
    AnswerRecord, LogOptions, Telemetry, TelemetryLog, TelemetryParts, TraceId, answers, receive,
};
use release::{PrincipalId, RoutingTable, Secret, TenantId};
use security::KeyRing;
use store::{Blobs, Files, Store};
use tempfile::TempDir;
use testkit::model_server::{ModelServer, Script};
use workflow::definition::Resource;

use super::*;
use crate::clock::SystemClock;
use crate::{online, outside};

const POLICY: &str = "# Returns\n\nYou have 30 days from delivery to return a helmet.\n\n\
    # Labels\n\nA return label costs 4.90 euros.\n";

/// A project with an app over `model`, and a suite.
struct Bed {
    _home: TempDir,
    task: EvaluateTask,
    delivery: TenantDelivery,
    log: TelemetryLog,
    provider: ModelServer,
}

impl Bed {
    async fn new(model: &str, suite: &str, cases: &[Value]) -> Self {
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let home = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let provider = ModelServer::start(Script::default()).await.unwrap();
        let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
        let key = Secret::new("key");
        let blobs = Blobs::disk(home.path().join("blobs")).with_key(&key);
        let pushed = Some((store.clone(), blobs.clone()));
        let offered = Arc::new(Offered { pushed, ..Offered::default() });
        let extractor = Extractor::new("no-program".into(), knowledge::Limits::default());
        let workshop = Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) });
        let kept = (store.clone(), blobs.clone());
        let all = Delivery::new(kept, offered, workshop, Arc::clone(&clock));
        let delivery = all.tenant(&TenantId::DEFAULT, ada());
        let telemetry = Telemetry::open(TelemetryParts {
            directory: home.path().join("log"),
            store: store.system(),
            files: Files::disk(home.path().join("tables")),
            clock: Arc::clone(&clock),
            followers: Vec::new(),
            drawn: 1,
            log: LogOptions::default(),
            tables: TablesOptions::default(),
            limits: QueryLimits::default(),
        });
        let Telemetry { log, queries, .. } = telemetry.await.unwrap();
        let live =
            LiveReleases::new(blobs, tokio::sync::watch::channel(Arc::new(RoutingTable::at(0))).1);
        let providers = Arc::new(providers(&provider));
        let prices = PriceBook::new(Vec::new());
        let gateway = Gateway::new(Parts {
            keys: Arc::new(KeyRing::open(store, Arc::clone(&clock), &key).await.unwrap()),
            live: live.watch(),
            providers: Arc::clone(&providers),
            prices: prices.clone(),
            traces: log.clone(),
            clock: Arc::clone(&clock),
            trace_ids: Box::new(|| TraceId::from_bytes(uuid::Uuid::new_v4().into_bytes())),
            environment: "prod".parse().unwrap(),
            limits: Limits::default(),
        });
        let http = || outside::client().unwrap();
        let task = EvaluateTask(Arc::new(Evaluations {
            delivery: all,
            gateway,
            loader: live.loader(),
            providers,
            prices,
            models: Arc::new(NoModels),
            functions: Arc::new(Functions::new(BTreeMap::new(), http())),
            connections: Arc::new(Connections::new(BTreeMap::new(), http())),
            queries,
            clock,
        }));
        let bed = Self { _home: home, task, delivery, log, provider };
        bed.apply(model, suite, cases).await;
        bed
    }

    async fn apply(&self, model: &str, suite: &str, cases: &[Value]) {
        let cases: String = cases.iter().map(|case| format!("{case}\n")).collect();
        let app = "[slots]\nmodel = \"m\"\nprompt = \"p\"\nknowledge = \"k\"\nguardrails = \"g\"\n\
            [delivery]\nenter = \"manual\"\n";
        let guardrails = "[[rules]]\nname = \"cards\"\nkind = \"pii\"\naction = \"block\"\n\
            on = [\"input\"]\nentities = [\"credit_card\"]\nmessage = \"No cards, please.\"\n";
        let files = [
            ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
            ("apps/support.toml", app),
            ("models/m.toml", model),
            ("models/judge.toml", "provider = \"up\"\nmodel = \"scripted\"\n"),
            ("prompts/p.md", "Be kind.\n"),
            ("guardrails/g.toml", guardrails),
            ("knowledge/k.toml", "[[sources]]\nkind = \"push\"\n"),
            ("evals/returns.toml", suite),
            ("evals/returns.jsonl", &cases),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        self.delivery.apply(&Upload { files: files.into(), ..Upload::default() }).await.unwrap();
        let put = Put {
            path: "returns.md".to_owned(),
            bytes: POLICY.into(),
            media_type: None,
            modified_at: None,
            metadata: Metadata::new(),
        };
        let knowledge: release::ArtifactName = "k".parse().unwrap();
        self.delivery.put_document(&knowledge, put).await.unwrap();
        let wish = Refresh { knowledge, sources: Default::default(), approved: false };
        self.delivery.refresh(&wish, &Arc::new(Watch::default())).await.unwrap();
    }

    async fn run(&self, key: &str) -> (delivery::EvaluationRecord, Run) {
        let told = self.task.run(call(key)).await.unwrap();
        let record: delivery::EvaluationRecord = serde_json::from_value(told).unwrap();
        let run = self.delivery.evaluation_run(&record).await.unwrap();
        (record, run)
    }

    /// The spans of answers as a whole.
    fn answers(&self) -> Vec<monitoring::rows::Span> {
        let frames = self.log.cursor(0).next(self.log.last()).unwrap();
        let spans = frames
            .into_iter()
            .flat_map(|frame| receive::decode(frame.signal, &frame.otlp, frame.received_at).spans);
        spans.filter(|span| span.name == "answer").collect()
    }
}

fn ada() -> PrincipalId {
    PrincipalId::user("ada").unwrap()
}

fn call(key: &str) -> TaskCall {
    TaskCall {
        tenant: TenantId::DEFAULT,
        actor: ada(),
        by_hand: true,
        since: SystemClock.now(),
        key: key.to_owned(),
        resource: Resource::parse("arn:aws:states:::lambda:invoke").unwrap(),
        input: json!({"suite": "returns", "app": "support"}),
        token: None,
        submitted: None,
        progress: workflow::engine::Progress::default(),
    }
}

fn providers(server: &ModelServer) -> Providers {
    let binding = ProviderBinding {
        kind: ProviderKind::Openai,
        endpoint: server.openai_url(),
        region: None,
        credential: Some(Secret::new("upstream-key")),
        timers: Timers::default(),
        token_limit_field: TokenLimitField::default(),
    };
    let (tenants, environments) = (vec![TenantId::DEFAULT], BTreeMap::new());
    let entry = ProviderEntry { tenants, default: binding, environments };
    Providers::new(BTreeMap::from([("up".to_owned(), entry)])).unwrap()
}

const EXTRACTIVE: &str = "provider = \"extractive\"\nmodel = \"extractive-1\"\n";

fn upstream(model: &str) -> String {
    format!("provider = \"up\"\nmodel = \"{model}\"\n")
}

fn cases(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({"id": number.to_string(), "input": "How long?"})).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_not_live_is_asked_through_the_request_path_and_is_no_traffic() {
    let suite = "cases = \"returns.jsonl\"\n\
        [scorers.found]\nmeasure = { kind = \"retrieval\", figure = \"recall\" }\nat_least = 1.0\n\
        [scorers.grounded]\nmeasure = { kind = \"grounded\" }\nat_least = 0.6\n\
        [scorers.cited]\nmeasure = { kind = \"citations\" }\n\
        [scorers.refused]\nmeasure = { kind = \"refusal\" }\n\
        [scorers.private]\nmeasure = { kind = \"personal_data\" }\n\
        [scorers.quick]\nmeasure = { kind = \"latency\" }\nat_most = 60.0\n";
    let bed = Bed::new(
        EXTRACTIVE,
        suite,
        &[
            json!({"id": "window", "input": "How many days do I have to return a helmet?",
                "relevant": ["returns.md"]}),
            json!({"id": "label", "input": [{"role": "user", "content": "What does a return label cost?"}]}),
            json!({"id": "card", "input": "My card is 4111 1111 1111 1111", "refuse": true}),
        ],
    )
    .await;
    let (record, run) = bed.run("one").await;
    assert_eq!(record.verdict, Verdict::Passed, "{:#?}", record.scorers);
    assert_eq!((record.done, record.unanswered), (3, 0));
    let answer = run.results[0].answered.answer().unwrap();
    assert!(answer.text.contains("30 days from delivery"), "{}", answer.text);
    assert_eq!(answer.passages[0].document, "returns.md");
    assert!(answer.passages[0].score.is_some());
    let card = run.results[2].answered.answer().unwrap();
    assert_eq!((card.text.as_str(), card.refused), ("No cards, please.", true));

    let answers = bed.answers();
    assert_eq!(answers.len(), 3);
    for span in &answers {
        let attribute = |name: &str| span.attributes.iter().find(|(known, _)| known == name);
        assert_eq!(attribute("groundcrew.evaluation").unwrap().1, record.plan.id);
        assert_eq!(attribute("groundcrew.plan"), None);
        assert_eq!((span.arm.as_str(), span.origin.environment.as_str()), ("", "prod"));
        assert_eq!(span.origin.release, record.plan.release.to_string());
    }
    // Told again after a crash, it is the same run, and nobody is asked.
    assert_eq!(bed.run("one").await.0, record);
    assert_eq!(bed.answers().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_had_is_an_error_and_the_run_goes_on() {
    let suite = "cases = \"returns.jsonl\"\nconcurrency = 1\n\
        [scorers.refused]\nmeasure = { kind = \"refusal\" }\n";
    let bed = Bed::new(&upstream("fault-s03"), suite, &cases(3)).await;
    let (record, run) = bed.run("one").await;
    assert_eq!((record.verdict, record.done, record.unanswered), (Verdict::Error, 3, 1));
    assert!(run.results[1].answered.answer().unwrap().text.starts_with("Every release pins"));
    let outcomes: Vec<_> = bed.answers().iter().map(|span| span.outcome.clone()).collect();
    assert_eq!(outcomes, ["failed", "answered", "answered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_gone_stops_the_run() {
    let suite = "cases = \"returns.jsonl\"\nconcurrency = 1\nerrors_in_a_row = 2\n\
        [scorers.refused]\nmeasure = { kind = \"refusal\" }\n";
    let bed = Bed::new(&upstream("fault-s04"), suite, &cases(9)).await;
    let (record, _) = bed.run("one").await;
    assert_eq!((record.verdict, record.done, record.planned), (Verdict::Partial, 2, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_judge_says_that_is_no_mark_is_an_error_and_it_may_not_decide() {
    let suite = "cases = \"returns.jsonl\"\nconcurrency = 1\n[judge]\nmodel = \"judge\"\n\
        [scorers.polite]\n\
        measure = { kind = \"criteria\", criteria = \"It is polite.\", steps = [\"Read it.\"] }\n\
        [scorers.refused]\nmeasure = { kind = \"refusal\" }\n";
    let bed = Bed::new(&upstream("echo"), suite, &cases(2)).await;
    let (record, run) = bed.run("one").await;
    let polite = &record.scorers["polite"];
    assert_eq!((polite.n, polite.errors), (0, 2), "{:?}", run.results[0].scores);
    assert!(polite.advisory.as_ref().unwrap().contains("labelled 0 answers of 50"));
    assert_eq!(record.verdict, Verdict::Passed);
    let judge = run.judge.unwrap();
    assert!(judge.model.starts_with("judge (scripted of up)"), "{}", judge.model);
    let asked: Vec<_> = bed
        .provider
        .requests()
        .into_iter()
        .filter(|it| it.model.as_deref() == Some("scripted"))
        .collect();
    assert!(!asked.is_empty());
    assert_eq!(asked[0].body["temperature"], 0.0);
    assert_eq!(asked[0].body["top_logprobs"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_missing_is_told_before_anything_is_paid_for() {
    let suite = "cases = \"returns.jsonl\"\n[embedder]\nmodel = \"mini\"\n\
        [scorers.alike]\nmeasure = { kind = \"similarity\" }\n";
    let bed = Bed::new(EXTRACTIVE, suite, &cases(1)).await;
    let fault = bed.task.run(call("one")).await.unwrap_err();
    assert_eq!(fault.error.as_deref(), Some("Groundcrew.BadInput"));
    assert!(fault.cause.unwrap().starts_with("the embedder: "));
    assert!(bed.answers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_scored_and_paid_for_once_and_an_error_is_no_score() {
    let suite = "cases = \"returns.jsonl\"\n[judge]\nmodel = \"judge\"\n\
        [online]\napp = \"support\"\nenvironment = \"prod\"\n\
        [scorers.polite]\n\
        measure = { kind = \"criteria\", criteria = \"It is polite.\", steps = [\"Read it.\"] }\n\
        [scorers.words]\nmeasure = { kind = \"length\" }\n\
        [scorers.refused]\nmeasure = { kind = \"refusal\" }\n";
    let bed = Bed::new(EXTRACTIVE, suite, &cases(1)).await;
    let (evaluations, tenant) = (&bed.task.0, TenantId::DEFAULT);
    let receiver = receive::Receiver::new(bed.log.clone(), Arc::clone(&evaluations.clock));
    let saved = bed.delivery.suites().await.unwrap().remove("p").unwrap().remove(0);
    let pass = async || {
        let now = evaluations.clock.now();
        online::tenant_pass(evaluations, &receiver, &tenant, now).await.unwrap();
        bed.delivery.online_scores(("p", &saved), now).await.unwrap().unwrap().0
    };
    let asked = || {
        let judge = |model: Option<&str>| model == Some("scripted");
        bed.provider.requests().iter().filter(|it| judge(it.model.as_deref())).count()
    };
    let scores = async |trace| {
        let scores = answers::scores(&evaluations.queries, &tenant, trace).await.unwrap();
        scores.into_iter().map(|score| score.name).collect::<Vec<_>>()
    };
    // An evaluation's answer is none of production; the same by a client is.
    bed.run("one").await;
    let asked_by_run = asked();
    let of_run = bed.answers()[0].trace_id.parse::<TraceId>().unwrap();
    let record = answers::records(&evaluations.queries, &tenant, &[of_run]).await.unwrap();
    let record = record.into_values().next().unwrap();
    let answered = async |byte: u8| {
        let trace = TraceId::from_bytes([byte; 16]);
        // What is recorded is over: its steps lie in the past.
        let started_at = evaluations.clock.now() - std::time::Duration::from_secs(1);
        let record = AnswerRecord { trace, started_at, aside: None, ..record.clone() };
        bed.log.append(&record).await.unwrap();
        trace
    };
    assert_eq!(pass().await.day.answers, 0);
    let first = answered(1).await;
    let told = pass().await;
    assert_eq!((told.day.answers, told.trouble), (1, None));
    assert_eq!(scores(first).await, ["words"]);
    let polite = &told.day.scorers["polite"];
    assert_eq!((polite.scored, polite.errors), (0, 1), "{polite:?}");
    assert_eq!(told.day.scorers["refused"].not_applicable, 1);
    let paid = asked();
    assert!(paid > asked_by_run);
    assert_eq!(pass().await.day.answers, 1);
    assert_eq!((scores(first).await.len(), asked()), (1, paid));

    // Stopped while the judge was asked, and stopped before it was noted that scores are told.
    let second = answered(2).await;
    let words = evaluation::scorers::Outcome::scored(3.0, "");
    let stopped = [
        (second, BTreeMap::from([("polite".to_owned(), Step::Begun)])),
        (first, BTreeMap::from([("words".to_owned(), Step::Found(words))])),
    ];
    for (trace, mut steps) in stopped {
        let found = bed.delivery.online_scores(("p", &saved), evaluations.clock.now()).await;
        let (kept, version) = found.unwrap().unwrap();
        steps.entry("refused".to_owned()).or_insert(Step::OverBudget);
        steps.entry("polite".to_owned()).or_insert(Step::OverBudget);
        let at = evaluations.clock.now();
        let answer = delivery::OnlineAnswer { trace: trace.to_string(), at, steps, told: false };
        bed.delivery.keep_online((&kept, version), Some(&answer)).await.unwrap();
    }
    let told = pass().await;
    assert_eq!(told.day.scorers["polite"].interrupted, 1);
    assert_eq!(asked(), paid, "what was begun is not paid for again");
    assert_eq!(
        (scores(first).await, scores(second).await),
        (vec!["words".to_owned()], vec!["words".to_owned()])
    );
    // Whoever held the lease before comes too late.
    let (kept, _) =
        bed.delivery.online_scores(("p", &saved), evaluations.clock.now()).await.unwrap().unwrap();
    assert!(bed.delivery.keep_online((&kept, Some(1)), None).await.is_err());
}
