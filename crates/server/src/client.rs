//! Calling a server, for the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;

use crate::config;
use crate::wiring::DataDirectory;

/// A server and the key it is called with.
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
    tenant: Option<String>,
}

/// No server answers.
#[derive(Debug, thiserror::Error)]
#[error("no server answers at {url}")]
pub struct Unreachable {
    url: String,
    source: reqwest::Error,
}

/// The server said no.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
pub struct Refusal {
    /// The status of its answer.
    pub status: reqwest::StatusCode,
    /// What it found in the files that it was sent.
    pub diagnostics: Vec<release::Diagnostic>,
    told: String,
}

/// Where the server is, as given on the command line or in the environment.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The server's address; the one started in this directory if absent.
    #[arg(long, env = "GROUNDCREW_URL", global = true)]
    pub url: Option<String>,
    /// A file with the key; the local administrator's if absent and GROUNDCREW_KEY is not set.
    #[arg(long, global = true)]
    pub key_file: Option<PathBuf>,
    /// The tenant, for principals of the whole installation.
    #[arg(long, env = "GROUNDCREW_TENANT", global = true)]
    pub tenant: Option<String>,
    /// The operator's file.
    #[arg(long, default_value = "server.toml", global = true)]
    pub config: PathBuf,
}

impl Target {
    /// The directory that relative paths of `server.toml` are relative to.
    pub fn base(&self) -> PathBuf {
        match self.config.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    fn data(&self) -> DataDirectory {
        let file = config::read(&self.config).unwrap_or_default();
        DataDirectory(self.base().join(file.data))
    }
}

impl Client {
    /// Finds the server and the key.
    ///
    /// # Errors
    /// If there is no key to be found.
    pub fn new(target: &Target) -> Result<Self> {
        let data = target.data();
        let url = match &target.url {
            Some(url) => url.clone(),
            None => read(&data.address()).context(
                "no server is known here: start one with `groundcrew up`, or set GROUNDCREW_URL",
            )?,
        };
        let key = match (&target.key_file, std::env::var("GROUNDCREW_KEY")) {
            (Some(file), _) => read(file)?,
            (None, Ok(key)) => key,
            (None, Err(_)) => read(&data.admin_key())
                .context("no key is known here: set GROUNDCREW_KEY, or pass --key-file")?,
        };
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, key, tenant: target.tenant.clone() })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request =
            self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        match &self.tenant {
            Some(tenant) => request.header("x-groundcrew-tenant", tenant),
            None => request,
        }
    }

    /// Asks the API.
    ///
    /// # Errors
    /// If it cannot be reached or says no; findings about files are printed in full.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// Tells the API.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Deletes.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Sends a request and reads an answer of bytes, and what else is to be known of it.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn bytes(&self, request: reqwest::RequestBuilder) -> Result<(Vec<u8>, String)> {
        let response = self.answer(request).await?;
        let status = response.status();
        let notes = response.headers().get("x-groundcrew-notes");
        let notes = notes.and_then(|notes| notes.to_str().ok()).unwrap_or_default().to_owned();
        let body = response.bytes().await.map_err(reqwest::Error::without_url)?;
        match status.is_success() {
            true => Ok((body.into(), notes)),
            false => Err(refused(status, &String::from_utf8_lossy(&body)).into()),
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let response = self.answer(request).await?;
        let status = response.status();
        let body = response.text().await.map_err(reqwest::Error::without_url)?;
        if status.is_success() {
            return Ok(serde_json::from_str(&body).unwrap_or(Value::String(body)));
        }
        Err(refused(status, &body).into())
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Unreachable> {
        let unreachable = |error: reqwest::Error| Unreachable {
            url: self.url.clone(),
            source: error.without_url(),
        };
        request.send().await.map_err(unreachable)
    }
}

/// What the server has against a request.
fn refused(status: reqwest::StatusCode, body: &str) -> Refusal {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &value["error"];
    let mut message = match error["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("the server answered {status}"),
    };
    if let Some(code) = error["code"].as_str() {
        message = format!("{message} [{code}]");
    }
    let mut diagnostics = Vec::new();
    for finding in error["diagnostics"].as_array().into_iter().flatten() {
        match serde_json::from_value::<release::Diagnostic>(finding.clone()) {
            Ok(finding) => {
                message.push_str(&format!("\n{finding}"));
                diagnostics.push(finding);
            }
            Err(_) => message.push_str(&format!("\n{finding}")),
        }
    }
    if let Some(hint) = error["hint"].as_str() {
        message.push_str(&format!("\nhint: {hint}"));
    }
    Refusal { status, diagnostics, told: message }
}

fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path);
    Ok(text.with_context(|| format!("cannot read {}", path.display()))?.trim().to_owned())
}
