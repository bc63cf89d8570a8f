//! A judge, an embedder and others that answer as a test has written down.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use release::{ArtifactName, Currency, Digest, Money};
use serde_json::Value;

use crate::answer::{Answer, Usage};
use crate::judge::{CallError, Judge, Question, Reply, Token};
use crate::scorers::{Embeds, External, FindsPersonalData};
use crate::suite::Case;

/// A case from JSON.
pub fn case(json: Value) -> Case {
    serde_json::from_value(json).unwrap()
}

/// An answer from JSON.
pub fn answer(json: Value) -> Answer {
    serde_json::from_value(json).unwrap()
}

/// So many thousandths of a dollar.
pub fn mills(count: i64) -> Money {
    Money { currency: Currency::USD, nanos: count * 1_000_000 }
}

/// A judge that gives its replies in order, and then fails.
#[derive(Debug, Default)]
pub struct Scripted {
    replies: Mutex<VecDeque<Reply>>,
    pub asked: Mutex<Vec<Question>>,
}

impl Scripted {
    pub fn saying(texts: &[&str]) -> Self {
        Self::replying(texts.iter().map(|text| reply(text)))
    }

    pub fn replying(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { replies: Mutex::new(replies.into_iter().collect()), asked: Mutex::default() }
    }

    pub fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// A reply without probabilities.
pub fn reply(text: &str) -> Reply {
    let usage = Usage { input_tokens: 10, output_tokens: 5 };
    Reply { text: text.to_owned(), tokens: Vec::new(), usage, cost: Some(mills(1)) }
}

/// A token with its alternatives and their probabilities.
pub fn token(text: &str, alternatives: &[(&str, f64)]) -> Token {
    let alternatives = alternatives.iter().map(|(text, share)| ((*text).to_owned(), share.ln()));
    Token { text: text.to_owned(), alternatives: alternatives.collect() }
}

#[async_trait]
impl Judge for Scripted {
    fn model(&self) -> &str {
        "scripted"
    }

    fn digest(&self) -> Digest {
        Digest::of(b"scripted")
    }

    async fn ask(&self, question: &Question) -> Result<Reply, CallError> {
        self.asked.lock().unwrap().push(question.clone());
        let next = self.replies.lock().unwrap().pop_front();
        next.ok_or_else(|| CallError("the judge answered 503".to_owned()))
    }
}

/// Embeds a text as how often it has each letter.
pub struct Letters;

#[async_trait]
impl Embeds for Letters {
    fn digest(&self) -> Digest {
        Digest::of(b"letters")
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, CallError> {
        let embed = |text: &&str| {
            let mut vector = vec![0.0; 26];
            for byte in text.bytes().filter(u8::is_ascii_alphabetic) {
                vector[usize::from(byte.to_ascii_lowercase() - b'a')] += 1.0;
            }
            vector
        };
        Ok(texts.iter().map(embed).collect())
    }
}

/// Finds an at sign.
pub struct AtSigns;

impl FindsPersonalData for AtSigns {
    fn entities(&self) -> Vec<String> {
        vec!["email".to_owned(), "iban".to_owned()]
    }

    fn find(&self, text: &str, entities: &[String]) -> Vec<String> {
        let wanted = entities.iter().filter(|entity| *entity == "email" && text.contains('@'));
        wanted.cloned().collect()
    }
}

/// A scorer outside that always says the same.
pub struct Says(pub &'static str);

#[async_trait]
impl External for Says {
    async fn call(&self, _: &ArtifactName, question: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let question: Value = serde_json::from_slice(&question).unwrap();
        assert!(question["case"]["id"].is_string() && question["answer"]["text"].is_string());
        Ok(self.0.as_bytes().to_vec())
    }
}
