//! Links to decide an approval with, below `/approve`.
//!
//! The link is the credential: a statement of whom it is for, what it decides and when it ends,
//! signed with the installation's key. Looking at it decides nothing; its form, sent back, does. It is
//! worth something once, since the task that it names is then over.
//!
//! ```text
//!  link ─► signature ─► end ─► principal ─► task still waits ─┬─ GET ──► page with a form
//!                                                             └─ POST ─► decision, in its name
//! ```

mod page;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use release::{PrincipalId, TenantId};
use security::{Action, Identity, Resource, SecurityError, authorize};
use workflow::engine::{Approval, Decision, EngineError, Link, TenantEngine};

use crate::api::{Api, Problem};
use page::Page;

/// How long a link counts where nothing is said, and at most, in seconds.
pub const DEFAULT_SECONDS: u32 = 86_400;
/// How long a link counts at most, in seconds.
pub const MAX_SECONDS: u32 = 30 * 86_400;
/// What its statement is signed for.
const PURPOSE: &str = "approval link";
/// The most bytes of a form.
const MAX_FORM: usize = 16 << 10;
/// The longest comment, in characters.
const MAX_COMMENT: usize = 2_000;
/// How long a form may take to arrive.
const FORM: Duration = Duration::from_secs(30);

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    Router::new().route("/approve/{link}", get(show).post(decide)).with_state(api)
}

/// The path of a link.
///
/// # Errors
/// If it cannot be written down.
pub fn path(api: &Api, link: &Link) -> Result<String, Problem> {
    let statement =
        serde_json::to_vec(link).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(format!("/approve/{}", api.keys.sign(PURPOSE, &statement).expose()))
}

/// The principal that a link may be for, if it may decide approvals of the tenant at all.
///
/// # Errors
/// If it may not, or there is none.
pub async fn approver(
    api: &Api,
    tenant: &TenantId,
    principal: &PrincipalId,
) -> Result<Identity, Problem> {
    let unknown = || Problem::not_found(format!("there is no principal `{principal}`"));
    let identity = api.keys.by_statement(principal).await?;
    // Another tenant's principals are not told of.
    if identity.tenant.as_ref().is_some_and(|own| own != tenant) {
        return Err(unknown());
    }
    authorize(&identity, Action::DecideApprovals, Resource::Tenant(tenant))?;
    Ok(identity)
}

/// What a link that counts is about.
struct Opened {
    link: Link,
    engine: TenantEngine,
    role: String,
    approval: Approval,
}

async fn show(State(api): State<Arc<Api>>, Path(text): Path<String>) -> Response {
    match open(&api, &text).await {
        Ok(Opened { link, approval, .. }) => page::asked(&link, &approval).into_response(),
        Err(page) => page.into_response(),
    }
}

async fn decide(
    State(api): State<Arc<Api>>,
    Path(text): Path<String>,
    request: Request,
) -> Response {
    match decided(&api, &text, request).await {
        Ok(page) | Err(page) => page.into_response(),
    }
}

/// Checks a link, from what costs least to what costs most.
async fn open(api: &Api, text: &str) -> Result<Opened, Page> {
    let no_link = || {
        let why = "This is not a link that was made here, or it was changed on its way.";
        Page::told(StatusCode::FORBIDDEN, "This link does not count", why)
    };
    let statement = api.keys.verify(PURPOSE, text).map_err(|_| no_link())?;
    let link: Link = serde_json::from_slice(&statement).map_err(|_| no_link())?;
    if link.expires_at <= api.clock.now() {
        let why = "It could be used for a time only. Ask for another one.";
        return Err(Page::told(StatusCode::GONE, "This link has expired", why));
    }
    let shut_out = || {
        let why = format!("{} may not decide approvals here any more.", link.principal);
        Page::told(StatusCode::FORBIDDEN, "This link does not count any more", &why)
    };
    let identity = match api.keys.by_statement(&link.principal).await {
        Err(SecurityError::Store(error)) => return Err(Page::failed(&error)),
        found => found.map_err(|_| shut_out())?,
    };
    authorize(&identity, Action::DecideApprovals, Resource::Tenant(&link.tenant))
        .map_err(|_| shut_out())?;
    let engine = api.workflows.tenant(&link.tenant, link.principal.clone());
    let role = identity.role.to_string();
    let approval = engine.linked_approval(&link, &role).await.map_err(refused)?;
    Ok(Opened { link, engine, role, approval })
}

async fn decided(api: &Api, text: &str, request: Request) -> Result<Page, Page> {
    let (parts, body) = request.into_parts();
    let Opened { link, engine, role, approval } = open(api, text).await?;
    let wrong = |why: &str| Page::told(StatusCode::BAD_REQUEST, "The form does not fit", why);
    if comes_from_elsewhere(&parts.headers) {
        let why = "It was sent by another site. Open the link itself.";
        return Err(Page::told(StatusCode::FORBIDDEN, "The form was not sent from here", why));
    }
    let body = tokio::time::timeout(FORM, to_bytes(body, MAX_FORM)).await;
    let body = body.map_err(|_| wrong("It took too long to arrive."))?;
    let body = body.map_err(|_| wrong("It is too large."))?;
    let field = |name: &str| {
        let found = form_urlencoded::parse(&body).find(|(own, _)| own == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let approved = match field("decision").as_str() {
        "approve" => true,
        "reject" => false,
        _ => return Err(wrong("It says neither to approve nor to reject.")),
    };
    let reason = field("comment").trim().to_owned();
    if reason.chars().count() > MAX_COMMENT {
        return Err(wrong(&format!("The comment has more than {MAX_COMMENT} characters.")));
    }
    let decision = Decision { state: None, approved, reason, role, link: Some(link.clone()) };
    engine.decide(&link.execution, &decision).await.map_err(refused)?;
    Ok(page::decided(&link, &approval, approved))
}

/// Whether a browser says that another site had it send the form.
fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    let from = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    from.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

fn refused(error: EngineError) -> Page {
    match error {
        EngineError::Store(error) => Page::failed(&error),
        EngineError::MayNotDecide(why) => {
            let why = format!("{why}.");
            Page::told(StatusCode::FORBIDDEN, "This is not yours to decide", &why)
        }
        EngineError::Contended(_) => {
            let why = "The execution moves just now. Send the form once more.";
            Page::told(StatusCode::CONFLICT, "Try again", why)
        }
        _ => {
            let why = "It was decided, or it is not waited for any more.";
            Page::told(StatusCode::GONE, "Nothing is left to decide", why)
        }
    }
}
