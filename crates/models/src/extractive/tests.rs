use std::sync::Arc;

use super::*;
use crate::fixtures::{question, with};
use crate::{Answer, ChatRequest, Message, ModelSpec, Role};

fn passages() -> Arc<[Passage]> {
    let passage = |id: &str, title: &str, text: &str| Passage {
        id: id.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
        source: format!("handbook/{id}.md"),
    };
    Arc::new([
        passage(
            "refunds",
            "Refunds",
            "# Refunds\n\nOnce your return reaches us, we inspect it within two working days. \
             We pay refunds to the original payment method. Card refunds take up to five working \
             days to arrive.\n\n- Gift cards are refunded as a new gift card.",
        ),
        passage(
            "shipping",
            "Delivery times",
            "Standard delivery takes three working days. Bikes are delivered assembled. \
             A refund of delivery costs is paid when the whole order is returned.",
        ),
    ])
}

fn call(request: ChatRequest, sentences: Option<u32>) -> Call {
    let mut spec = ModelSpec::new(Extractive::NAME, "extractive");
    spec.parameters.sentences = sentences;
    Call { model: spec.into(), request: request.into(), passages: passages(), deadline: None }
}

async fn events(call: Call) -> Vec<Event> {
    Extractive.chat(call).await.unwrap().map(Result::unwrap).collect().await
}

async fn answer(question: &str, sentences: Option<u32>) -> Answer {
    let request = with(|request| request.messages = vec![Message::of_text(Role::User, question)]);
    Answer::fold(events(call(request, sentences)).await)
}

#[tokio::test]
async fn an_answer_quotes_the_supporting_sentences_and_cites_them() {
    let answer = answer("How long do card refunds take?", None).await;
    insta::assert_snapshot!(answer.text(), @"We pay refunds to the original payment method. [1] Card refunds take up to five working days to arrive. [1] Gift cards are refunded as a new gift card. [1]");
    assert!(answer.is_complete() && !answer.citations.is_empty());
    let text: Vec<char> = answer.text().chars().collect();
    for citation in &answer.citations {
        let span = citation.span.unwrap();
        let cited: String = text[span.start as usize..span.end as usize].iter().collect();
        assert_eq!(cited, citation.cited_text);
        assert_eq!(
            citation.source.as_deref(),
            Some(format!("handbook/{}.md", citation.passages[0]).as_str())
        );
    }
    let usage = answer.usage.unwrap();
    assert!(usage.estimated && usage.input_tokens > 0 && usage.output_tokens > 0);
}

#[tokio::test]
async fn the_number_of_sentences_is_a_parameter() {
    let question = "Refunds and delivery";
    assert_eq!(answer(question, Some(1)).await.citations.len(), 1);
    assert!(answer(question, Some(5)).await.citations.len() > 1);
}

#[tokio::test]
async fn it_says_so_when_nothing_supports_an_answer() {
    for question in ["Who won the football championship?", "???", ""] {
        let answer = answer(question, None).await;
        assert_eq!(answer.text(), NOTHING, "{question}");
        assert!(answer.citations.is_empty());
        assert!(answer.is_complete());
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_answer() {
    let ask = || events(call(question(), None));
    assert_eq!(ask().await, ask().await);
}

#[tokio::test]
async fn what_it_cannot_keep_is_refused_by_name() {
    let tool = with(|request| request.tool_choice = Some(ToolChoice::Any));
    let json = with(|request| request.response_format = Some(ResponseFormat::JsonObject));
    for (request, name) in [(tool, "tool_choice"), (json, "response_format")] {
        let refused = Extractive.chat(call(request, None)).await.map(drop);
        assert_eq!(crate::fixtures::refused_field(refused), name);
    }
}
