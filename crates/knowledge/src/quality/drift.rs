//! Embedding drift: how far a batch moves the middle of all passages.

use release::Digest;

use super::Check;
use crate::{BatchReport, KnowledgeError, RefreshInput, Snapshot, SnapshotCache};

/// From how many passages on their middle says something.
const FEW: u64 = 50;

/// Judges the candidate `digest` by how far it lies from its parent, if the knowledge base wants that
/// and both have vectors of the same model.
///
/// # Errors
/// If a snapshot cannot be opened.
pub async fn gate(
    input: &RefreshInput,
    digest: Digest,
    report: &mut BatchReport,
) -> Result<(), KnowledgeError> {
    let (Some(limit), Some(parent)) = (input.spec.quality.max_drift, input.parent) else {
        return Ok(());
    };
    if parent == digest {
        return Ok(());
    }
    let cache = SnapshotCache::default();
    let (before, after) =
        (cache.open(&input.blobs, parent).await?, cache.open(&input.blobs, digest).await?);
    let measured = tokio::task::spawn_blocking(move || drift(&before, &after)).await;
    if let Some(measured) = measured.map_err(|_| KnowledgeError::Stopped)? {
        let (gate, passed) = ("max_drift".to_owned(), measured <= limit);
        report.quality.checks.push(Check { gate, passed, measured, limit, documents: Vec::new() });
    }
    Ok(())
}

/// One less the cosine of the two snapshots' mean vectors; none if they cannot be compared.
fn drift(before: &Snapshot, after: &Snapshot) -> Option<f64> {
    let comparable = before.manifest.embedding.is_some()
        && before.manifest.embedding == after.manifest.embedding
        && before.manifest.chunks() >= FEW;
    let (before, after) = (comparable.then(|| middle(before))?, middle(after));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(&before, &before) * dot(&after, &after)).sqrt();
    (lengths > 0.0).then(|| 1.0 - dot(&before, &after) / lengths)
}

/// The sum of the vectors of all passages that count.
fn middle(snapshot: &Snapshot) -> Vec<f64> {
    let dimension = snapshot.manifest.embedding.as_ref().map_or(0, |entry| entry.dimension);
    let mut middle = vec![0.0; dimension as usize];
    for (part, rows) in snapshot.parts().iter().zip(snapshot.counting(&[])) {
        if let Some(vectors) = &part.segment.vectors {
            rows.each(|row| {
                let vector = vectors.values(row..row + 1);
                middle.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(value));
            });
        }
    }
    middle
}

#[cfg(test)]
mod tests;
