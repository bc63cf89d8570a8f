//! Whether two snapshots are the same knowledge.

use std::sync::Arc;

use release::Digest;

use super::places;
use crate::retrieve::{Question, found};
use crate::{DocumentEntry, Judged, KnowledgeError, Snapshot};

/// How many questions are drawn from the passages themselves.
const DRAWN: usize = 64;
/// How many differences are named.
const NAMED: usize = 20;

/// How two snapshots compare.
#[derive(Debug, Default)]
pub struct Comparison {
    /// How many questions both were asked.
    pub asked: usize,
    /// How many of them find other passages, or in another order, as words are weighed now.
    pub reweighed: usize,
    /// What differs, the first of it; nothing if they are the same knowledge.
    pub differences: Vec<String>,
}

/// Compares two snapshots document by document, then by what they find. Scores must have the same
/// bits once words are weighed alike: by the later snapshot's counts.
pub fn compare(
    before: &Snapshot,
    after: &Snapshot,
    questions: &[Judged],
) -> Result<Comparison, KnowledgeError> {
    let mut compared = Comparison::default();
    compare_documents(before, after, &mut compared.differences)?;
    if !compared.differences.is_empty() {
        return Ok(compared);
    }
    let drawn = match questions {
        [] => before.drawn_queries(DRAWN)?,
        given => given.to_vec(),
    };
    let asked = drawn
        .into_iter()
        .map(|judged| Question { text: judged.query, vector: judged.vector.map(Arc::from) });
    let asked: Vec<_> = asked.collect();
    compared.asked = asked.len();
    for question in &asked {
        let now = found(after, after, question)?;
        if found(before, after, question)? != now {
            let why = format!("`{}` finds other passages, or with other scores", question.text);
            note(&mut compared.differences, why);
        }
        let ids = |lists: &[Vec<(Digest, u32)>; 2]| {
            lists.clone().map(|list| list.into_iter().map(|hit| hit.0).collect::<Vec<_>>())
        };
        compared.reweighed += usize::from(ids(&found(before, before, question)?) != ids(&now));
    }
    Ok(compared)
}

fn note(differences: &mut Vec<String>, why: String) {
    if differences.len() < NAMED {
        differences.push(why);
    }
}

/// Documents, passages and vectors must be the same, wherever they are.
fn compare_documents(
    before: &Snapshot,
    after: &Snapshot,
    differences: &mut Vec<String>,
) -> Result<(), KnowledgeError> {
    let (was, is) = (&before.manifest, &after.manifest);
    let settings =
        was.recipe == is.recipe && was.embedding == is.embedding && was.retrieval == is.retrieval;
    if !settings {
        note(differences, "its recipe, embedding or retrieval differs".to_owned());
    }
    let named = was.documents.keys().eq(is.documents.keys());
    let same = |(a, b): (&DocumentEntry, &DocumentEntry)| a.is_version_of(b);
    if !named || !was.documents.values().zip(is.documents.values()).all(same) {
        note(differences, "its documents differ".to_owned());
    }
    let (earlier, later) = (places(before), places(after));
    for (path, (old, old_rows)) in &earlier {
        let Some((new, new_rows)) = later.get(path) else {
            note(differences, format!("{path} is not there"));
            continue;
        };
        if old.cut(old_rows)? != new.cut(new_rows)? {
            note(differences, format!("{path} has other passages"));
            continue;
        }
        let mut pairs = old_rows.rows.clone().zip(new_rows.rows.clone());
        let vectors = match (&old.vectors, &new.vectors) {
            (Some(old), Some(new)) => {
                old.dimension() == new.dimension()
                    && pairs.all(|(row, other)| old.same(row, (new, other)))
            }
            (None, None) => true,
            _ => false,
        };
        if !vectors {
            note(differences, format!("{path} has other vectors"));
        }
    }
    for path in later.keys().filter(|path| !earlier.contains_key(*path)) {
        note(differences, format!("{path} was not there"));
    }
    Ok(())
}
