//! The built-in model quotes what supports an answer, and nothing else.

use super::*;

fn passage(title: &str, text: &str) -> Passage {
    Passage {
        id: format!("id of {title}"),
        title: title.to_owned(),
        text: text.to_owned(),
        source: format!("{title}.md"),
        copies: Vec::new(),
        start: 100,
        start_char: 100,
    }
}

fn handbook() -> Vec<Passage> {
    vec![
        passage(
            "Returns",
            "Items can be returned within 30 days of delivery. Helmets must be returned within 14 \
             days, e.g. when the size is wrong.\n\n- Refunds arrive within five working days.",
        ),
        passage("Shipping", "Parcels leave our warehouse every weekday at 16:00."),
    ]
}

#[test]
fn the_sentence_that_answers_comes_first_and_is_cited_by_its_place() {
    let passages = handbook();
    let chosen = choose("How many days do I have to return a helmet?", &passages, 1);
    assert_eq!(
        chosen[0].text,
        "Helmets must be returned within 14 days, e.g. when the size is wrong."
    );
    let Sentence { start, text, passage, .. } = &chosen[0];
    assert_eq!(&passages[*passage].text[*start..*start + text.len()], *text);
}

#[test]
fn a_question_about_something_else_gets_no_answer() {
    assert!(choose("Which wines go with venison?", &handbook(), 3).is_empty());
    assert!(choose("", &handbook(), 3).is_empty());
    assert!(choose("helmet", &[], 3).is_empty());
}

#[test]
fn list_items_are_sentences_without_their_marks() {
    let chosen = handbook();
    let chosen = choose("When do refunds arrive?", &chosen, 1);
    assert_eq!(chosen[0].text, "Refunds arrive within five working days.");
}
