//! Answers are counted by release, and their prices by currency.

use release::Timestamp;

use super::*;
use crate::rows::{Batch, Origin, Span as Row};
use crate::tables::tests::{Desk, tenant};

fn answer(number: i64, environment: &str, cost: Option<(f64, &str)>) -> Row {
    Row {
        trace_id: format!("{number:032x}"),
        span_id: "1".into(),
        name: ROOT.into(),
        started_at: Timestamp::from_second(1_700_000_000 + number).unwrap(),
        outcome: "answered".into(),
        cost: cost.map(|(cost, _)| cost),
        currency: cost.map(|(_, currency)| currency.to_owned()).unwrap_or_default(),
        origin: Origin {
            app: "support".into(),
            environment: environment.into(),
            release: digest().to_string(),
            ..Origin::default()
        },
        ..Row::default()
    }
}

fn digest() -> ReleaseDigest {
    ReleaseDigest::new(release::Digest::of(b"r"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_one_release_in_one_environment_are_added_up() {
    let desk = Desk::new().await;
    let spans = vec![
        answer(1, "staging", Some((0.25, "USD"))),
        answer(2, "staging", Some((0.5, "USD"))),
        answer(3, "staging", Some((9.0, "EUR"))),
        answer(4, "staging", None),
        answer(5, "prod", Some((7.0, "USD"))),
    ];
    desk.put(&tenant("a"), Batch { spans, ..Batch::default() });
    let (app, environment) = ("support".parse().unwrap(), "staging".parse().unwrap());
    let of = (&app, &environment, digest());
    for (who, told) in [
        ("a", Spent { answers: 4, priced: 2, cost: 0.75 }),
        ("b", Spent { answers: 0, priced: 0, cost: 0.0 }),
    ] {
        let span = (Currency::USD, Span::ALL);
        let found = spent(desk.queries(), &tenant(who), of, span).await.unwrap();
        assert_eq!(found, told, "{who}");
    }
}
