//! What two snapshots of the same passages find, so that it can be compared.

use std::sync::Arc;

use release::Digest;

use super::bm25::Words;
use super::{DEPTH, nearest};
use crate::{KnowledgeError, Snapshot};

/// A question, with its vector if the passages have any.
#[derive(Debug, Clone)]
pub struct Question {
    pub text: String,
    pub vector: Option<Arc<[f32]>>,
}

/// Passages by words and by vectors, best first, each with the bits of its score. Fusing them looks at
/// ranks alone, so two snapshots that find the same here find the same in every mode.
pub type Lists = [Vec<(Digest, u32)>; 2];

/// What `snapshot` finds if words are weighed by the counts of `weighed`.
pub fn found(
    snapshot: &Snapshot,
    weighed: &Snapshot,
    question: &Question,
) -> Result<Lists, KnowledgeError> {
    let parts = snapshot.parts();
    let counting: Vec<_> =
        parts.iter().map(|part| part.counting(&[], &snapshot.manifest)).collect();
    let words = Words::of(&question.text, weighed)?.best(parts, &counting, DEPTH)?;
    let scan = snapshot.manifest.retrieval.scan;
    let near = match &question.vector {
        Some(vector) => nearest((parts, &counting), vector, scan, DEPTH),
        None => Vec::new(),
    };
    Ok([words, near].map(|hits| hits.iter().map(|hit| (hit.id, hit.score.to_bits())).collect()))
}
