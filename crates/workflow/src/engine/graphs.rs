//! Workflows and executions as graphs.

use super::{EngineError, ExecutionKey, TenantEngine};
use crate::graph::Graph;

impl TenantEngine {
    /// A workflow as a graph.
    ///
    /// # Errors
    /// If there is none.
    pub async fn graph(&self, workflow: &str) -> Result<Graph, EngineError> {
        let digest = self.machine(workflow).await?.definition;
        let machine = self.engine.machine(&self.tenant, digest).await?;
        Ok(Graph::of(workflow, &machine))
    }

    /// An execution as a graph, with how each of its states stands now.
    ///
    /// # Errors
    /// If there is none.
    pub async fn execution_graph(&self, key: &ExecutionKey) -> Result<Graph, EngineError> {
        let digest = self.execution(key).await?.definition;
        let machine = self.engine.machine(&self.tenant, digest).await?;
        let history = self.history(key).await?;
        let now = self.engine.shared.clock.now();
        Ok(Graph::of_execution(&key.to_string(), &machine, &history, now))
    }
}
