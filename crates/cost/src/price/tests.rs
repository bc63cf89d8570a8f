use proptest::prelude::*;

use super::*;

fn row(rates: [u64; 5]) -> PriceRow {
    let rate = |nanos: u64| -> crate::Rate {
        serde_json::from_value(serde_json::json!(format!("{}e-9", nanos))).unwrap()
    };
    PriceRow {
        provider: "p".to_owned(),
        model: "m".to_owned(),
        currency: Currency::USD,
        input: rate(rates[0]),
        output: rate(rates[1]),
        cache_read: Some(rate(rates[2])),
        cache_creation: Some(rate(rates[3])),
        reasoning: Some(rate(rates[4])),
        effective_from: None,
    }
}

fn price(row: PriceRow, usage: &Usage) -> Cost {
    let at = Timestamp::UNIX_EPOCH;
    let book = PriceBook::new(vec![row]).unwrap();
    book.price(Answered { provider: "p", model: "m", usage, at })
}

fn amount(cost: Cost) -> i64 {
    match cost {
        Cost::Priced { money, .. } => money.nanos,
        Cost::Unpriced { reason } => panic!("{reason}"),
    }
}

#[test]
fn cached_and_reasoning_tokens_are_priced_once() {
    let usage = Usage {
        input_tokens: 1_000_000,
        output_tokens: 1_000_000,
        cache_read_tokens: 200_000,
        cache_creation_tokens: 100_000,
        reasoning_tokens: 500_000,
        estimated: false,
    };
    let own = row([10_000_000, 100_000_000, 1_000_000, 20_000_000, 50_000_000]);
    // 0.7 · 10 + 0.2 · 1 + 0.1 · 20 + 0.5 · 100 + 0.5 · 50 thousandths
    assert_eq!(amount(price(own.clone(), &usage)), 84_200_000);
    let plain = PriceRow { cache_read: None, cache_creation: None, reasoning: None, ..own };
    assert_eq!(amount(price(plain, &usage)), 110_000_000);
}

#[test]
fn what_has_no_price_says_why_and_is_never_nothing() {
    let book = PriceBook::new(vec![PriceRow {
        effective_from: Some("2030-01-01T00:00:00Z".parse().unwrap()),
        ..row([1; 5])
    }])
    .unwrap();
    let usage = Usage { input_tokens: 1, ..Usage::default() };
    let at = Timestamp::UNIX_EPOCH;
    let cost = |model| book.price(Answered { provider: "p", model, usage: &usage, at });
    assert_eq!(cost("m"), Cost::Unpriced { reason: Unpriced::NotYetEffective });
    assert_eq!(cost("other"), Cost::Unpriced { reason: Unpriced::NoRow });
    let absurd = Usage { input_tokens: 1, cache_read_tokens: 2, ..Usage::default() };
    let reason = Unpriced::ImplausibleUsage;
    assert_eq!(price(row([1; 5]), &absurd), Cost::Unpriced { reason });
}

#[test]
fn the_built_in_model_is_priced_at_zero_without_a_row() {
    let usage = Usage { input_tokens: 9, output_tokens: 9, estimated: true, ..Usage::default() };
    let at = Timestamp::UNIX_EPOCH;
    let answered = Answered { provider: "extractive", model: "any", usage: &usage, at };
    let cost = PriceBook::default().price(answered);
    let Cost::Priced { money, .. } = cost else { panic!("{cost:?}") };
    assert_eq!(money, Money::zero(Currency::USD));
}

#[test]
fn estimated_tokens_make_an_estimated_cost() {
    let usage = Usage { input_tokens: 9, estimated: true, ..Usage::default() };
    let cost = price(row([1; 5]), &usage);
    assert!(matches!(cost, Cost::Priced { estimated: true, .. }), "{cost:?}");
}

#[test]
fn halves_are_rounded_to_even() {
    let halves = [500_000, 1_500_000, 2_500_000, 500_001, 499_999];
    assert_eq!(halves.map(rounded), [0, 2, 2, 1, 0]);
}

fn usage() -> impl Strategy<Value = Usage> {
    (0..1_000_000_u64, 0..1_000_000_u64, 0..1_000_000_u64, 0..1_000_000_u64, 0..1_000_000_u64)
        .prop_map(|(plain, read, created, spoken, reasoning)| Usage {
            input_tokens: plain + read + created,
            output_tokens: spoken + reasoning,
            cache_read_tokens: read,
            cache_creation_tokens: created,
            reasoning_tokens: reasoning,
            estimated: false,
        })
}

proptest! {
    #[test]
    fn a_uniform_price_depends_on_the_totals_alone(usage in usage(), rate in 0..100_000_000_000_u64) {
        let totals = Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            ..Usage::default()
        };
        prop_assert_eq!(price(row([rate; 5]), &usage), price(row([rate; 5]), &totals));
    }

    #[test]
    fn the_amount_is_within_half_a_billionth_of_the_exact_one(
        usage in usage(),
        rates in prop::array::uniform5(0..100_000_000_000_u64),
    ) {
        let tokens = [
            usage.input_tokens - usage.cache_read_tokens - usage.cache_creation_tokens,
            usage.output_tokens - usage.reasoning_tokens,
            usage.cache_read_tokens,
            usage.cache_creation_tokens,
            usage.reasoning_tokens,
        ];
        let exact: i128 =
            tokens.iter().zip(rates).map(|(t, r)| i128::from(*t) * i128::from(r)).sum();
        let nanos = i128::from(amount(price(row(rates), &usage)));
        prop_assert!((nanos * 1_000_000 - exact).abs() <= 500_000);
    }

    #[test]
    fn more_tokens_never_cost_less(usage in usage(), rates in prop::array::uniform5(0..100_000_000_000_u64)) {
        let more = Usage {
            input_tokens: usage.input_tokens + 1,
            output_tokens: usage.output_tokens + 1,
            ..usage
        };
        prop_assert!(amount(price(row(rates), &more)) >= amount(price(row(rates), &usage)));
    }
}
