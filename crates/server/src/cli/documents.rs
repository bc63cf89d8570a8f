//! Putting documents into knowledge, and removing them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde_json::{Value, json};

use super::show::{self, Output};
use crate::client::Client;

/// The route of a knowledge base's documents.
pub fn route(name: &str) -> String {
    format!("/api/v1/knowledge/{name}/documents")
}

/// Puts files, one after the other. What was put before one that fails stays: the same command again
/// changes nothing of it.
pub async fn put(
    client: &Client,
    (name, files): (&str, &[PathBuf]),
    (path, media_type): (Option<String>, Option<String>),
    out: &Output,
) -> Result<()> {
    ensure!(path.is_none() || files.len() == 1, "`--path` is for a single file");
    let mut put = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        let read = || format!("cannot read {shown}");
        let bytes = std::fs::read(file).with_context(read)?;
        let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified());
        let changed = release::Timestamp::try_from(changed.with_context(read)?)?;
        let body = json!({
            "path": path.as_ref().unwrap_or(&shown), "content": BASE64.encode(bytes),
            "media_type": media_type, "modified_at": changed.to_string(),
        });
        put.push(client.post(&route(name), &body).await.with_context(|| shown.clone())?);
    }
    out.value(&Value::from(put), |put| {
        let lines = put.as_array().into_iter().flatten().map(|put| {
            let done = if put["changed"] == true { "put" } else { "unchanged" };
            format!("{done} {}", show::text(&put["document"]["path"]))
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Removes documents, one after the other.
pub async fn remove(client: &Client, name: &str, paths: &[String], out: &Output) -> Result<()> {
    let mut removed = Vec::new();
    for path in paths {
        let request = client.request(Method::DELETE, &route(name)).query(&[("path", path)]);
        removed.push(client.send(request).await?);
    }
    out.value(&Value::from(removed), |removed| {
        let lines = removed.as_array().into_iter().flatten().map(|removed| {
            let done = if removed["removed"] == true { "removed" } else { "not there:" };
            format!("{done} {}", show::text(&removed["path"]))
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}
