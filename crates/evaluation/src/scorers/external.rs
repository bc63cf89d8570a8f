//! Scorers outside: a program or service that is asked in JSON.
//!
//! It is sent `{"case": …, "answer": …, "parameters": …}` and answers one of `{"score": 0.7}`, with
//! `"pass"` and `"explanation"` if it likes, `{"not_applicable": "why"}` and `{"error": "why"}`.

use async_trait::async_trait;
use release::ArtifactName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::beginning;
use super::{Engines, Outcome, Score, Seen};
use crate::judge::CallError;

/// Carries a question to programs and services that the operator has set up, and the answer back.
#[async_trait]
pub trait External: Send + Sync {
    /// Asks what is set up as `name`.
    ///
    /// # Errors
    /// If there is no such thing, or it fails, or takes too long.
    async fn call(&self, name: &ArtifactName, question: Vec<u8>) -> Result<Vec<u8>, CallError>;
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Score(Scored),
    NotApplicable(NotApplicable),
    Error(Failed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scored {
    score: f64,
    pass: Option<bool>,
    explanation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotApplicable {
    not_applicable: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    error: String,
}

pub(super) async fn ask(
    seen: Seen<'_>,
    uses: &ArtifactName,
    parameters: &Value,
    engines: Engines<'_>,
) -> Result<Outcome, Outcome> {
    let external = engines.external;
    let none = || Outcome::unavailable(format!("no scorer is set up as `{uses}`"));
    let question =
        json!({ "case": seen.case, "answer": seen.answer, "parameters": parameters }).to_string();
    let reply = external.ok_or_else(none)?.call(uses, question.into_bytes()).await?;
    let read: Reply = serde_json::from_slice(&reply).map_err(|_| {
        let text = String::from_utf8_lossy(&reply);
        Outcome::nonsense(format!("`{uses}` answered `{}`", beginning(&text)))
    })?;
    Ok(match read {
        Reply::Score(Scored { score: value, pass, explanation }) => {
            Outcome::Scored(Score { value, pass, explanation })
        }
        Reply::NotApplicable(NotApplicable { not_applicable }) => {
            Outcome::not_applicable(not_applicable)
        }
        Reply::Error(Failed { error }) => Outcome::unavailable(error),
    })
}
