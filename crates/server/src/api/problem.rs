//! What the API answers when it does not do what was asked.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use delivery::DeliveryError;
use monitoring::query::QueryError;
use monitoring::receive::NotTaken;
use release::Diagnostic;
use security::{Denied, SecurityError};
use serde::Serialize;
use store::StoreError;
use workflow::Fault;
use workflow::engine::EngineError;

use crate::evaluations::recorded::NotRecorded;

/// An error of the API, with a stable code that `groundcrew explain` knows.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<Diagnostic>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), hint: None, diagnostics: Vec::new() }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    pub fn unauthorized() -> Self {
        let message = "the request has no valid key";
        Self::new(StatusCode::UNAUTHORIZED, "GC0401", message)
            .hint("set GROUNDCREW_KEY, or run in the directory the server was started in")
    }

    /// Whoever sent it does not prove who it is. It is not told why.
    pub fn unproven() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "GC0401", "the request proves nothing")
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "GC0110", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "GC0403", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "GC0404", message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "GC0409", message)
    }

    /// Something that cannot be asked again, since it was not recorded.
    fn not_recorded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "GC0308", message)
    }

    /// The failure of one of the product's tasks, by its name.
    pub fn of_task(name: &str, message: impl Into<String>) -> Self {
        match name {
            "Groundcrew.NotFound" => Self::not_found(message),
            "Groundcrew.BadInput" => Self::bad_request(message),
            "Groundcrew.Unusable" => Self::new(StatusCode::CONFLICT, "GC0303", message),
            "Groundcrew.Held" => Self::new(StatusCode::CONFLICT, "GC0304", message),
            "Groundcrew.Knowledge" => Self::new(StatusCode::CONFLICT, "GC0305", message)
                .hint("the snapshot before keeps serving"),
            "Groundcrew.DrillFailed" => Self::new(StatusCode::CONFLICT, "GC0306", message)
                .hint("the backup is not to be relied on: take another and drill it"),
            "Groundcrew.NotEligible" => Self::new(StatusCode::CONFLICT, "GC0307", message)
                .hint("`groundcrew release gates` shows how the release stands before them"),
            "Groundcrew.MayNotDecide" => Self::forbidden(message),
            "Groundcrew.Conflict" => Self::conflict(message),
            _ => Self::internal(message),
        }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "GC0500", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(code = self.code, message = self.message, "the API failed");
        }
        (self.status, axum::Json(serde_json::json!({"error": self}))).into_response()
    }
}

impl From<NotTaken> for Problem {
    fn from(error: NotTaken) -> Self {
        let message = error.to_string();
        match error {
            NotTaken::Refused(_) => Self::bad_request(message),
            NotTaken::Log(_) | NotTaken::Busy => {
                let status = StatusCode::from_u16(error.http_status());
                let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                Self::new(status, "GC0503", message).hint("send it again later")
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "GC0403", denied.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Conflict { .. } | StoreError::StreamConflict { .. } => {
                Self::conflict(error.to_string()).hint("try again")
            }
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<SecurityError> for Problem {
    fn from(error: SecurityError) -> Self {
        match error {
            SecurityError::UnknownPrincipal(_)
            | SecurityError::UnknownTenant(_)
            | SecurityError::UnknownKey(_) => Self::not_found(error.to_string()),
            SecurityError::Exists(_) => Self::conflict(error.to_string()),
            SecurityError::Name(_) => Self::bad_request(error.to_string()),
            SecurityError::Store(error) => error.into(),
            error => Self::internal(error.to_string()),
        }
    }
}

impl From<DeliveryError> for Problem {
    fn from(error: DeliveryError) -> Self {
        let message = error.to_string();
        match error {
            DeliveryError::Project(diagnostics) => {
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "GC0100", message);
                Self { diagnostics, ..problem }
            }
            DeliveryError::StaleProject { .. } => {
                Self::new(StatusCode::CONFLICT, "GC0301", message)
                    .hint("read the project again, look at what changed, and apply again")
            }
            DeliveryError::NothingToRestore { .. } | DeliveryError::NeverLive { .. } => {
                Self::new(StatusCode::CONFLICT, "GC0302", message)
                    .hint("name a release with --to; `groundcrew release list` shows them")
            }
            DeliveryError::Erasure { .. } => Self::conflict(message),
            DeliveryError::Workflows(error) => error.into(),
            DeliveryError::Store(error) => error.into(),
            error => Self::of_task(error.name(), message),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::of_task(&fault.error.unwrap_or_default(), fault.cause.unwrap_or_default())
    }
}

impl From<NotRecorded> for Problem {
    fn from(error: NotRecorded) -> Self {
        match error {
            NotRecorded::Unknown(_) => Self::not_found(error.to_string()),
            NotRecorded::Query(error) => error.into(),
            NotRecorded::Delivery(error) => error.into(),
            error => Self::not_recorded(error.to_string()),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Refused(_) | EngineError::Name(_) | EngineError::TooLarge => {
                Self::bad_request(message)
            }
            EngineError::UnknownMachine(_)
            | EngineError::UnknownExecution(_)
            | EngineError::UnknownActivity(_)
            | EngineError::UnknownSchedule(_)
            | EngineError::UnknownRule(_)
            | EngineError::UnknownMapRun(_)
            | EngineError::UnknownDeadLetter(_)
            | EngineError::Token => Self::not_found(message),
            EngineError::MayNotDecide(_) => Self::new(StatusCode::FORBIDDEN, "GC0403", message),
            EngineError::Conflict(_)
            | EngineError::Limit(_)
            | EngineError::Type { .. }
            | EngineError::NoApproval(_)
            | EngineError::SeveralApprovals { .. }
            | EngineError::TaskOver
            | EngineError::Taken { .. }
            | EngineError::Exists(_)
            | EngineError::MapRunOver(_)
            | EngineError::OfMapRun(_)
            | EngineError::Status { .. }
            | EngineError::Contended(_) => Self::conflict(message),
            EngineError::Store(error) => error.into(),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Wrong(_) => Self::new(StatusCode::BAD_REQUEST, "GC0113", message),
            QueryError::TooSlow(_) | QueryError::TooLarge(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "GC0112",
                message,
            )
            .hint(
                "ask for a shorter time, fewer columns or fewer groups; `[telemetry.queries]` in \
                     server.toml has the limits",
            ),
            QueryError::Failed(_) => Self::internal(message),
        }
    }
}
