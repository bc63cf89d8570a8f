//! Turning passages and questions into vectors.
//!
//! What is embedded is a passage with its title and headings before it. A vector is asked for once:
//! it is kept by the embedder's identity and the exact text, so that an unchanged paragraph of a
//! changed document costs nothing.

mod cache;
mod questions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use release::{Digest, Money, TenantId};
use serde::{Deserialize, Serialize};

use crate::chunk::Chunk;
use crate::segment::{Matrix, normalise};
use crate::spec::{EmbeddingEntry, EmbeddingSpec, RerankSpec};
use crate::{KnowledgeError, Reranker, Watch};

pub use cache::{CacheKey, EmbeddingCache};
pub use questions::QuestionVectors;

/// How many known texts a batch asks for again, and how alike their vectors must be: providers'
/// vectors of a text differ a little from call to call.
const CHECKED: usize = 3;
const SAME: f32 = 0.98;
/// The most bytes of a question that are embedded.
const MAX_QUESTION: usize = 8 << 10;

/// A model that turns texts into vectors.
#[async_trait]
pub trait Embedder: std::fmt::Debug + Send + Sync {
    /// Names everything that shapes a vector: model, tokenizer, pooling, greatest length and
    /// normalisation; of a provider's model, its name. Equal identities mean equal vectors.
    fn identity(&self) -> Digest;

    /// What one call may hold.
    fn limits(&self) -> CallLimits;

    /// A vector for each of `texts`, in their order, all of one dimension.
    ///
    /// # Errors
    /// [`KnowledgeError::Model`] if the model does not give them, however often it was asked.
    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError>;
}

/// What one call of an embedder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// The most texts.
    pub texts: usize,
    /// The most bytes of all texts; a longer text is sent alone.
    pub bytes: usize,
}

/// What an embedder made, and what that took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embedded {
    /// The vectors, of any length.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens were read.
    pub tokens: u64,
    /// What it cost; none if it costs nothing or has no price.
    pub cost: Option<Money>,
}

/// Where the models of knowledge come from: who knows the providers and the imported models.
#[async_trait]
pub trait KnowledgeModels: std::fmt::Debug + Send + Sync {
    /// The model that `spec` means for `tenant` now; `artifact` is the imported model that it meant
    /// when a snapshot was made.
    ///
    /// # Errors
    /// [`KnowledgeError::Model`] if there is none that the tenant may use.
    async fn embedder(
        &self,
        tenant: &TenantId,
        spec: &EmbeddingSpec,
        artifact: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError>;

    /// The model that orders passages anew.
    ///
    /// # Errors
    /// [`KnowledgeError::Model`] if there is none that the tenant may use.
    async fn reranker(
        &self,
        tenant: &TenantId,
        spec: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError>;
}

/// An embedder, and the artifact it was made from.
#[derive(Debug, Clone)]
pub struct OpenEmbedder {
    /// The embedder.
    pub embedder: Arc<dyn Embedder>,
    /// The imported model; none for a provider's.
    pub artifact: Option<Digest>,
}

/// No models at all: passages are found by words.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

#[async_trait]
impl KnowledgeModels for NoModels {
    async fn embedder(
        &self,
        _: &TenantId,
        spec: &EmbeddingSpec,
        _: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        Err(KnowledgeError::model(&spec.model, "knowledge has no models here"))
    }

    async fn reranker(
        &self,
        _: &TenantId,
        spec: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError> {
        Err(KnowledgeError::model(&spec.model, "knowledge has no models here"))
    }
}

impl EmbeddingEntry {
    /// The embedder that made a snapshot's vectors, for its questions.
    ///
    /// # Errors
    /// If it is not there any more, or is another one now: then vectors do not compare.
    pub async fn open(
        &self,
        models: &dyn KnowledgeModels,
        tenant: &TenantId,
    ) -> Result<Arc<dyn Embedder>, KnowledgeError> {
        let embedder = models.embedder(tenant, &self.spec, self.artifact).await?.embedder;
        if embedder.identity() != self.identity {
            let why = "it is not the one that made the snapshot's vectors: refresh";
            return Err(KnowledgeError::model(&self.spec.model, why));
        }
        Ok(embedder)
    }
}

/// What embedding a batch took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingReport {
    /// How many different texts were embedded.
    pub embedded: u64,
    /// How many had a vector already.
    pub cached: u64,
    /// How many known texts were asked for again, to see that the model is still the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub checked: u64,
    /// How many tokens the model read.
    pub tokens: u64,
    /// What that cost; none if it costs nothing or has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// An embedder at work on a knowledge base.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// What the knowledge base says of it.
    pub spec: EmbeddingSpec,
    /// The embedder.
    pub open: OpenEmbedder,
    /// Where vectors are kept.
    pub cache: EmbeddingCache,
}

impl Embedding {
    /// What a snapshot says of its vectors.
    pub fn entry(&self, dimension: usize) -> EmbeddingEntry {
        EmbeddingEntry {
            spec: self.spec.clone(),
            artifact: self.open.artifact,
            identity: self.open.embedder.identity(),
            dimension: dimension as u32,
        }
    }

    /// Whether vectors of `entry` and this embedder's may stand in one snapshot.
    pub fn fits(&self, entry: &EmbeddingEntry) -> bool {
        *entry == self.entry(entry.dimension as usize)
    }

    /// A vector for each passage, in order. What was embedded is kept page by page: work that is
    /// stopped goes on there. Two at once on the same texts may both embed them, and agree.
    ///
    /// # Errors
    /// If the embedder fails, its vectors do not fit, or they cannot be kept.
    pub async fn vectors(
        &self,
        chunks: &[&Chunk],
        watch: &Watch,
    ) -> Result<(Matrix, EmbeddingReport), KnowledgeError> {
        let embedder = &self.open.embedder;
        let identity = embedder.identity();
        let texts: Vec<String> =
            chunks.iter().map(|chunk| passage_text(&self.spec, chunk)).collect();
        let keys: Vec<CacheKey> = texts.iter().map(|text| CacheKey::of(text)).collect();
        // Equal texts are one.
        let wanted: BTreeMap<CacheKey, &String> = keys.iter().copied().zip(&texts).collect();
        let mut known = self.cache.find(identity, &wanted).await?;
        let mut report =
            EmbeddingReport { cached: known.len() as u64, ..EmbeddingReport::default() };
        let missing = wanted.iter().filter(|(key, _)| !known.contains_key(*key));
        let mut missing: Vec<(CacheKey, &String)> =
            missing.map(|(key, text)| (*key, *text)).collect();
        if !missing.is_empty() && self.open.artifact.is_none() {
            report.checked = self.check_model(&wanted, &known).await?;
        }
        // Texts of like length together: a model pads each to the longest of its call.
        missing.sort_by_key(|(key, text)| (text.len(), *key));
        watch.begin("embedding", "texts", Some(missing.len() as u64));
        let mut page = Vec::new();
        for call in calls(&missing, embedder.limits()) {
            watch.wanted()?;
            let texts: Vec<String> = call.iter().map(|(_, text)| (*text).clone()).collect();
            let made = embedder.embed(&texts).await?;
            report.add(&made);
            let vectors = checked(&self.spec.model, made.vectors, texts.len())?;
            page.extend(call.iter().map(|(key, _)| *key).zip(vectors));
            watch.did(call.len() as u64);
            if page.len() >= cache::PAGE {
                self.cache.keep(identity, &page).await?;
                known.extend(page.drain(..));
            }
        }
        self.cache.keep(identity, &page).await?;
        known.extend(page);
        Ok((self.matrix(&keys, &known)?, report))
    }

    /// Asks for vectors that are known already: a provider may have changed the model behind its name,
    /// and vectors of two models must not stand side by side. An imported model cannot change. How many
    /// texts were asked for.
    async fn check_model(
        &self,
        wanted: &BTreeMap<CacheKey, &String>,
        known: &HashMap<CacheKey, Vec<f32>>,
    ) -> Result<u64, KnowledgeError> {
        let known = wanted.iter().filter_map(|(key, text)| Some((*text, known.get(key)?)));
        let (texts, before): (Vec<String>, Vec<_>) =
            known.take(CHECKED).map(|(text, vector)| (text.clone(), vector)).unzip();
        if texts.is_empty() {
            return Ok(0);
        }
        let made = self.open.embedder.embed(&texts).await?;
        let made = checked(&self.spec.model, made.vectors, texts.len())?;
        let alike = |(now, before): (&Vec<f32>, &&Vec<f32>)| match now.len() == before.len() {
            true => now.iter().zip(before.iter()).map(|(a, b)| a * b).sum(),
            false => 0.0_f32,
        };
        let least = made.iter().zip(&before).map(alike).fold(1.0, f32::min);
        if least < SAME {
            let why = format!(
                "it gives other vectors than before (cosine {least:.3} for a text that is known): \
                 the provider changed it behind its name; set another `embedding.revision`, so that \
                 everything is embedded anew"
            );
            return Err(KnowledgeError::model(&self.spec.model, why));
        }
        Ok(texts.len() as u64)
    }

    fn matrix(
        &self,
        keys: &[CacheKey],
        known: &HashMap<CacheKey, Vec<f32>>,
    ) -> Result<Matrix, KnowledgeError> {
        let wrong = |why: &str| KnowledgeError::model(&self.spec.model, why);
        let mut matrix = Matrix::new(known.values().next().map_or(0, Vec::len));
        for key in keys {
            let vector = known.get(key).ok_or_else(|| wrong("a text has no vector"))?;
            if vector.len() != matrix.dimension {
                return Err(wrong("its vectors are of several dimensions"));
            }
            matrix.values.extend_from_slice(vector);
        }
        Ok(matrix)
    }
}

/// What is embedded of a passage.
pub(crate) fn passage_text(spec: &EmbeddingSpec, chunk: &Chunk) -> String {
    let mut above = vec![chunk.title.as_str()];
    above.extend(chunk.headings.iter().map(String::as_str));
    above.dedup();
    above.retain(|text| !text.is_empty());
    let (prefix, above) = (&spec.passage_prefix, above.join(" › "));
    match above.as_str() {
        "" => format!("{prefix}{}", chunk.text),
        above => format!("{prefix}{above}\n{}", chunk.text),
    }
}

/// The vectors of questions, of length 1, in order.
///
/// # Errors
/// If the embedder fails, or its vectors do not fit.
pub async fn question_vectors(
    embedder: &dyn Embedder,
    spec: &EmbeddingSpec,
    questions: &[&str],
) -> Result<Vec<Vec<f32>>, KnowledgeError> {
    let texts = questions.iter().map(|question| {
        let end = question.floor_char_boundary(MAX_QUESTION);
        format!("{}{}", spec.question_prefix, &question[..end])
    });
    let texts: Vec<String> = texts.collect();
    let mut asked: Vec<(usize, &String)> = texts.iter().enumerate().collect();
    asked.sort_by_key(|(at, text)| (text.len(), *at));
    let mut vectors = vec![Vec::new(); texts.len()];
    for call in calls(&asked, embedder.limits()) {
        let texts: Vec<String> = call.iter().map(|(_, text)| (*text).clone()).collect();
        let made = embedder.embed(&texts).await?;
        let made = checked(&spec.model, made.vectors, texts.len())?;
        call.iter().zip(made).for_each(|((at, _), vector)| vectors[*at] = vector);
    }
    Ok(vectors)
}

/// A vector as text: its numbers in 32 bits, little endian, in hex.
pub fn vector_to_hex(vector: &[f32]) -> String {
    hex::encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// Reads a vector that [`vector_to_hex`] wrote.
///
/// # Errors
/// If the text is something else.
pub fn vector_from_hex(text: &str) -> Result<Vec<f32>, KnowledgeError> {
    let bytes = hex::decode(text).ok().filter(|bytes| bytes.len().is_multiple_of(4));
    let bytes = bytes.ok_or_else(|| KnowledgeError::Ask("a vector is not in hex".to_owned()))?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Vectors of length 1, one for each text.
fn checked(
    model: &str,
    mut vectors: Vec<Vec<f32>>,
    texts: usize,
) -> Result<Vec<Vec<f32>>, KnowledgeError> {
    let wrong = |why: &str| KnowledgeError::model(model, why);
    if vectors.len() != texts {
        return Err(wrong(&format!("it gave {} vectors to {texts} texts", vectors.len())));
    }
    for vector in &mut vectors {
        if vector.is_empty() || !normalise(vector) {
            return Err(wrong("it gave a vector that is empty or not of numbers"));
        }
    }
    Ok(vectors)
}

impl EmbeddingReport {
    fn add(&mut self, made: &Embedded) {
        self.embedded += made.vectors.len() as u64;
        self.tokens += made.tokens;
        self.cost = match (self.cost, made.cost) {
            (Some(sum), Some(more)) => sum.checked_add(more).or(self.cost),
            (sum, more) => sum.or(more),
        };
    }
}

/// `texts` in calls within `limits`.
fn calls<'a, T>(
    texts: &'a [(T, &'a String)],
    limits: CallLimits,
) -> impl Iterator<Item = &'a [(T, &'a String)]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(limits.texts.max(1)).take_while(|(_, text)| {
            bytes += text.len();
            bytes <= limits.bytes
        });
        let count = fits.count().max(1).min(rest.len());
        let (call, after) = rest.split_at(count);
        rest = after;
        (!call.is_empty()).then_some(call)
    })
}

#[cfg(test)]
pub(crate) mod tests;
