//! Passages cover the document, keep their place and stay within bounds.

use proptest::prelude::*;

use super::*;
use crate::extract::tests::extracted;

fn cut_by(chunking: Chunking, path: &str, text: &str) -> (Extracted, Vec<Chunk>) {
    let extracted = extracted(path, text);
    let origin = Origin { path, version: Digest::of(text.as_bytes()), recipe: Digest::of(b"r") };
    let chunks = chunks(origin, &extracted, &chunking);
    (extracted, chunks)
}

fn cut_up(path: &str, text: &str, max_tokens: u32) -> (Extracted, Vec<Chunk>) {
    cut_by(Chunking { max_tokens, parent_tokens: None }, path, text)
}

#[test]
fn passages_never_cross_headings_and_know_their_path() {
    let text = "Intro.\n\n# A\n\nAlpha.\n\n## B\n\nBeta.\n\n# C\n\nGamma.\n";
    let (_, chunks) = cut_up("a.md", text, 100);
    let shown: Vec<_> = chunks.iter().map(|c| (c.headings.join(" > "), c.text.as_str())).collect();
    let expected = [("", "Intro."), ("A", "Alpha."), ("A > B", "Beta."), ("C", "Gamma.")];
    assert_eq!(shown, expected.map(|(path, text)| (path.to_owned(), text)));
}

#[test]
fn a_long_document_is_cut_in_linear_time() {
    let text = "word ".repeat(400_000);
    let (_, chunks) = cut_up("a.txt", &text, 50);
    assert!(chunks.len() >= 10_000);
}

#[test]
fn equal_texts_of_two_documents_or_places_have_different_ids() {
    let (_, chunks) = cut_up("a.md", "# A\n\nSame.\n\n# B\n\nSame.\n", 100);
    assert_ne!(chunks[0].id, chunks[1].id);
}

proptest! {
    #[test]
    fn passages_stand_where_they_say_and_nothing_is_lost(
        text in "([a-zé#*€ ]{0,30}\n{1,2}){0,20}", max in 8..40_u32,
    ) {
        let (extracted, chunks) = cut_up("a.md", &text, max);
        let mut covered = String::new();
        for chunk in &chunks {
            let place = &extracted.text[chunk.start..chunk.start + chunk.text.len()];
            prop_assert_eq!(place, &chunk.text);
            let before = extracted.text[..chunk.start].chars().count();
            prop_assert_eq!(chunk.start_char, before);
            prop_assert!(chunk.text.len() <= max as usize * BYTES_PER_TOKEN);
            covered.push_str(&chunk.text);
        }
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(bare(&covered), bare(&extracted.text));
    }
}

#[test]
fn small_passages_are_given_with_what_stands_around_them() {
    let paragraphs = (0..40).map(|n| format!("Paragraph {n} says é {n} times."));
    let text = format!("# A\n\n{}\n\n# B\n\nBeta.\n", paragraphs.collect::<Vec<_>>().join("\n\n"));
    let chunking = Chunking { max_tokens: 16, parent_tokens: Some(100) };
    let (extracted, chunks) = cut_by(chunking, "a.md", &text);
    assert!(chunks.len() > 20);
    for (row, chunk) in chunks.iter().enumerate() {
        let around = surrounding(&chunks, row).unwrap();
        let place = &extracted.text[around.start..around.start + around.text.len()];
        assert_eq!(place, around.text);
        assert_eq!(around.start_char, extracted.text[..around.start].chars().count());
        assert!(around.text.contains(&chunk.text) && around.text.len() <= 400);
        assert!((around.start..around.start + around.text.len()).contains(&chunk.start));
    }
    assert!(surrounding(&chunks, 0).unwrap().text.len() > 300);
    assert_eq!(surrounding(&chunks, chunks.len() - 1).unwrap().text, "Beta.");
    let (_, alone) = cut_up("a.md", &text, 16);
    assert_eq!(surrounding(&alone, 0), None);
}

#[test]
fn a_passage_knows_the_page_it_starts_on() {
    let extracted = Extracted {
        text: "One.\n\nTwo goes on.\n\nThree follows.".to_owned(),
        pages: vec![0, 0, 4, 18],
        ..Extracted::default()
    };
    let origin = Origin { path: "a.pdf", version: Digest::of(b"v"), recipe: Digest::of(b"r") };
    let chunking = Chunking { max_tokens: 3, parent_tokens: None };
    let pages: Vec<_> =
        chunks(origin, &extracted, &chunking).iter().map(|chunk| chunk.page).collect();
    assert_eq!(pages, [2, 3, 3, 4, 4].map(Some));
}
