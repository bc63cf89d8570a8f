//! Documents that say almost the same.
//!
//! A signature has 64 minima of hashes over a text's shingles of five words: two texts share as many of
//! their minima, about, as they share of their shingles (Jaccard's similarity; Broder 1997, "On the
//! resemblance and containment of documents"; the standard error is at most 1/16). Documents are
//! compared where one of 16 bands of 4 minima is equal, which it is for a pair of similarity `s` with
//! the probability `1 − (1 − s⁴)¹⁶`: 0.64 at 0.5, 0.9998 at 0.8. Everything is deterministic: the
//! hashes are fixed.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use release::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many words a shingle has.
const SHINGLE: usize = 5;
/// How many minima a band has, and how many bands there are.
const ROWS: usize = 4;
const BANDS: usize = 16;
/// With how many documents of a band one is compared at most: they are all different from each other.
const MAX_COMPARED: usize = 64;

/// What tells whether documents say almost the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The digest of the text: equal texts are duplicates, however short.
    pub text: Digest,
    /// The minima; none for a text without words.
    #[serde(with = "packed")]
    minima: Vec<u32>,
}

/// A document that says almost the same as another.
#[derive(Debug, Clone, PartialEq)]
pub struct NearDuplicate {
    /// The document.
    pub document: String,
    /// The one that says the same, which is no near-duplicate itself.
    pub of: String,
    /// How alike they are: 1 if they are equal.
    pub similarity: f64,
}

impl Signature {
    /// The signature of a text.
    pub fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<u64> = words.map(hash).collect();
        let mut minima = Vec::new();
        if !words.is_empty() {
            minima = vec![u32::MAX; ROWS * BANDS];
            for shingle in words.windows(SHINGLE.min(words.len())) {
                let shingle = shingle.iter().fold(0, |all, word| mix(all ^ word));
                for (least, seed) in minima.iter_mut().zip(1_u64..) {
                    let hash = mix(shingle ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    *least = (*least).min((hash >> 32) as u32);
                }
            }
        }
        Self { text: Digest::of(text.as_bytes()), minima }
    }

    /// How alike two texts are, from 0 to 1, as estimated.
    pub fn similarity(&self, other: &Self) -> f64 {
        if self.text == other.text {
            return 1.0;
        }
        let equal = self.minima.iter().zip(&other.minima).filter(|(own, other)| own == other);
        equal.count() as f64 / (ROWS * BANDS) as f64
    }
}

/// Which of the `fresh` documents are at least `similarity` alike to one that is `served` already, or
/// to a fresh one before them, which is none itself. Only the fresh are indexed: what is served is
/// looked up among them, in time linear in its number, and never compared with itself.
pub fn near_duplicates<'a>(
    served: impl IntoIterator<Item = (&'a str, &'a Signature)>,
    fresh: &[(&'a str, &'a Signature)],
    similarity: f64,
) -> Vec<NearDuplicate> {
    if fresh.is_empty() {
        return Vec::new();
    }
    let mut all = Index::default();
    fresh.iter().enumerate().for_each(|(at, (_, signature))| all.add(at, signature));
    let mut best: Vec<Option<(&str, f64)>> = vec![None; fresh.len()];
    for (path, signature) in served {
        for at in all.near(signature) {
            let alike = signature.similarity(fresh[at].1);
            if alike >= similarity && best[at].is_none_or(|(_, before)| alike > before) {
                best[at] = Some((path, alike));
            }
        }
    }
    let (mut kept, mut found) = (Index::default(), Vec::new());
    for (at, (path, signature)) in fresh.iter().enumerate() {
        let mut of = best[at];
        if of.is_none() {
            for other in kept.near(signature) {
                let alike = signature.similarity(fresh[other].1);
                if alike >= similarity && of.is_none_or(|(_, before)| alike > before) {
                    of = Some((fresh[other].0, alike));
                }
            }
        }
        match of {
            Some((of, similarity)) => {
                let (document, of) = ((*path).to_owned(), of.to_owned());
                found.push(NearDuplicate { document, of, similarity });
            }
            None => kept.add(at, signature),
        }
    }
    found
}

/// Documents by their texts and by their bands.
#[derive(Default)]
struct Index<'a> {
    texts: HashMap<Digest, Vec<usize>>,
    bands: HashMap<(usize, &'a [u32]), Vec<usize>>,
}

impl<'a> Index<'a> {
    fn add(&mut self, at: usize, signature: &'a Signature) {
        self.texts.entry(signature.text).or_default().push(at);
        for key in signature.minima.chunks(ROWS).enumerate() {
            self.bands.entry(key).or_default().push(at);
        }
    }

    /// The documents that may say the same, some of them more than once.
    fn near(&self, signature: &'a Signature) -> impl Iterator<Item = usize> {
        let equal = self.texts.get(&signature.text).into_iter().flatten();
        let bands = signature.minima.chunks(ROWS).enumerate();
        let near = bands.filter_map(|key| self.bands.get(&key));
        equal.chain(near.flat_map(|near| near.iter().take(MAX_COMPARED))).copied()
    }
}

/// 64-bit FNV-1a of a word in lower case.
fn hash(word: &str) -> u64 {
    let lower = word.chars().flat_map(char::to_lowercase);
    lower.fold(0xcbf2_9ce4_8422_2325, |hash, char| {
        (hash ^ u64::from(u32::from(char))).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Minima as Base64 of their bytes, little endian.
mod packed {
    use super::{BASE64, Deserialize, Deserializer, Engine, Serializer};

    pub fn serialize<S: Serializer>(minima: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = minima.iter().flat_map(|least| least.to_le_bytes()).collect();
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(serde::de::Error::custom)?;
        let (words, rest) = bytes.as_chunks::<4>();
        match rest.is_empty() && (words.is_empty() || words.len() == super::ROWS * super::BANDS) {
            true => Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect()),
            false => Err(serde::de::Error::custom("it is no signature")),
        }
    }
}

#[cfg(test)]
mod tests;
