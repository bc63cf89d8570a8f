//! Golden queries: what a snapshot finds, written down so that it can be compared byte for byte.

use std::collections::HashMap;

use release::{CanonicalJson, Digest};
use serde::{Deserialize, Serialize};

use super::Judged;
use crate::embed::{vector_from_hex, vector_to_hex};
use crate::{KnowledgeError, Mode, Snapshot};

/// The form that this version reads and writes.
const FORM: &str = "golden/v1";

/// What a snapshot finds for each of some queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenQueries {
    /// Always `golden/v1`.
    pub r#type: String,
    /// The snapshot.
    pub snapshot: Digest,
    /// How it was asked.
    pub mode: Mode,
    /// For how many passages.
    pub k: usize,
    /// The queries and what they found.
    pub queries: Vec<Golden>,
}

/// A query and what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The query.
    pub query: String,
    /// Its vector, little-endian 32-bit numbers in hex: asking again needs no embedder.
    pub vector: Option<String>,
    /// Paths of documents or ids of passages that must be among what it finds.
    pub must: Vec<String>,
    /// What of that is not.
    pub missed: Vec<String>,
    /// The passages it found, best first, each with its score.
    pub top: Vec<(Digest, f32)>,
}

impl GoldenQueries {
    /// Asks `snapshot` each of `queries` as its knowledge base wants it, for `k` passages. A query
    /// must find all that is relevant to it.
    ///
    /// # Errors
    /// If a query lacks the vector that the mode needs, or the snapshot is unreadable.
    pub fn record(
        snapshot: &Snapshot,
        queries: &[Judged],
        k: usize,
    ) -> Result<Self, KnowledgeError> {
        let recorded = queries.iter().map(|query| {
            let ask = query.ask(snapshot, k);
            let found = snapshot.retrieve(&ask)?.passages;
            let has = |wanted: &&String| found.iter().any(|hit| hit.answers(wanted));
            let missed = query.relevant.iter().filter(|wanted| !has(wanted)).cloned().collect();
            let vector = query.vector.as_ref().filter(|_| ask.needs_vector());
            Ok(Golden {
                query: query.query.clone(),
                vector: vector.map(|vector| vector_to_hex(vector)),
                must: query.relevant.clone(),
                missed,
                top: found.iter().map(|hit| (hit.id, hit.score)).collect(),
            })
        });
        Ok(Self {
            r#type: FORM.to_owned(),
            snapshot: snapshot.digest,
            mode: snapshot.ask("", k).mode,
            k,
            queries: recorded.collect::<Result<_, KnowledgeError>>()?,
        })
    }

    /// Asks another opening of the snapshot, or another snapshot, the same, with the same vectors.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn again(&self, snapshot: &Snapshot) -> Result<Self, KnowledgeError> {
        let queries: Result<Vec<_>, KnowledgeError> =
            self.queries.iter().map(Golden::judged).collect();
        Self::record(snapshot, &queries?, self.k)
    }

    /// Whether it was asked exactly these queries.
    pub fn asks(&self, queries: &[Judged]) -> bool {
        let same = |(golden, query): (&Golden, &Judged)| {
            golden.query == query.query && golden.must == query.relevant
        };
        self.queries.len() == queries.len() && self.queries.iter().zip(queries).all(same)
    }

    /// Gives queries that have no vector the one that was recorded for them, if there is one.
    ///
    /// # Errors
    /// If a recorded vector is unreadable.
    pub fn carry_vectors(&self, queries: &mut [Judged]) -> Result<(), KnowledgeError> {
        let known: HashMap<&str, &str> = self
            .queries
            .iter()
            .filter_map(|golden| Some((golden.query.as_str(), golden.vector.as_deref()?)))
            .collect();
        for query in queries.iter_mut().filter(|query| query.vector.is_none()) {
            let vector = known.get(query.query.as_str()).map(|vector| vector_from_hex(vector));
            query.vector = vector.transpose()?;
        }
        Ok(())
    }

    /// What differs in `other`, a line each; the snapshots' digests aside.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if (self.mode, self.k, self.queries.len()) != (other.mode, other.k, other.queries.len()) {
            found.push("the queries were asked in another way".to_owned());
        }
        for (ours, theirs) in self.queries.iter().zip(&other.queries) {
            let ids = |golden: &Golden| golden.top.iter().map(|hit| hit.0).collect::<Vec<_>>();
            if ids(ours) != ids(theirs) {
                found.push(format!("`{}` finds other passages, or in another order", ours.query));
            } else if ours != theirs {
                found.push(format!("`{}` finds the same passages with other scores", ours.query));
            }
        }
        found
    }

    /// The queries that do not find what they must.
    pub fn missed(&self) -> impl Iterator<Item = &Golden> {
        self.queries.iter().filter(|golden| !golden.missed.is_empty())
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// If a number has no canonical form.
    pub fn bytes(&self) -> Result<Vec<u8>, KnowledgeError> {
        Ok(CanonicalJson::of(self)?.into_bytes())
    }

    /// Reads what [`Self::bytes`] wrote, whose digest was checked.
    ///
    /// # Errors
    /// [`KnowledgeError::Corrupt`] if the bytes do not have the form.
    pub fn read(digest: Digest, bytes: &[u8]) -> Result<Self, KnowledgeError> {
        let corrupt = |why: String| KnowledgeError::Corrupt { part: digest, why };
        let json = CanonicalJson::from_stored(bytes.to_vec());
        let json = json.map_err(|error| corrupt(error.to_string()))?;
        let golden: Self = json.read().map_err(|error| corrupt(error.to_string()))?;
        if golden.r#type == FORM {
            Ok(golden)
        } else {
            Err(corrupt(format!("form `{}` is not `{FORM}`", golden.r#type)))
        }
    }
}

impl Golden {
    fn judged(&self) -> Result<Judged, KnowledgeError> {
        let vector = self.vector.as_deref().map(vector_from_hex).transpose()?;
        Ok(Judged { query: self.query.clone(), relevant: self.must.clone(), vector })
    }
}
