//! A model's files, and the manifest that pins them.

use std::collections::BTreeMap;

use release::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ModelError;

/// The files that are read of a model, by their paths. The first three must be there.
pub const FILES: [&str; 6] = [
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "modules.json",
];
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
const SENTENCE: &str = FILES[3];
const POOLING: &str = FILES[4];
const MODULES: &str = FILES[5];
/// The form of a manifest.
const FORM: &str = "sentence-transformer/v1";
/// Names the code that tokenizes, pools and normalises; changed whenever its vectors change.
const CODE: &str = "bert-1";

/// A model's files, by path.
#[derive(Debug, Clone, Default)]
pub struct ModelFiles(pub BTreeMap<String, Vec<u8>>);

/// What a model's artifact says: which files it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// Always `sentence-transformer/v1`.
    pub r#type: String,
    /// Its files, by path.
    pub files: BTreeMap<String, FileEntry>,
    /// How many numbers a vector has.
    pub dimension: u32,
    /// How many tokens of a text are read.
    pub max_tokens: u32,
    /// The licence of its files, by its SPDX identifier, if whoever imported it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub bytes: u64,
}

/// The shape of BERT: `config.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    pub model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub hidden_act: String,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

/// How a text's vector comes from its tokens' vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's.
    First,
}

impl ModelFiles {
    /// The manifest of these files.
    pub fn manifest(&self, dimension: usize, max_tokens: usize) -> ModelManifest {
        let files = self.0.iter().filter(|(path, _)| FILES.contains(&path.as_str()));
        let files = files.map(|(path, bytes)| {
            let entry = FileEntry { digest: Digest::of(bytes), bytes: bytes.len() as u64 };
            (path.clone(), entry)
        });
        ModelManifest {
            r#type: FORM.to_owned(),
            files: files.collect(),
            dimension: dimension as u32,
            max_tokens: max_tokens as u32,
            licence: None,
        }
    }

    /// Names all that shapes a vector: each file and the code.
    pub fn identity(&self) -> Digest {
        let files = FILES.iter().filter_map(|path| Some((*path, self.0.get(*path)?)));
        let fields: Vec<Vec<u8>> = files
            .flat_map(|(path, bytes)| [path.into(), Digest::of(bytes).as_bytes().to_vec()])
            .collect();
        Digest::of_fields(std::iter::once(CODE.as_bytes()).chain(fields.iter().map(Vec::as_slice)))
    }

    pub(crate) fn tokenizer(&self) -> Result<&[u8], ModelError> {
        self.required(TOKENIZER)
    }

    pub(crate) fn weights(&self) -> Result<&[u8], ModelError> {
        self.required(WEIGHTS)
    }

    fn required(&self, path: &'static str) -> Result<&[u8], ModelError> {
        self.0.get(path).map(Vec::as_slice).ok_or(ModelError::Missing(path))
    }

    fn json(&self, path: &'static str) -> Result<Option<Value>, ModelError> {
        let read = self.0.get(path).map(|bytes| serde_json::from_slice(bytes)).transpose();
        read.map_err(|error| ModelError::Unreadable { file: path, why: error.to_string() })
    }

    /// The model's shape, if it can be run here.
    pub(crate) fn config(&self) -> Result<Config, ModelError> {
        let unreadable = |error: serde_json::Error| ModelError::Unreadable {
            file: CONFIG,
            why: error.to_string(),
        };
        let config: Config = serde_json::from_slice(self.required(CONFIG)?).map_err(unreadable)?;
        let refused = |why: String| Err(ModelError::Unsupported(why));
        if config.model_type != "bert" {
            return refused(format!("it is a `{}`; only `bert` is", config.model_type));
        }
        if config.hidden_act != "gelu" {
            return refused(format!("its activation is `{}`; only `gelu` is", config.hidden_act));
        }
        let absolute = |kind: &String| kind == "absolute";
        if !config.position_embedding_type.as_ref().is_none_or(absolute) {
            return refused("its positions are not absolute".to_owned());
        }
        let sizes = [
            config.hidden_size,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.max_position_embeddings,
        ];
        if sizes.contains(&0) || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return refused("its sizes make no model".to_owned());
        }
        if let Some(Value::Array(modules)) = self.json(MODULES)? {
            let last = |module: &Value| {
                let name = module["type"].as_str().unwrap_or_default();
                name.rsplit('.').next().unwrap_or_default().to_owned()
            };
            let known = ["Transformer", "Pooling", "Normalize"];
            if let Some(other) =
                modules.iter().map(last).find(|name| !known.contains(&name.as_str()))
            {
                return refused(format!("it has a module `{other}`"));
            }
        }
        Ok(config)
    }

    pub(crate) fn pooling(&self) -> Result<Pooling, ModelError> {
        let Some(config) = self.json(POOLING)? else { return Ok(Pooling::Mean) };
        let modes = config.as_object().into_iter().flatten();
        let chosen: Vec<&str> = modes
            .filter(|(key, value)| key.starts_with("pooling_mode_") && **value == Value::Bool(true))
            .map(|(key, _)| key.trim_start_matches("pooling_mode_"))
            .collect();
        match chosen[..] {
            ["mean_tokens"] => Ok(Pooling::Mean),
            ["cls_token"] => Ok(Pooling::First),
            _ => Err(ModelError::Unsupported(format!("it pools by `{}`", chosen.join("+")))),
        }
    }

    /// How many tokens of a text are read: `tokenizer.json` says something else, for training.
    pub(crate) fn max_tokens(&self, config: &Config) -> Result<usize, ModelError> {
        let said = self.json(SENTENCE)?.and_then(|sentence| sentence["max_seq_length"].as_u64());
        let said = said.and_then(|said| usize::try_from(said).ok()).filter(|said| *said > 2);
        Ok(said.unwrap_or(usize::MAX).min(config.max_position_embeddings))
    }
}
