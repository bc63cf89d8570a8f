//! How people are told by mail, as `server.toml` has it.

use anyhow::Result;
use monitoring::alarm::email::{Encryption, Relay};
use release::TenantId;
use schemars::JsonSchema;
use security::SecretRef;
use serde::{Deserialize, Serialize};

use super::default_tenants;

/// The relay that takes mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailFile {
    /// Its name, as `smtp.example.com`.
    pub relay: String,
    /// Its port (default: the usual one of the encryption).
    pub port: Option<u16>,
    /// How the way to it is protected.
    #[serde(default)]
    pub encryption: Encryption,
    /// The name by which it knows us.
    pub user: Option<String>,
    /// The password, by reference.
    pub password: Option<SecretRef>,
    /// Whom mail is from, as `Groundcrew <alarms@example.com>`.
    pub from: String,
    /// The tenants that may send mail.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

impl MailFile {
    /// The relay, with its password read.
    ///
    /// # Errors
    /// If the password cannot be read, or has no name beside it.
    pub fn relay(&self) -> Result<Relay> {
        let login = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.resolve()?)),
            (None, None) => None,
            _ => anyhow::bail!("[mail]: `user` and `password` belong together"),
        };
        let (host, port, from) = (self.relay.clone(), self.port, self.from.clone());
        let encryption = self.encryption;
        Ok(Relay { host, port, encryption, login, from })
    }
}
