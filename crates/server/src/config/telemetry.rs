//! `[telemetry]`: where telemetry goes besides here.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use monitoring::export::{Cursor, Exporter, HttpCollector, HttpOptions, LogSpool, Selection};
use monitoring::{Signal, TraceLog};
use release::TenantId;
use schemars::JsonSchema;
use security::SecretRef;
use serde::{Deserialize, Serialize};

/// What becomes of telemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryFile {
    /// A collector that gets all of it too. What it has not got yet stays in the log.
    pub export: Option<ExportFile>,
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
    pub async fn exporter(&self, log: &TraceLog, cursor: Cursor) -> Result<Arc<Exporter>> {
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
        let spool = Arc::new(LogSpool::new(log.clone()));
        Ok(Exporter::open(spool, collector, selection, cursor).await?)
    }
}
