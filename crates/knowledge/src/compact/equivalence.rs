//! Whether two snapshots are the same knowledge.

use std::sync::Arc;

use release::Digest;

use super::places;
use crate::retrieve::{Question, found};
use crate::{DocumentEntry, Judged, KnowledgeError, Snapshot};

/// How many questions are drawn from the passages themselves.
const DRAWN: usize = 64;
/// How many words a drawn question has.
const WORDS: usize = 12;
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
    let given = questions.iter().map(|query| Question {
        text: query.query.clone(),
        vector: query.vector.as_deref().map(Arc::from),
    });
    let mut asked: Vec<Question> = given.collect();
    if asked.is_empty() {
        asked = drawn(before)?;
    }
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

/// Questions that passages ask themselves, spread evenly over all of them: how each begins, with its
/// own vector.
fn drawn(snapshot: &Snapshot) -> Result<Vec<Question>, KnowledgeError> {
    let places = places(snapshot);
    let rows = places
        .values()
        .flat_map(|(segment, document)| document.rows.clone().map(move |row| (*segment, row)));
    let rows: Vec<_> = rows.collect();
    let step = rows.len().div_ceil(DRAWN).max(1);
    let drawn = rows.into_iter().step_by(step).map(|(segment, row)| {
        let text = segment.chunk(row)?.text;
        let words: Vec<&str> = text.split_whitespace().take(WORDS).collect();
        let vector = segment.vectors.as_ref().map(|vectors| vectors.values(row..row + 1).collect());
        Ok(Question { text: words.join(" "), vector })
    });
    drawn.collect()
}
