//! The vectors of questions asked a short while ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use release::{Digest, TenantId};
use tokio::time::Instant;

use super::{Embedder, question_vectors};
use crate::KnowledgeError;
use crate::spec::EmbeddingSpec;

/// How long a question's vector is kept.
const KEPT: Duration = Duration::from_secs(300);
/// How many are kept at most.
const MOST: usize = 1_024;

/// Keeps the vectors of exact questions for a short while, each tenant's for itself.
#[derive(Debug, Default)]
pub struct QuestionVectors(Mutex<Kept>);

type Asked = (TenantId, Digest, String);
type Kept = HashMap<Asked, (Arc<[f32]>, Instant)>;

impl QuestionVectors {
    /// The vector of `question`, by `embedder` unless it was asked a short while ago.
    ///
    /// # Errors
    /// If the embedder fails.
    pub async fn get(
        &self,
        tenant: &TenantId,
        (embedder, spec): (&dyn Embedder, &EmbeddingSpec),
        question: &str,
    ) -> Result<Arc<[f32]>, KnowledgeError> {
        let text = format!("{}{question}", spec.question_prefix);
        let asked = (tenant.clone(), embedder.identity(), text);
        let kept = self.kept().get(&asked).cloned();
        if let Some((vector, at)) = kept
            && at.elapsed() < KEPT
        {
            return Ok(vector);
        }
        let made = question_vectors(embedder, spec, &[question]).await?;
        let vector: Arc<[f32]> = made.into_iter().flatten().collect();
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.retain(|_, (_, at)| at.elapsed() < KEPT);
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(asked, (Arc::clone(&vector), Instant::now()));
        Ok(vector)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
