//! Steps that knowledge bases have of their own: functions and connections that the operator offers.

use std::sync::Arc;

use async_trait::async_trait;
use knowledge::StepSpec;
use release::TenantId;
use serde_json::Value;

use crate::connections::Connections;
use crate::functions::Functions;

/// The most bytes of a document that a step gives back.
const MAX_DOCUMENT: usize = 64 << 20;

/// Takes the steps of knowledge bases.
#[derive(Debug)]
pub struct Steps {
    /// The functions that are offered.
    pub functions: Arc<Functions>,
    /// The connections that are offered.
    pub connections: Arc<Connections>,
}

#[async_trait]
impl knowledge::Steps for Steps {
    async fn take(
        &self,
        tenant: &TenantId,
        step: &StepSpec,
        document: Value,
    ) -> Result<Value, String> {
        match step {
            StepSpec::Function { function } => {
                let taken = self.functions.ask(function, tenant, &document, MAX_DOCUMENT).await;
                taken.map_err(|fault| {
                    let (error, cause) = (fault.error.unwrap_or_default(), fault.cause);
                    format!("{error}: {}", cause.unwrap_or_default())
                })
            }
            StepSpec::Http { connection, path } => {
                let place = (connection.as_str(), path.as_str());
                self.connections.post(place, tenant, &document, MAX_DOCUMENT).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
