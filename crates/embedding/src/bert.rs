//! BERT's encoder (Devlin and others, 2018), as sentence transformers use it: from token ids to one
//! vector a token.

use candle_core::{D, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear};

use crate::files::Config;

/// Added to the attention of a token that only fills up: small enough to vanish.
const HIDDEN: f32 = -1e9;

#[derive(Debug)]
pub struct Bert {
    words: Embedding,
    /// Position and token type, whose type is always the first, as one table.
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value at once.
    attend: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
    narrowed_norm: LayerNorm,
    heads: usize,
}

impl Bert {
    pub fn load(config: &Config, weights: VarBuilder<'_>) -> Result<Self> {
        // Some files have the whole model below `bert`.
        let prefixed = weights.contains_tensor("bert.embeddings.word_embeddings.weight");
        let weights = if prefixed { weights.pp("bert") } else { weights };
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
        let table = weights.pp("embeddings");
        let words = embedding(config.vocab_size, hidden, table.pp("word_embeddings"))?;
        let places = config.max_position_embeddings;
        let positions = table.pp("position_embeddings").get((places, hidden), "weight")?;
        let types =
            table.pp("token_type_embeddings").get((config.type_vocab_size, hidden), "weight")?;
        let positions = positions.broadcast_add(&types.narrow(0, 0, 1)?)?;
        let norm = layer_norm(hidden, eps, table.pp("LayerNorm"))?;
        let layers = (0..config.num_hidden_layers)
            .map(|number| Layer::load(config, &weights.pp("encoder.layer").pp(number)));
        Ok(Self { words, positions, norm, layers: layers.collect::<Result<_>>()? })
    }

    /// A vector a token, of `ids` (texts × tokens). `mask` (texts × tokens) is 1 for tokens and 0 for
    /// what only fills up; none if nothing does.
    pub fn forward(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let tokens = ids.dim(1)?;
        let positions = self.positions.narrow(0, 0, tokens)?;
        let mut states = self.norm.forward(&self.words.forward(ids)?.broadcast_add(&positions)?)?;
        let hide = match mask {
            // 0 for tokens, far below 0 for what fills up.
            Some(mask) => Some(
                mask.affine(f64::from(-HIDDEN), f64::from(HIDDEN))?.unsqueeze(1)?.unsqueeze(1)?,
            ),
            None => None,
        };
        for layer in &self.layers {
            states = layer.forward(&states, hide.as_ref())?;
        }
        Ok(states)
    }
}

impl Layer {
    fn load(config: &Config, weights: &VarBuilder<'_>) -> Result<Self> {
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
        let own = weights.pp("attention.self");
        let part = |name: &str| linear(hidden, hidden, own.pp(name));
        let parts = [part("query")?, part("key")?, part("value")?];
        let all = parts.each_ref().map(Linear::weight);
        let bias: Vec<_> = parts.iter().filter_map(Linear::bias).collect();
        let attend = Linear::new(Tensor::cat(&all, 0)?, Some(Tensor::cat(&bias, 0)?));
        let (wide, out) = (config.intermediate_size, weights.pp("output"));
        Ok(Self {
            attend,
            attended: linear(hidden, hidden, weights.pp("attention.output.dense"))?,
            attended_norm: layer_norm(hidden, eps, weights.pp("attention.output.LayerNorm"))?,
            widen: linear(hidden, wide, weights.pp("intermediate.dense"))?,
            narrow: linear(wide, hidden, out.pp("dense"))?,
            narrowed_norm: layer_norm(hidden, eps, out.pp("LayerNorm"))?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, states: &Tensor, hide: Option<&Tensor>) -> Result<Tensor> {
        let (texts, tokens, hidden) = states.dims3()?;
        let width = hidden / self.heads;
        let all = self.attend.forward(states)?;
        let part = |number: usize| {
            let part = all.narrow(D::Minus1, number * hidden, hidden)?;
            part.reshape((texts, tokens, self.heads, width))?.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let query = query.affine(1.0 / (width as f64).sqrt(), 0.0)?;
        let mut scores = query.matmul(&key.t()?)?;
        if let Some(hide) = hide {
            scores = scores.broadcast_add(hide)?;
        }
        let attention = candle_nn::ops::softmax_last_dim(&scores)?;
        let context = attention.matmul(&value)?.transpose(1, 2)?;
        let context = context.contiguous()?.reshape((texts, tokens, hidden))?;
        let attended = (self.attended.forward(&context)? + states)?;
        let attended = self.attended_norm.forward(&attended)?;
        let wide = self.widen.forward(&attended)?.gelu_erf()?;
        self.narrowed_norm.forward(&(self.narrow.forward(&wide)? + attended)?)
    }
}
