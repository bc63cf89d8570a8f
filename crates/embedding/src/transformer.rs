//! A sentence transformer: tokens, BERT, pooling.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use release::Digest;
use tokenizers::{Tokenizer, TruncationParams};

use crate::bert::Bert;
use crate::files::Pooling;
use crate::{ModelError, ModelFiles, ModelManifest};

/// A model that turns texts into vectors of length 1.
#[derive(Debug)]
pub struct SentenceTransformer {
    tokenizer: Tokenizer,
    bert: Bert,
    pooling: Pooling,
    identity: Digest,
    manifest: ModelManifest,
}

/// Vectors, and how many tokens were read for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vectors {
    /// A vector for each text.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens were read.
    pub tokens: u64,
}

impl SentenceTransformer {
    /// Reads a model and tries it on a short text.
    ///
    /// # Errors
    /// If a file is missing or unreadable, or the model is not one that can be run here.
    pub fn open(files: &ModelFiles) -> Result<Self, ModelError> {
        let config = files.config()?;
        let max_tokens = files.max_tokens(&config)?;
        let unreadable = |file: &'static str, why: String| ModelError::Unreadable { file, why };
        let mut tokenizer = Tokenizer::from_bytes(files.tokenizer()?)
            .map_err(|error| unreadable("tokenizer.json", error.to_string()))?;
        // The file's own settings pad everything to 128 tokens and cut there.
        tokenizer.with_padding(None);
        let cut = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        tokenizer
            .with_truncation(Some(cut))
            .map_err(|error| unreadable("tokenizer.json", error.to_string()))?;
        if tokenizer.get_vocab_size(true) > config.vocab_size {
            return Err(ModelError::Unsupported("its tokenizer has more words than it".to_owned()));
        }
        let weights =
            VarBuilder::from_slice_safetensors(files.weights()?, DType::F32, &Device::Cpu);
        let bert = weights.and_then(|weights| Bert::load(&config, weights));
        let bert = bert.map_err(|error| unreadable("model.safetensors", error.to_string()))?;
        let model = Self {
            tokenizer,
            bert,
            pooling: files.pooling()?,
            identity: files.identity(),
            manifest: files.manifest(config.hidden_size, max_tokens),
        };
        model.embed(&["a model is tried before it is kept".to_owned()])?;
        Ok(model)
    }

    /// What its artifact says.
    pub fn manifest(&self) -> &ModelManifest {
        &self.manifest
    }

    /// Names all that shapes a vector.
    pub fn identity(&self) -> Digest {
        self.identity
    }

    /// A vector for each text. Texts of like length together cost least: the shorter ones are filled
    /// up to the longest. Takes CPU time.
    ///
    /// # Errors
    /// If computing fails, or gives something that is not a number.
    pub fn embed(&self, texts: &[String]) -> Result<Vectors, ModelError> {
        if texts.is_empty() {
            return Ok(Vectors::default());
        }
        let failed = |error: tokenizers::Error| ModelError::Failed(error.to_string());
        let encoded = texts.iter().map(|text| self.tokenizer.encode_fast(text.as_str(), true));
        let encoded = encoded.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let lengths: Vec<usize> = encoded.iter().map(|text| text.get_ids().len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
        let fill = |ids: &[u32]| {
            let rest = longest - ids.len();
            ids.iter().copied().chain(std::iter::repeat_n(0, rest)).collect::<Vec<u32>>()
        };
        let ids: Vec<u32> = encoded.iter().flat_map(|text| fill(text.get_ids())).collect();
        let ids = Tensor::from_vec(ids, (texts.len(), longest), &Device::Cpu)?;
        let even = lengths.iter().all(|length| *length == longest);
        let mask =
            |length: usize| (0..longest).map(move |at| if at < length { 1.0_f32 } else { 0.0 });
        let mask: Vec<f32> = lengths.iter().flat_map(|length| mask(*length)).collect();
        let mask = Tensor::from_vec(mask, (texts.len(), longest), &Device::Cpu)?;
        let states = self.bert.forward(&ids, (!even).then_some(&mask))?;
        let pooled = match self.pooling {
            // Scale does not matter: every vector gets length 1.
            Pooling::Mean => states.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?,
            Pooling::First => states.narrow(1, 0, 1)?.squeeze(1)?,
        };
        let length = pooled.sqr()?.sum_keepdim(1)?.sqrt()?;
        let vectors = pooled.broadcast_div(&length)?.to_vec2::<f32>()?;
        if vectors.iter().flatten().any(|value| !value.is_finite()) {
            return Err(ModelError::Failed("it gave something that is not a number".to_owned()));
        }
        Ok(Vectors { vectors, tokens: lengths.iter().sum::<usize>() as u64 })
    }
}
