use super::extract;

#[test]
fn underlined_titles_are_headings_and_the_first_style_is_the_outermost() {
    let text = "=====\nGuide\n=====\n\nWelcome.\n\nFirst steps\n===========\n\nGo.\n\nDetails\n-------\n\nMore.\n\nLast steps\n==========\nDone.\n";
    let extracted = extract(text.to_owned());
    assert_eq!(extracted.text, "\nWelcome.\n\n\nGo.\n\n\nMore.\n\nDone.\n");
    let headings: Vec<_> = extracted
        .headings
        .iter()
        .map(|heading| (heading.level, heading.text.as_str(), &extracted.text[heading.at..][..4]))
        .collect();
    let expected = [
        (1, "Guide", "\nWel"),
        (2, "First steps", "\nGo."),
        (3, "Details", "\nMor"),
        (2, "Last steps", "Done"),
    ];
    assert_eq!(headings, expected);
}

#[test]
fn what_only_looks_like_a_title_stays_text_as_it_stands() {
    for text in [
        "Long title of a line\n===\n",
        "====  ====\nName  Rate\n====  ====\nA     1\n",
        "  quoted\n  ------\n",
        "-----\n\n-----\n",
        "Signed,\n--\nAda\n",
        "***\n***\n***\n",
        "no end of line",
    ] {
        let extracted = extract(text.to_owned());
        assert_eq!((extracted.text.as_str(), extracted.headings.len()), (text, 0), "{text}");
    }
}
