//! `[telemetry]`: how answers and what others tell are kept, and where it goes besides here.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use monitoring::export::{Cursor, Exporter, HttpCollector, HttpOptions, LogSpool, Selection};
use monitoring::query::QueryLimits;
use monitoring::tables::Retention;
use monitoring::{Durability, LogOptions, Signal, TelemetryLog};
use release::TenantId;
use schemars::JsonSchema;
use security::SecretRef;
use serde::{Deserialize, Serialize};

/// What becomes of telemetry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryFile {
    /// Whether an answer's last byte waits for the disk (`sync`) or for the write (`group`).
    pub durability: Durability,
    /// The most bytes of the log, which holds what is not yet in columns; when it is full, requests
    /// are refused.
    pub log_bytes: u64,
    /// With less room than this on the log's disk, what was asked and answered is left out, and only
    /// that it was is recorded.
    pub low_bytes: u64,
    /// With less room than this, requests are refused.
    pub least_bytes: u64,
    /// For how many days each table keeps its rows.
    pub keep_days: Retention,
    /// What queries may use.
    pub queries: QueryLimits,
    /// A collector that gets all of it too. What it has not got yet stays in the log.
    pub export: Option<ExportFile>,
}

impl Default for TelemetryFile {
    fn default() -> Self {
        let LogOptions { durability, max_bytes, low_bytes, least_bytes, .. } =
            LogOptions::default();
        Self {
            durability,
            log_bytes: max_bytes,
            low_bytes,
            least_bytes,
            keep_days: Retention::default(),
            queries: QueryLimits::default(),
            export: None,
        }
    }
}

impl TelemetryFile {
    /// How the log is kept.
    pub fn log(&self) -> LogOptions {
        LogOptions {
            durability: self.durability,
            max_bytes: self.log_bytes,
            low_bytes: self.low_bytes,
            least_bytes: self.least_bytes,
            ..LogOptions::default()
        }
    }
}

/// A collector of OpenTelemetry, over HTTP in protobuf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportFile {
    /// Its base address, as `https://otel.example.com:4318`: `/v1/traces` and so on are appended.
    pub endpoint: String,
    /// Headers that it wants to see, by reference.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// Which signals; all if empty.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// Whose; all tenants' if empty.
    #[serde(default)]
    pub tenants: Vec<TenantId>,
}

impl ExportFile {
    /// Sends what is in `log` to the collector, from where it was left.
    ///
    /// # Errors
    /// If the address or a header cannot be used, or the store fails.
    pub async fn exporter(&self, log: &TelemetryLog, cursor: Cursor) -> Result<Arc<Exporter>> {
        let endpoint = self.endpoint.parse().with_context(|| {
            format!("`[telemetry.export] endpoint = \"{}\"` is no address", self.endpoint)
        })?;
        let mut headers = Vec::new();
        for (name, reference) in &self.headers {
            headers.push((name.clone(), reference.resolve()?));
        }
        let collector = HttpCollector::new(HttpOptions { endpoint, headers });
        let collector = Arc::new(collector.map_err(|error| anyhow!(error))?);
        let selection = Selection { signals: self.signals.clone(), tenants: self.tenants.clone() };
        let spool = Arc::new(LogSpool::new(log.clone(), cursor.read().await?));
        Ok(Exporter::open(spool, collector, selection, cursor).await?)
    }
}
