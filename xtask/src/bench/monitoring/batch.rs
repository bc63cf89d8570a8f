//! Messages of spans: one that the protobuf library of OpenTelemetry wrote, with fresh ids, times,
//! texts and passages for each that is sent, so that nothing is the same twice.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{root, run};
use crate::setup;

/// How many passages there are to be found.
const PASSAGES: u64 = 10_000;
/// How long a trace may take, in nanoseconds: messages of now begin so long ago.
const TRACE: u64 = 20_000_000_000;

/// Texts to take pieces of: what people write about software, without what JSON escapes.
pub struct Corpus(Vec<u8>);

impl Corpus {
    /// The documentation of Django where it can be had, else our own.
    ///
    /// # Errors
    /// If nothing can be read.
    pub fn load() -> Result<Self> {
        let directory = setup::django().map_or_else(|| root().join("docs"), |of| of.join("5.2"));
        let mut texts = Vec::new();
        let mut directories = vec![directory];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                match path.is_dir() {
                    true => directories.push(path),
                    false => texts.extend(fs::read(&path)?),
                }
            }
        }
        let plain =
            |byte: &u8| byte.is_ascii() && !byte.is_ascii_control() && !b"\"\\".contains(byte);
        texts.iter_mut().filter(|byte| !plain(byte)).for_each(|byte| *byte = b' ');
        Ok(Self(texts))
    }

    fn piece(&self, length: usize, draw: &mut Draw) -> &[u8] {
        let at = draw.below((self.0.len() - length) as u64) as usize;
        &self.0[at..at + length]
    }
}

/// xorshift64* (Vigna 2016): cheap, and the same in every run.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// Numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A message, and where in it what is drawn anew stands.
#[derive(Debug, Clone)]
pub struct Template {
    /// The message as it was last filled.
    pub bytes: Vec<u8>,
    /// How many spans it holds.
    pub spans: u64,
    traces: Vec<Vec<usize>>,
    ids: Vec<Vec<usize>>,
    times: Vec<(usize, u64)>,
    texts: Vec<(usize, usize)>,
    digits: Vec<usize>,
}

impl Template {
    /// A message whose spans have so many bytes on average, written into `home`.
    ///
    /// # Errors
    /// If Python or its packages cannot be had.
    pub fn make(home: &Path, bytes: usize) -> Result<Self> {
        let (message, places) = (home.join("message"), home.join("places.json"));
        let mut python = Command::new(setup::python()?);
        python.arg(root().join("xtask/bench/spans.py")).arg(bytes.to_string());
        run(python.arg(&message).arg(&places))?;
        let told: Value = serde_json::from_slice(&fs::read(places)?)?;
        let numbers = |value: &Value| -> Option<Vec<u64>> {
            value.as_array()?.iter().map(Value::as_u64).collect()
        };
        let lists = |name: &str| -> Result<Vec<Vec<u64>>> {
            let lists = told[name].as_array().map(|lists| lists.iter().map(numbers).collect());
            lists.flatten().with_context(|| format!("the script did not tell of `{name}`"))
        };
        let places = |name| -> Result<Vec<Vec<usize>>> {
            let lists = lists(name)?.into_iter();
            Ok(lists.map(|list| list.into_iter().map(|at| at as usize).collect()).collect())
        };
        let pairs =
            |name| Ok::<_, anyhow::Error>(lists(name)?.into_iter().map(|it| (it[0], it[1])));
        Ok(Self {
            bytes: fs::read(message)?,
            spans: told["spans"].as_u64().context("the script did not count spans")?,
            traces: places("traces")?,
            ids: places("ids")?,
            times: pairs("times")?.map(|(at, ms)| (at as usize, ms * 1_000_000)).collect(),
            texts: pairs("texts")?.map(|(at, long)| (at as usize, long as usize)).collect(),
            digits: pairs("digits")?.map(|(at, _)| at as usize).collect(),
        })
    }

    /// How many bytes a span has, on average.
    pub fn span_bytes(&self) -> u64 {
        self.bytes.len() as u64 / self.spans
    }

    /// Fills in a message of now, or of up to `back` seconds ago; the id of its first trace.
    pub fn fill(&mut self, corpus: &Corpus, draw: &mut Draw, back: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = now.as_nanos() as u64 - TRACE - draw.below(back.max(1)) * 1_000_000_000;
        let mut first = String::new();
        for places in &self.traces {
            let id = [draw.next().to_be_bytes(), draw.next().to_be_bytes()].concat();
            places.iter().for_each(|at| self.bytes[*at..*at + 16].copy_from_slice(&id));
            if first.is_empty() {
                first = id.iter().map(|byte| format!("{byte:02x}")).collect();
            }
        }
        for places in &self.ids {
            let id = draw.next().to_be_bytes();
            places.iter().for_each(|at| self.bytes[*at..*at + 8].copy_from_slice(&id));
        }
        for (at, after) in &self.times {
            self.bytes[*at..*at + 8].copy_from_slice(&(begun + after).to_le_bytes());
        }
        for (at, length) in &self.texts {
            self.bytes[*at..*at + length].copy_from_slice(corpus.piece(*length, draw));
        }
        for at in &self.digits {
            // Some are found far more often than others.
            let number = draw.below(PASSAGES) * draw.below(PASSAGES) / PASSAGES;
            self.bytes[*at..*at + 8].copy_from_slice(format!("{number:08}").as_bytes());
        }
        first
    }
}
