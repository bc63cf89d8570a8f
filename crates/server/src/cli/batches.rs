//! The versions of a knowledge base.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::report;
use super::show::{self, Output};
use crate::client::Client;

#[derive(Debug, Args)]
pub struct AtArguments {
    /// The knowledge base.
    name: String,
    /// The moment (RFC 3339).
    time: String,
}

#[derive(Debug, Args)]
pub struct DiffArguments {
    /// The knowledge base.
    name: String,
    /// The number of the earlier batch.
    from: u64,
    /// The number of the later one (default: the newest snapshot).
    to: Option<u64>,
}

#[derive(Debug, Args)]
#[group(skip)]
pub struct ExciseArguments {
    /// The knowledge base.
    name: String,
    /// The document's path.
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    document: Option<String>,
    /// Take out everything that this batch brought, instead of a document.
    #[arg(long)]
    batch: Option<u64>,
}

#[derive(Debug, Args)]
#[group(skip)]
pub struct RestoreArguments {
    /// The knowledge base.
    name: String,
    /// The number of the batch whose snapshot is to be the newest again.
    #[arg(required_unless_present = "at", conflicts_with = "at")]
    batch: Option<u64>,
    /// Take the batch that was the newest at this moment (RFC 3339).
    #[arg(long)]
    at: Option<String>,
}

/// Shows all batches.
pub async fn list(client: &Client, name: &str, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{name}/batches");
    out.value(&client.get(&path, &[]).await?, show::batches)
}

/// Shows the batch whose snapshot was the newest at a moment.
pub async fn at(client: &Client, asked: AtArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/at", asked.name);
    let found = client.get(&path, &[("time", asked.time)]).await?;
    out.value(&found, |batch| show::batches(&json!([batch])))
}

/// Shows what is different between two snapshots.
pub async fn diff(client: &Client, asked: DiffArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/diff", asked.name);
    let mut query = vec![("from", asked.from.to_string())];
    query.extend(asked.to.map(|to| ("to", to.to_string())));
    out.value(&client.get(&path, &query).await?, show::documents_between)
}

/// Takes something out.
pub async fn excise(client: &Client, asked: ExciseArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/excise", asked.name);
    let body: Value = json!({"document": asked.document, "batch": asked.batch});
    let excised = client.post(&path, &body).await?;
    out.value(&excised, |excised| report::told(excised, &Value::Null, 0))
}

/// Makes an earlier snapshot the newest again.
pub async fn restore(client: &Client, asked: RestoreArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/restore", asked.name);
    let body: Value = json!({"batch": asked.batch, "at": asked.at});
    let restored = client.post(&path, &body).await?;
    out.value(&restored, |restored| report::told(restored, &Value::Null, 0))
}
