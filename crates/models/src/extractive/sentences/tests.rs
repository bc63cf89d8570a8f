use super::*;

fn sentences(text: &str) -> Vec<&str> {
    of(text).collect()
}

#[test]
fn sentences_end_where_sentences_end() {
    let text = "Refunds take 5 days. Orders over 3.50 euros (e.g. Lights) ship free! \"Is it so?\" \
        We say yes, i.e. no doubt.\nThe line goes on here.";
    assert_eq!(
        sentences(text),
        [
            "Refunds take 5 days.",
            "Orders over 3.50 euros (e.g. Lights) ship free!",
            "We say yes, i.e. no doubt.",
            "The line goes on here.",
        ]
    );
}

#[test]
fn headings_are_left_out_and_list_items_stand_alone() {
    let text = "# Returns and more\n\nYou may return within 30 days\nof delivery.\n\n- Bring the \
        receipt along\n- Bring the bike as well\n\n1. First fill in the form.\n2. Then send it to us.\n";
    assert_eq!(
        sentences(text),
        [
            "You may return within 30 days\nof delivery.",
            "Bring the receipt along",
            "Bring the bike as well",
            "First fill in the form.",
            "Then send it to us.",
        ]
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_cut_into_pieces_of_itself(text in "[ -~é\n#.!?0-9-]{0,200}") {
        for sentence in of(&text) {
            proptest::prop_assert!(text.contains(sentence));
        }
    }
}
