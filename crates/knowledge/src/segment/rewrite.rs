//! Segments out of segments: chosen documents, with nothing extracted, cut or embedded anew.

use bytes::Bytes;

use super::{DocumentRows, Matrix, Segment, build};
use crate::KnowledgeError;

/// A segment of `documents`, in this order, each with the segment that it is in. Passages keep their
/// ids and texts, and vectors their bytes; words are analysed as they were, and those of other
/// documents leave no trace.
///
/// # Errors
/// If a passage is unreadable, or only some have vectors, or these have different lengths.
pub fn rewrite(documents: &[(&Segment, &DocumentRows)]) -> Result<Bytes, KnowledgeError> {
    let mut cuts = Vec::with_capacity(documents.len());
    let mut matrix: Option<Matrix> = None;
    for (segment, document) in documents {
        cuts.push(segment.cut(document)?);
        let Some(vectors) = &segment.vectors else { continue };
        let matrix = matrix.get_or_insert_with(|| Matrix::new(vectors.dimension()));
        if matrix.dimension != vectors.dimension() {
            return Err(KnowledgeError::Index("vectors differ in length".to_owned()));
        }
        matrix.values.extend(vectors.values(document.rows.clone()));
    }
    build(&cuts, matrix.as_ref())
}
