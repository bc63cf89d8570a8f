use proptest::prelude::*;

use super::*;

#[test]
fn a_price_is_exactly_what_is_written() {
    let nanos = |text: &str| Rate::parse(text).map(Rate::nanos_per_million);
    assert_eq!(nanos("2"), Ok(2_000_000_000));
    assert_eq!(nanos("0.1"), Ok(100_000_000));
    assert_eq!(nanos("0.000000001"), Ok(1));
    assert_eq!(nanos("1e-3"), Ok(1_000_000));
    assert_eq!(nanos("1.5E2"), Ok(150_000_000_000));
    assert_eq!(nanos("0"), Ok(0));
    for wrong in [
        "-1",
        "",
        ".",
        "1.2.3",
        "NaN",
        "inf",
        "0.0000000001",
        "1000001",
        "1e31",
        "1e-2147483648",
        "1 USD",
    ] {
        assert!(nanos(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_price_is_read_from_numbers_and_text_alike() {
    #[derive(serde::Deserialize)]
    struct Row {
        rates: Vec<Rate>,
    }
    let row: Row = toml::from_str("rates = [0.25, \"0.25\", 3, 0.1]").unwrap();
    let nanos: Vec<u64> = row.rates.iter().map(|rate| rate.nanos_per_million()).collect();
    assert_eq!(nanos, [250_000_000, 250_000_000, 3_000_000_000, 100_000_000]);
    assert!(toml::from_str::<Row>("rates = [-0.25]").is_err());
}

proptest! {
    #[test]
    fn printing_and_reading_give_the_same_price(nanos in 0..=1_000_000_000_000_000_u64) {
        let rate = Rate(nanos);
        prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
    }

    #[test]
    fn a_number_in_a_file_is_taken_as_it_is_written(units in 0..1_000_u32, decimals in 0..1_000_000_u32) {
        let text = format!("{units}.{decimals:06}");
        let binary: f64 = text.parse().unwrap();
        prop_assert_eq!(Rate::parse(&binary.to_string()), Rate::parse(&text));
    }
}
