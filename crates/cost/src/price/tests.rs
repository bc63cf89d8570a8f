//! Prices are exact, and unknown prices are not zero.

use proptest::prelude::*;

use super::*;

fn row(model: &str, input: f64, output: f64) -> PriceRow {
    PriceRow {
        provider: "openai".into(),
        model: model.into(),
        currency: Currency::USD,
        input,
        output,
        cache_read: Some(input / 2.0),
        cache_creation: None,
        effective_from: None,
    }
}

fn price(book: &PriceBook, model: &str, usage: Usage) -> Cost {
    book.price("openai", model, &usage, Timestamp::UNIX_EPOCH)
}

fn usd(nanos: i64) -> Cost {
    Cost::Priced { money: Money { currency: Currency::USD, nanos } }
}

#[test]
fn cached_and_reasoning_tokens_are_paid_once() {
    let book = PriceBook::new(vec![row("gpt", 2.5, 10.0)]);
    let usage = Usage {
        input_tokens: 1_000,
        cache_read_tokens: 400,
        output_tokens: 100,
        reasoning_tokens: 60,
        ..Usage::default()
    };
    // 600 · 2.5 + 400 · 1.25 + 100 · 10 = 3,000 millionths of a dollar.
    assert_eq!(price(&book, "gpt", usage), usd(3_000_000));
}

#[test]
fn an_unknown_model_is_unpriced_and_the_built_in_one_is_free() {
    let book = PriceBook::new(vec![row("gpt", 2.5, 10.0)]);
    let usage = Usage { input_tokens: 1, ..Usage::default() };
    assert_eq!(price(&book, "other", usage), Cost::Unpriced { reason: Unpriced::NoPrice });
    let local = book.price(EXTRACTIVE, "extractive-1", &usage, Timestamp::UNIX_EPOCH);
    assert_eq!(local, usd(0));
}

#[test]
fn the_nearest_and_newest_row_wins() {
    let later = PriceRow { effective_from: Some(Timestamp::UNIX_EPOCH), ..row("gpt-4*", 3.0, 0.0) };
    let book = PriceBook::new(vec![
        row("*", 1.0, 0.0),
        row("gpt-4*", 2.0, 0.0),
        later,
        row("gpt-4o", 4.0, 0.0),
    ]);
    let usage = Usage { input_tokens: 1_000_000, ..Usage::default() };
    assert_eq!(price(&book, "gpt-3", usage), usd(1_000_000_000));
    assert_eq!(price(&book, "gpt-4.1", usage), usd(3_000_000_000));
    assert_eq!(price(&book, "gpt-4o", usage), usd(4_000_000_000));
}

#[test]
fn usage_that_contradicts_itself_is_unpriced() {
    let book = PriceBook::new(vec![row("gpt", 2.5, 10.0)]);
    let usage = Usage { input_tokens: 1, cache_read_tokens: 2, ..Usage::default() };
    assert_eq!(price(&book, "gpt", usage), Cost::Unpriced { reason: Unpriced::InconsistentUsage });
}

proptest! {
    #[test]
    fn splitting_usage_changes_the_price_by_rounding_only(
        input in 0..1_000_000_u64, output in 0..1_000_000_u64, cut in 0..1_000_000_u64,
    ) {
        let book = PriceBook::new(vec![row("gpt", 0.15, 0.6)]);
        let cut = cut.min(input);
        let usage = |input_tokens, output_tokens| Usage { input_tokens, output_tokens, ..Usage::default() };
        let nanos = |cost| match cost {
            Cost::Priced { money } => money.nanos,
            Cost::Unpriced { reason } => panic!("{reason:?}"),
        };
        let whole = nanos(price(&book, "gpt", usage(input, output)));
        let parts = nanos(price(&book, "gpt", usage(cut, 0)))
            + nanos(price(&book, "gpt", usage(input - cut, output)));
        prop_assert!((whole - parts).abs() <= 1);
    }
}
