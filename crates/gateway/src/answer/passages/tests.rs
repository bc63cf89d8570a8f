use knowledge::{Retrieved, Surrounding};
use release::Digest;

use super::given;

const PARENT: &str = "One two three. Four five six. Seven eight nine.";

/// A passage of [`PARENT`], with it.
fn child(document: &str, text: &str) -> Retrieved {
    let start = PARENT.find(text).unwrap();
    let parent = Surrounding {
        text: PARENT.to_owned(),
        start: 100,
        end: 100 + PARENT.len(),
        start_char: 90,
        end_char: 90 + PARENT.len(),
        page: None,
    };
    Retrieved { start: 100 + start, parent: Some(parent), ..alone(document, text) }
}

fn alone(document: &str, text: &str) -> Retrieved {
    Retrieved {
        id: Digest::of(text.as_bytes()),
        document: document.to_owned(),
        title: "Numbers".to_owned(),
        headings: vec!["Small".to_owned()],
        text: text.to_owned(),
        score: 1.0,
        start: 7,
        end: 7 + text.len(),
        start_char: 7,
        end_char: 7 + text.len(),
        page: None,
        parent: None,
        copies: Vec::new(),
        why: None,
    }
}

#[test]
fn a_parent_is_given_once_with_the_best_of_its_passages() {
    let found = vec![
        child("a.md", "Four five six."),
        child("a.md", "Seven eight nine."),
        child("b.md", "Four five six."),
        alone("c.md", "Alone."),
    ];
    let id = found[0].id.to_string();
    let given = given(found, None);
    let texts: Vec<_> = given.iter().map(|one| (one.source.as_str(), one.text.as_str())).collect();
    assert_eq!(texts, [("a.md", PARENT), ("b.md", PARENT), ("c.md", "Alone.")]);
    assert_eq!((given[0].start, given[0].start_char, &given[0].id), (100, 90, &id));
    assert_eq!(given[2].title, "Numbers › Small");
}

#[test]
fn a_parent_that_does_not_fit_gives_way_to_its_passage_and_the_first_passage_is_always_given() {
    let found = || vec![child("a.md", "Four five six."), child("b.md", "One two three.")];
    let texts =
        |most| given(found(), Some(most)).into_iter().map(|one| one.text).collect::<Vec<_>>();
    let parent = models::estimate(PARENT) as u32;
    let passage = models::estimate("One two three.") as u32;
    assert_eq!(texts(parent + passage), [PARENT, "One two three."]);
    assert_eq!(texts(parent), [PARENT]);
    assert_eq!(texts(parent - 1)[0], "Four five six.");
    assert_eq!(texts(1), ["Four five six."]);
}
