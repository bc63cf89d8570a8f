//! How git forges prove themselves, and what they tell of a push.
//!
//! GitHub: "Validating webhook deliveries" and "Webhook events and payloads"; GitLab: "Webhooks";
//! Gitea and Forgejo: "Webhooks".

use axum::http::HeaderMap;
use release::Secret;
use schemars::JsonSchema;
use security::webhook::{is_secret, is_signed};
use serde::{Deserialize, Serialize};

/// Who tells of pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forge {
    /// GitHub: `X-Hub-Signature-256`, the HMAC-SHA256 of what it sends.
    Github,
    /// GitLab: `X-Gitlab-Token`, the secret itself.
    Gitlab,
    /// Gitea, Forgejo and whoever signs alike: `X-Gitea-Signature` or `X-Hub-Signature-256`.
    Generic,
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A push.
    Push(Push),
    /// A branch was deleted.
    Gone,
    /// Something else happened.
    Other,
}

/// A push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What was pushed to, as `refs/heads/main`.
    pub reference: String,
    /// The commit it led to before.
    pub before: String,
    /// The commit it leads to now.
    pub after: String,
}

/// What all forges have in what they send.
#[derive(Debug, Deserialize)]
struct Payload {
    r#ref: String,
    #[serde(default)]
    before: String,
    after: String,
}

impl Forge {
    /// Whether what was sent comes from whoever knows the secret.
    pub fn proves(self, secret: &Secret, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let hub = || header("x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
        let signed = |signature: &str| is_signed(secret, body, signature);
        match self {
            Self::Github => hub().is_some_and(signed),
            Self::Gitlab => header("x-gitlab-token").is_some_and(|told| is_secret(secret, told)),
            Self::Generic => header("x-gitea-signature").or_else(hub).is_some_and(signed),
        }
    }

    /// What it tells.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(self, headers: &HeaderMap, body: &[u8]) -> Result<Told, String> {
        let event = match self {
            Self::Github => headers.get("x-github-event"),
            Self::Gitlab => headers.get("x-gitlab-event"),
            Self::Generic => headers.get("x-gitea-event"),
        };
        let event = event.and_then(|event| event.to_str().ok());
        let is_push = match self {
            Self::Github => event == Some("push"),
            Self::Gitlab => event == Some("Push Hook"),
            Self::Generic => event.is_none_or(|event| event == "push"),
        };
        if !is_push {
            return Ok(Told::Other);
        }
        let hint = "have it sent as `application/json`";
        let payload: Payload = serde_json::from_slice(body)
            .map_err(|error| format!("the body is no push ({error}): {hint}"))?;
        let Payload { r#ref: reference, before, after } = payload;
        if !is_commit(&after) {
            return Err("`after` is no commit: it has 40 or 64 hexadecimal digits".to_owned());
        }
        if after.bytes().all(|digit| digit == b'0') {
            return Ok(Told::Gone);
        }
        Ok(Told::Push(Push { reference, before, after }))
    }
}

/// Whether a text is the whole name of a commit.
pub fn is_commit(text: &str) -> bool {
    let digits = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    digits && matches!(text.len(), 40 | 64)
}
