use super::*;

const BOOK: &str = r#"
    [[rows]]
    provider = "openai"
    model = "*"
    currency = "USD"
    input = 9
    output = 9

    [[rows]]
    provider = "openai"
    model = "gpt-5*"
    currency = "USD"
    input = 1
    output = 8

    [[rows]]
    provider = "openai"
    model = "gpt-5-mini*"
    currency = "USD"
    input = 0.25
    output = 2

    [[rows]]
    provider = "openai"
    model = "gpt-5-mini*"
    currency = "USD"
    input = 0.2
    output = 1
    effective_from = "2026-06-01T00:00:00Z"

    [[rows]]
    provider = "openai"
    model = "gpt-5-mini-2025"
    currency = "EUR"
    input = 3
    output = 3
"#;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_closest_name_holds_and_of_its_rows_the_latest_that_is_effective() {
    let book = PriceBook::parse(BOOK).unwrap();
    let (spring, summer) = (moment("2026-05-31T23:59:59Z"), moment("2026-06-01T00:00:00Z"));
    let input = |model, at| book.row("openai", model, at).map(|row| row.input.to_string());
    assert_eq!(input("gpt-5-mini-2026", spring).as_deref(), Some("0.25"));
    assert_eq!(input("gpt-5-mini-2026", summer).as_deref(), Some("0.2"));
    assert_eq!(input("gpt-5-mini-2025", summer).as_deref(), Some("3"));
    assert_eq!(input("gpt-5", summer).as_deref(), Some("1"));
    assert_eq!(input("o7", summer).as_deref(), Some("9"));
    assert_eq!(book.row("anthropic", "gpt-5", summer), None);
}

#[test]
fn two_rows_for_the_same_models_and_moment_are_refused() {
    let row = "[[rows]]\nprovider=\"p\"\nmodel=\"m\"\ncurrency=\"USD\"\ninput=1\noutput=1\n";
    let error = PriceBook::parse(&row.repeat(2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rows 1 and 2 of the price book price `m` of `p` from the same moment"
    );
}

#[test]
fn mistakes_in_a_row_are_errors() {
    let row = "[[rows]]\nprovider=\"p\"\nmodel=\"m\"\ncurrency=\"USD\"\ninput=1\noutput=1\n";
    for (right, wrong) in [("input", "imput"), ("USD", "usd"), ("output=1", "output=-1")] {
        assert!(PriceBook::parse(&row.replace(right, wrong)).is_err(), "{wrong}");
    }
    assert_eq!(PriceBook::parse("").unwrap(), PriceBook::default());
}
