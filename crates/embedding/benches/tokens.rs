//! How many tokens a second a model reads, on chunks of about 210 tokens.
//!
//! `cargo xtask bench knowledge` runs it beside the same weights in numpy.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks in the terminal")]

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use embedding::{FILES, ModelFiles, SentenceTransformer};

const CHUNKS: usize = 64;
const BATCH: usize = 8;

fn main() {
    let Some(folder) = std::env::var_os("GROUNDCREW_TEST_MINILM").map(PathBuf::from) else {
        println!("GROUNDCREW_TEST_MINILM names no folder with the model: nothing is measured");
        return;
    };
    let read = FILES.iter().map(|path| ((*path).to_owned(), fs::read(folder.join(path)).unwrap()));
    let began = Instant::now();
    let model = SentenceTransformer::open(&ModelFiles(read.collect())).unwrap();
    println!("embedding: opened in {:.2} s", began.elapsed().as_secs_f64());
    let words = ["server", "returns", "the", "value", "of", "each", "argument", "in", "order"];
    let text = |chunk: usize| {
        let words = (0..200).map(|at| words[(at * 7 + chunk * 3) % words.len()]);
        words.collect::<Vec<_>>().join(" ")
    };
    let texts: Vec<String> = (0..CHUNKS).map(text).collect();
    let began = Instant::now();
    let tokens: u64 = texts.chunks(BATCH).map(|batch| model.embed(batch).unwrap().tokens).sum();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "embedding: {:.0} tokens/s, {:.1} chunks/s ({} tokens)",
        tokens as f64 / seconds,
        CHUNKS as f64 / seconds,
        tokens
    );
}
