//! What workflows may call, as `server.toml` has it: functions, and connections to services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use release::TenantId;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use schemars::JsonSchema;
use security::SecretRef;
use serde::{Deserialize, Serialize};

use super::{ServerFile, default_tenants};
use crate::connections::{Connection, Connections, Proof};
use crate::functions::{Command, Function, Functions, Handler};
use crate::outside;

/// A function that workflows may invoke: a command, which reads the payload as JSON and writes its
/// result as JSON, or an address, which the payload is posted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionFile {
    /// The program and its arguments; or `url`. No shell reads them.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Where the command runs, relative to `server.toml` (default: where that is).
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// What the command's environment has besides `PATH` and what is said of the call, by reference.
    #[serde(default)]
    pub environment: BTreeMap<String, SecretRef>,
    /// The address; or `command`.
    #[serde(default)]
    pub url: Option<String>,
    /// A bearer token for the address, by reference.
    #[serde(default)]
    pub credential: Option<SecretRef>,
    /// How long a call may take, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(default = "function_timeout")]
    pub timeout_seconds: u64,
    /// How many calls run at once; others wait.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// The tenants that may invoke it.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

/// As long as a function of AWS Lambda may take at most.
fn function_timeout() -> u64 {
    900
}

fn concurrency() -> usize {
    16
}

/// A service that workflows and webhooks may call over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionFile {
    /// Its address, as `https://api.example.com/v2`. Only what lies below it can be called.
    pub url: String,
    /// How it knows who calls.
    #[serde(default)]
    pub authorization: Option<AuthorizationFile>,
    /// How long a call may take, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(default = "connection_timeout")]
    pub timeout_seconds: u64,
    /// The tenants that may use it.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

/// As long as an HTTP task of AWS may take.
fn connection_timeout() -> u64 {
    60
}

/// How a service knows who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthorizationFile {
    /// By a key in a header.
    ApiKey {
        /// The header, as `x-api-key`.
        header: String,
        /// The key, by reference.
        value: SecretRef,
    },
    /// By a name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password, by reference.
        password: SecretRef,
    },
    /// By a token.
    Bearer {
        /// The token, by reference.
        token: SecretRef,
    },
    /// By a signature of what it is sent, in the headers `webhook-id`, `webhook-timestamp` and
    /// `webhook-signature`, as the specification Standard Webhooks has it.
    Signature {
        /// The secret that both know, by reference; `whsec_` and base 64, or any text.
        secret: SecretRef,
    },
    /// By PagerDuty's routing key, in what it is sent.
    PagerDuty {
        /// The integration's routing key, by reference.
        routing_key: SecretRef,
    },
}

impl ServerFile {
    /// The functions, with their secrets read; directories relative to `base`.
    ///
    /// # Errors
    /// If one cannot be offered as it stands.
    pub fn functions(&self, base: &Path) -> Result<Functions> {
        let mut offered = BTreeMap::new();
        for (name, file) in &self.functions {
            let function = file.function(base);
            let function = function.with_context(|| format!("[functions.{name}]"))?;
            offered.insert(name.clone(), function);
        }
        Ok(Functions::new(offered, outside::client()?))
    }

    /// The connections, with their secrets read.
    ///
    /// # Errors
    /// If one cannot be offered as it stands.
    pub fn connections(&self) -> Result<Connections> {
        let mut offered = BTreeMap::new();
        for (name, file) in &self.connections {
            let connection = file.connection().with_context(|| format!("[connections.{name}]"))?;
            offered.insert(name.clone(), connection);
        }
        Ok(Connections::new(offered, outside::client()?))
    }
}

impl FunctionFile {
    fn function(&self, base: &Path) -> Result<Function> {
        let handler = match (&self.command, &self.url) {
            (Some(command), None) => {
                ensure!(self.credential.is_none(), "`credential` is for a `url`");
                let (program, arguments) = command.split_first().context("`command` is empty")?;
                let mut environment = BTreeMap::new();
                for (name, reference) in &self.environment {
                    environment.insert(name.clone(), reference.resolve()?);
                }
                let directory = self.directory.as_deref().unwrap_or(Path::new(""));
                Handler::Command(Command {
                    program: program.clone(),
                    arguments: arguments.to_vec(),
                    directory: base.join(directory),
                    environment,
                })
            }
            (None, Some(url)) => {
                ensure!(
                    self.directory.is_none() && self.environment.is_empty(),
                    "`directory` and `environment` are for a `command`"
                );
                let credential = self.credential.as_ref().map(bearer).transpose()?;
                Handler::Url { url: address(url)?, credential }
            }
            (Some(_), Some(_)) | (None, None) => bail!("it needs either a `command` or a `url`"),
        };
        let timeout = Duration::from_secs(self.timeout_seconds);
        Ok(Function::new(handler, timeout, self.concurrency, self.tenants.clone()))
    }
}

impl ConnectionFile {
    fn connection(&self) -> Result<Connection> {
        let authorization = match &self.authorization {
            None => None,
            Some(AuthorizationFile::ApiKey { header, value }) => {
                let name = header.parse().map_err(|_| anyhow!("`{header}` is no header"))?;
                Some((name, secret(value.resolve()?.expose())?))
            }
            Some(AuthorizationFile::Basic { user, password }) => {
                let pair = format!("{user}:{}", password.resolve()?.expose());
                Some((AUTHORIZATION, secret(&format!("Basic {}", BASE64.encode(pair)))?))
            }
            Some(AuthorizationFile::Bearer { token }) => Some((AUTHORIZATION, bearer(token)?)),
            Some(AuthorizationFile::Signature { .. } | AuthorizationFile::PagerDuty { .. }) => None,
        };
        let proof = match &self.authorization {
            Some(AuthorizationFile::Signature { secret }) => {
                Some(Proof::Signature(secret.resolve()?))
            }
            Some(AuthorizationFile::PagerDuty { routing_key }) => {
                Some(Proof::RoutingKey(routing_key.resolve()?))
            }
            _ => None,
        };
        Ok(Connection {
            url: address(&self.url)?,
            authorization,
            proof,
            timeout: Duration::from_secs(self.timeout_seconds),
            tenants: self.tenants.clone(),
        })
    }
}

/// An address that can be called.
fn address(text: &str) -> Result<Url> {
    let url = Url::parse(text).with_context(|| format!("`url = \"{text}\"`"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "`url = \"{text}\"` is no http:// or https:// address"
    );
    // It would stand in logs and histories.
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "`url` holds a credential: name it by reference instead"
    );
    ensure!(
        url.query().is_none() && url.fragment().is_none(),
        "`url = \"{text}\"` has more than a path"
    );
    Ok(url)
}

fn bearer(token: &SecretRef) -> Result<HeaderValue> {
    secret(&format!("Bearer {}", token.resolve()?.expose()))
}

/// A header that carries a secret.
fn secret(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| anyhow!("a secret has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}
