//! Whatever is prepared, its places stay true.

use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use security::guardrails::Entity;
use serde_json::{Value, json};

use super::*;
use crate::document::{Heading, Metadata};
use crate::extract::Limits;
use crate::extract::tests::{extracted, raw};
use crate::spec::StepSpec;

/// A workshop for plain text and Markdown, which takes no steps.
pub fn workshop() -> Arc<Workshop> {
    let extractor = Extractor::new("no-program".into(), Limits::default());
    Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) })
}

async fn prepared(spec: Preparation, path: &str, text: &str) -> Result<Prepared, Refusal> {
    let preparer = Preparer::new(spec, TenantId::DEFAULT, Arc::new(NoSteps)).unwrap();
    preparer.prepare(extracted(path, text), &raw(path, text)).await
}

fn masking(kinds: &[Entity]) -> Preparation {
    Preparation { mask: kinds.to_vec(), ..Preparation::default() }
}

#[tokio::test]
async fn text_is_written_in_one_way_and_its_places_move_along() {
    let text = "Caf\u{65}\u{301} \u{a0} open \u{200b}\u{ad}now\t\n\n\n\n\n# Na\u{69}\u{308}ve\n\nAfter\u{2028}it.\n";
    let prepared = prepared(Preparation::default(), "a.md", text).await.unwrap();
    let content = prepared.content;
    assert_eq!(content.text, "Café open now\n\nAfter it.");
    let Heading { text, at, .. } = &content.headings[0];
    assert_eq!((text.as_str(), content.text[*at..].trim_start()), ("Naïve", "After it."));
    let plain = "Cafe\u{200b}\u{301}\u{a0}\u{7}now \t\u{2028}\n\n\n\nit";
    let plain = self::prepared(Preparation::default(), "a.txt", plain).await.unwrap();
    assert_eq!(plain.content.text, "Café now\n\nit");
}

#[tokio::test]
async fn what_is_masked_is_counted_and_never_told() {
    let text = "---\nauthor: ada@example.com\n---\nAsk ada@example.com or bob@example.com.\n\n# Call +47 22 33 44 55\n\nBye.\n";
    let spec = masking(&[Entity::Email, Entity::Phone]);
    let prepared = prepared(spec, "a.md", text).await.unwrap();
    let content = &prepared.content;
    assert_eq!(content.text, "Ask [email] or [email].\n\nBye.");
    assert_eq!(content.headings[0].text, "Call [phone]");
    assert_eq!(content.text[content.headings[0].at..].trim_start(), "Bye.");
    assert_eq!(content.metadata["author"], "[email]");
    let found: Vec<_> = prepared.findings.iter().map(|it| (it.kind.name(), it.count)).collect();
    assert_eq!(found, [("email", 3), ("phone", 2)]);
    assert!(!format!("{prepared:?}").contains("ada@"));
}

#[tokio::test]
async fn a_document_that_holds_what_is_dropped_is_withheld_with_its_reason() {
    let spec = Preparation { drop: vec![Entity::PrivateKey], ..Preparation::default() };
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "A".repeat(64));
    let refused = prepared(spec.clone(), "a.txt", &key).await.unwrap_err();
    assert_eq!(refused.to_string(), "withheld: it holds `private_key` (1 times)");
    assert!(prepared(spec, "a.txt", "-----BEGIN PRIVATE KEY----- begins a key").await.is_ok());
}

#[tokio::test]
async fn title_dates_and_tags_come_from_path_front_matter_and_source() {
    let text = "---\npublished: 2026-02-03T10:00:00Z\ncategories: Shop, Returns\n---\nText.\n";
    let mut about = raw("Handbook/Shop/2025-01-02-return-policy.md", text);
    about.metadata = Metadata::from([("title".to_owned(), json!("Returns"))]);
    let preparer =
        Preparer::new(Preparation::default(), TenantId::DEFAULT, Arc::new(NoSteps)).unwrap();
    let prepared = preparer.prepare(extracted(&about.path, text), &about).await.unwrap();
    assert_eq!(prepared.content.title, "Returns");
    assert_eq!(prepared.content.metadata["created"], "2026-02-03");
    assert_eq!(prepared.tags, ["handbook", "returns", "shop"]);
    let named = preparer.prepare(Extracted::default(), &raw("x/2025-01-02_notes.txt", "")).await;
    let named = named.unwrap().content;
    assert_eq!(named.title, "2025 01 02 notes");
    assert_eq!(named.metadata["created"], "2025-01-02");
}

#[tokio::test]
async fn the_language_is_recognised_or_taken_as_declared() {
    let german = "Der Helm kann innerhalb von dreißig Tagen zurückgegeben werden, wenn er nicht getragen wurde und die Verpackung noch vorhanden ist.";
    let language = |text: String| async move {
        prepared(Preparation::default(), "a.md", &text).await.unwrap().language
    };
    assert_eq!(language(german.to_owned()).await.as_deref(), Some("de"));
    assert_eq!(language("---\nlanguage: nb-NO\n---\nOk.".to_owned()).await.as_deref(), Some("nb"));
    assert_eq!(language("42".to_owned()).await, None);
}

/// Answers with what it is told to, and remembers what it was given.
#[derive(Debug)]
struct Scripted(Result<Value, String>, Mutex<Vec<Value>>);

#[async_trait]
impl Steps for Scripted {
    async fn take(&self, _: &TenantId, _: &StepSpec, document: Value) -> Result<Value, String> {
        self.1.lock().unwrap().push(document);
        self.0.clone()
    }
}

async fn stepped(answer: Result<Value, String>) -> (Result<Prepared, Refusal>, Vec<Value>) {
    let steps = Arc::new(Scripted(answer, Mutex::default()));
    let step = StepSpec::Function { function: "tidy".to_owned() };
    let spec = Preparation { steps: vec![step], ..masking(&[Entity::Email]) };
    let preparer =
        Preparer::new(spec, TenantId::DEFAULT, Arc::clone(&steps) as Arc<dyn Steps>).unwrap();
    let text = "# A\n\nAlpha.\n";
    let prepared = preparer.prepare(extracted("a.md", text), &raw("a.md", text)).await;
    let given = steps.1.lock().unwrap().clone();
    (prepared, given)
}

#[tokio::test]
async fn what_a_step_gives_is_screened_like_the_text_itself() {
    let answer = json!({"text": "By ada@example.com.\u{200b}", "metadata": {"team": "shop"}});
    let (prepared, given) = stepped(Ok(answer)).await;
    let prepared = prepared.unwrap();
    assert_eq!(prepared.content.text, "By [email].");
    assert!(prepared.content.headings.is_empty());
    assert_eq!(prepared.content.metadata["team"], "shop");
    assert_eq!(given[0]["headings"], json!([{"level": 1, "text": "A", "at": 0}]));
    let (same, _) = stepped(Ok(json!({"title": "New"}))).await;
    let same = same.unwrap().content;
    assert_eq!((same.title.as_str(), same.headings.len()), ("New", 1));
}

#[tokio::test]
async fn a_step_that_fails_or_says_nonsense_refuses_the_document() {
    let refusal = async |answer| stepped(answer).await.0.unwrap_err().to_string();
    assert_eq!(refusal(Err("exit 1".to_owned())).await, "a step failed: `tidy`: exit 1");
    assert!(refusal(Ok(json!({"txet": "x"}))).await.contains("unknown field `txet`"));
    assert!(refusal(Ok(json!({"pages": [99]}))).await.contains("no places"));
    assert_eq!(refusal(Ok(json!({"drop": "old"}))).await, "withheld: `tidy`: old");
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once_and_no_word_moves_past_a_heading(
        parts in proptest::collection::vec("[a-zé\u{301}\u{a0}\u{200b}\t\n ☃]{0,20}", 1..6),
    ) {
        let mut content = Extracted::default();
        for part in &parts {
            content.headings.push(Heading { level: 1, text: "h".to_owned(), at: content.text.len() });
            content.text.push_str(part);
        }
        normalise::normalise(&mut content);
        let once = content.clone();
        normalise::normalise(&mut content);
        prop_assert_eq!(&content, &once);
        let mut alone = Extracted { text: parts.concat(), ..Extracted::default() };
        normalise::normalise(&mut alone);
        let starts = once.headings.iter().map(|heading| heading.at);
        let ends = starts.clone().skip(1).chain([once.text.len()]);
        for ((start, end), part) in starts.zip(ends).zip(&parts) {
            let mut part = Extracted { text: part.clone(), ..Extracted::default() };
            normalise::normalise(&mut part);
            prop_assert_eq!(&once.text[start..end], &part.text);
        }
    }
}
