//! A judge: a model of a provider, asked alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cost::{Cost, PriceBook};
use evaluation::answer::Usage;
use evaluation::judge::{CallError, Judge, Question, Reply, Token};
use futures::StreamExt;
use models::{
    Answer, Bound, Call, ChatRequest, Dialect, Event, Message, ModelSpec, Provider, ProviderError,
    RefusalKind, RestPlace, Role,
};
use release::{ArtifactRef, Clock, Digest};
use serde_json::{Value, json};

/// What is asked for beside the answer, from the most to the least: probabilities of tokens, and
/// temperature 0. A model that refuses one is asked without it from then on.
const WAYS: [(bool, bool); 3] = [(true, true), (false, true), (false, false)];

/// A model that judges.
#[derive(Debug)]
pub struct Judging {
    provider: Arc<dyn Provider>,
    spec: Arc<ModelSpec>,
    name: String,
    digest: Digest,
    prices: PriceBook,
    clock: Arc<dyn Clock>,
    /// Which of the ways it is asked in.
    way: AtomicUsize,
}

impl Judging {
    /// A model as its artifact says, reached as the provider is bound.
    pub fn new(
        bound: &Bound,
        spec: ModelSpec,
        artifact: &ArtifactRef,
        (prices, clock): (PriceBook, Arc<dyn Clock>),
    ) -> Self {
        // The same model at another address may be another model.
        let binding = bound.binding.map(|binding| binding.to_string()).unwrap_or_default();
        let parts = [artifact.digest.as_bytes().as_slice(), binding.as_bytes()];
        Self {
            provider: Arc::clone(&bound.provider),
            name: format!("{} ({} of {})", artifact.name, spec.id(), spec.provider),
            digest: Digest::of_fields(parts),
            spec: Arc::new(spec),
            prices,
            clock,
            way: AtomicUsize::new(0),
        }
    }

    async fn once(
        &self,
        question: &Question,
        (probabilities, cold): (bool, bool),
    ) -> Result<Reply, ProviderError> {
        let mut request = ChatRequest::new(Dialect::OpenAi);
        request.messages = vec![Message::text_of(Role::User, question.prompt.clone())];
        request.sampling = self.spec.parameters.sampling();
        request.sampling.max_tokens = Some(question.max_tokens);
        if cold {
            request.sampling.temperature.get_or_insert(0.0);
        }
        if let Some(top) = question.top_logprobs.filter(|_| probabilities) {
            request.rest.insert("logprobs".to_owned(), true.into());
            request.rest.insert("top_logprobs".to_owned(), top.into());
        }
        let call = Call { model: Arc::clone(&self.spec), request, passages: Arc::new([]) };
        let mut events = self.provider.chat(call).await?;
        let (mut answer, mut tokens) = (Answer::default(), Vec::new());
        while let Some(event) = events.next().await {
            let event = event?;
            if let Event::Rest { place: RestPlace::Choice, fields, .. } = &event {
                tokens.extend(fields.get("logprobs").map(told).unwrap_or_default());
            }
            answer.push(&event);
        }
        if answer.finish.is_none() {
            return Err(ProviderError::Truncated { provider: self.spec.provider.to_string() });
        }
        let model = match answer.started.model.as_str() {
            "" => self.spec.id(),
            model => model,
        };
        let (provider, now) = (self.spec.provider.as_str(), self.clock.now());
        let cost = match self.prices.price(provider, model, &answer.usage, now) {
            Cost::Priced { money } => Some(money),
            Cost::Unpriced { .. } => None,
        };
        let usage = Usage {
            input_tokens: answer.usage.input_tokens,
            output_tokens: answer.usage.output_tokens,
        };
        Ok(Reply { text: answer.text(), tokens, usage, cost })
    }
}

#[async_trait]
impl Judge for Judging {
    fn model(&self) -> &str {
        &self.name
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    async fn ask(&self, question: &Question) -> Result<Reply, CallError> {
        loop {
            let way = self.way.load(Ordering::Relaxed);
            let error = match self.once(question, WAYS[way]).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            // Without probabilities asked for, the first two ways are the same.
            if !is_refused(&error) || way + 1 == WAYS.len() {
                return Err(CallError(error.detail()));
            }
            // Whoever else was refused meanwhile has gone this step too.
            let _other =
                self.way.compare_exchange(way, way + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Whether what was asked for cannot be had, rather than the answer.
fn is_refused(error: &ProviderError) -> bool {
    match error {
        ProviderError::Unsupported { .. } => true,
        ProviderError::Refused { refusal, .. } => refusal.kind == RefusalKind::InvalidRequest,
        _ => false,
    }
}

/// The tokens in what OpenAI's API calls `logprobs`.
fn told(logprobs: &Value) -> Vec<Token> {
    let pair =
        |value: &Value| Some((value["token"].as_str()?.to_owned(), value["logprob"].as_f64()?));
    let tokens = logprobs["content"].as_array().into_iter().flatten();
    let token = |value: &Value| {
        let (text, own) = pair(value)?;
        let none = json!([]);
        let others = value.get("top_logprobs").unwrap_or(&none).as_array().into_iter().flatten();
        let mut alternatives: Vec<_> = others.filter_map(pair).collect();
        if !alternatives.iter().any(|(other, _)| *other == text) {
            alternatives.push((text.clone(), own));
        }
        Some(Token { text, alternatives })
    };
    tokens.filter_map(token).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::told;

    #[test]
    fn probabilities_of_tokens_are_read_with_the_token_itself_among_them() {
        let logprobs = json!({"content": [
            {"token": "7", "logprob": -0.1, "top_logprobs": [{"token": "7", "logprob": -0.1},
                {"token": "8", "logprob": -2.5}]},
            {"token": "}", "logprob": -0.2},
            {"token": 3},
        ]});
        let tokens = told(&logprobs);
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens[0].alternatives, [("7".to_owned(), -0.1), ("8".to_owned(), -2.5)]);
        assert_eq!(tokens[1].alternatives, [("}".to_owned(), -0.2)]);
        assert!(told(&json!(null)).is_empty());
    }
}
