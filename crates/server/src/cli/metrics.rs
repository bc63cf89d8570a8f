//! Measurements from the command line.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::show::{self, Output};
use crate::client::Client;

/// A measurement.
#[derive(Debug, Args)]
pub struct PutArguments {
    /// The metric's name, as `user.satisfaction`.
    name: String,
    /// The value.
    #[arg(allow_negative_numbers = true)]
    value: f64,
    /// Its unit in UCUM, as `s` or `%`.
    #[arg(long, default_value = "")]
    unit: String,
    /// What it was measured of, as `app=support`; may be given several times.
    #[arg(long = "dimension", value_name = "NAME=VALUE")]
    dimensions: Vec<String>,
    /// When it was measured (RFC 3339); now if absent.
    #[arg(long)]
    at: Option<String>,
}

/// Keeps a measurement.
pub async fn put(client: &Client, measured: PutArguments, out: &Output) -> Result<()> {
    let PutArguments { name, value, unit, dimensions, at } = measured;
    let mut named = serde_json::Map::new();
    for dimension in &dimensions {
        let (name, value) = dimension
            .split_once('=')
            .with_context(|| format!("`{dimension}` is no dimension: write NAME=VALUE"))?;
        named.insert(name.to_owned(), value.into());
    }
    let measure = json!({
        "name": name, "value": value, "unit": unit, "dimensions": named, "timestamp": at,
    });
    let kept = client.post("/api/v1/metrics", &json!({"metrics": [measure]})).await?;
    out.value(&kept, |kept| format!("kept {} measurement", show::text(&kept["accepted"])))
}
