//! Which documents are copies of others, and which of them are found.
//!
//! Copies are sought for what is new: of the others it is known already. A copy keeps its passages and
//! its entry, which names the document that is found in its place.

use std::collections::{BTreeMap, BTreeSet};

use release::Digest;

use crate::prepare::near_duplicates;
use crate::spec::Duplicates;
use crate::{Ledger, Manifest, Signature};

/// From which similarity on a document is a copy of another.
const COPY: f64 = 0.9;

/// Notes in `ledger`, which follows on `before`, which documents are copies of others, or nearly.
pub fn mark(ledger: &mut Ledger, before: &Ledger) {
    let same = |path: &str| {
        let (old, new) = (before.documents.get(path), ledger.documents.get(path));
        old.zip(new).is_some_and(|(old, new)| {
            old.signature == new.signature && old.facts.copy_of == new.facts.copy_of
        })
    };
    let found =
        |path: &str| ledger.documents.get(path).is_some_and(|known| known.facts.copy_of.is_none());
    let settled: BTreeSet<&str> = ledger
        .documents
        .iter()
        .filter(|(path, known)| {
            let of = known.facts.copy_of.as_deref();
            same(path) && of.is_none_or(|of| same(of) && found(of))
        })
        .map(|(path, _)| path.as_str())
        .collect();
    let signed = |of_settled: bool| {
        let all = ledger.documents.iter();
        let wanted = all.filter(move |(path, known)| {
            let copy = known.facts.copy_of.is_some();
            settled.contains(path.as_str()) == of_settled && !(of_settled && copy)
        });
        wanted.filter_map(|(path, known)| Some((path.as_str(), known.signature.as_ref()?)))
    };
    let fresh: Vec<(&str, &Signature)> = signed.clone()(false).collect();
    let copies = near_duplicates(signed(true), &fresh, COPY);
    let fresh: Vec<String> = fresh.into_iter().map(|(path, _)| path.to_owned()).collect();
    let copies: BTreeMap<String, String> =
        copies.into_iter().map(|copy| (copy.document, copy.of)).collect();
    for path in fresh {
        if let Some(known) = ledger.documents.get_mut(&path) {
            known.facts.copy_of = copies.get(&path).cloned();
        }
    }
}

/// Lets one of documents that say the same be found, as `duplicates` says.
pub fn collapse(manifest: &mut Manifest, ledger: &Ledger, duplicates: Duplicates) {
    let mut first: BTreeMap<Digest, &String> = BTreeMap::new();
    for (path, known) in &ledger.documents {
        let Some(entry) = manifest.documents.get_mut(path) else { continue };
        let text = known.signature.as_ref().map(|signature| signature.text);
        entry.copy_of = match duplicates {
            Duplicates::Keep => None,
            Duplicates::Near => known.facts.copy_of.clone(),
            Duplicates::Equal => text.and_then(|text| {
                let of = *first.entry(text).or_insert(path);
                (of != path).then(|| of.clone())
            }),
        };
    }
}

#[cfg(test)]
mod tests;
