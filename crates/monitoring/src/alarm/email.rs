//! Telling people by mail.

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use release::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the way to the relay is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// By TLS from the first byte on.
    #[default]
    Tls,
    /// By TLS after the greeting; a relay that cannot is refused.
    StartTls,
    /// Not at all: for a relay on this machine.
    None,
}

/// The relay that takes mail.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Its name.
    pub host: String,
    /// Its port; the usual one of the encryption if none.
    pub port: Option<u16>,
    /// How the way is protected.
    pub encryption: Encryption,
    /// By which name and password it knows us.
    pub login: Option<(String, Secret)>,
    /// Whom mail is from.
    pub from: String,
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// What it is called: the same mail sent twice has the same.
    pub id: String,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No other try helps.
    #[error("{0}")]
    Refused(String),
    /// Another try may help.
    #[error("{0}")]
    Failed(String),
}

impl Relay {
    /// Sends a mail.
    ///
    /// # Errors
    /// If an address is none, or the relay does not take it.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.message(mail).map_err(MailError::Refused)?;
        let sent = self.transport()?.send(message).await;
        sent.map(drop).map_err(|error| match error.is_permanent() {
            true => MailError::Refused(error.to_string()),
            false => MailError::Failed(error.to_string()),
        })
    }

    fn message(&self, mail: &Mail) -> Result<Message, String> {
        let address = |text: &str| {
            text.parse::<Mailbox>().map_err(|error| format!("`{text}` is no address: {error}"))
        };
        let from = address(&self.from)?;
        let domain = from.email.domain().to_owned();
        // Answering machines keep still.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut message = Message::builder()
            .from(from)
            .subject(&mail.subject)
            .message_id(Some(format!("<{}@{domain}>", mail.id.replace('/', "."))))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &mail.to {
            message = message.to(address(to)?);
        }
        message.body(mail.text.clone()).map_err(|error| error.to_string())
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
        type Smtp = AsyncSmtpTransport<Tokio1Executor>;
        let refused = |error: lettre::transport::smtp::Error| MailError::Refused(error.to_string());
        let mut builder = match self.encryption {
            Encryption::Tls => Smtp::relay(&self.host).map_err(refused)?,
            Encryption::StartTls => Smtp::starttls_relay(&self.host).map_err(refused)?,
            Encryption::None => Smtp::builder_dangerous(&self.host),
        };
        if let Some(port) = self.port {
            builder = builder.port(port);
        }
        if let Some((user, password)) = &self.login {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(builder.timeout(Some(Duration::from_secs(30))).build())
    }
}

#[cfg(test)]
mod tests;
