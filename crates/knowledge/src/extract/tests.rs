//! Structure is kept, decoration is not.

use super::*;

#[test]
fn markdown_keeps_headings_lists_tables_and_code() {
    let text = "---\ntitle: Returns policy\n---\n# Returns\n\nSend it *back*\nwithin `30` days.\n\n## How\n\n- Print the label.\n- Drop it off.\n\n| Part | Days |\n|---|---|\n| Helmet | 14 |\n\n```\nlet x;\n```\n";
    insta::assert_debug_snapshot!(extract("a.md", text).unwrap());
}

#[test]
fn html_keeps_the_content_and_drops_the_page_around_it() {
    let text = "<html><head><title>Shop</title><style>x{}</style></head><body><nav>Home</nav><main><h1>Delivery</h1><p>We ship <b>daily</b>.<script>evil()</script></p><ul><li>To Norway</li><li>To Sweden</li></ul><table><tr><th>Zone</th><td>1</td></tr></table></main><footer>©</footer></body></html>";
    insta::assert_debug_snapshot!(extract("a.html", text).unwrap());
}

#[test]
fn text_stays_as_it_is_and_lends_its_first_line_as_title() {
    let extracted = extract("a.txt", "\nOpening hours\n\nNine to five.\n").unwrap();
    assert_eq!(extracted.title, "Opening hours");
    assert_eq!(extracted.text, "\nOpening hours\n\nNine to five.\n");
}

#[test]
fn hostile_nesting_in_html_is_bounded() {
    let deep = "<div>".repeat(50_000) + "deep";
    assert!(extract("a.html", &deep).is_err());
    let wide = "<div><p>wide</div>".repeat(5_000);
    assert!(extract("a.html", &wide).is_ok());
}

#[test]
fn hostile_nesting_in_markdown_is_bounded() {
    let deep = "> ".repeat(20_000) + "deep";
    assert!(extract("a.md", &deep).unwrap().text.ends_with("deep"));
}
