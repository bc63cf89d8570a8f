//! Sessions are counted by arm and by the step in which something first came of them.

use super::*;
use crate::rows::{Batch, Origin, Score, Span as Row};
use crate::tables::tests::{Desk, tenant};

fn answer(
    number: u64,
    (unit, stuck): (&str, bool),
    (arm, step): (&str, u32),
    outcome: &str,
) -> Row {
    let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Row {
        trace_id: format!("{number:032x}"),
        span_id: "1".into(),
        name: ROOT.into(),
        started_at: Timestamp::from_second(1_700_000_000 + number as i64).unwrap(),
        duration_ns: 1_000_000 * number as i64,
        outcome: outcome.into(),
        arm: arm.into(),
        origin: Origin {
            app: "support".into(),
            environment: "prod".into(),
            release: ReleaseDigest::new(release::Digest::of(arm.as_bytes())).to_string(),
            ..Origin::default()
        },
        attributes: vec![
            attribute("groundcrew.plan", "support/prod/1"),
            attribute("groundcrew.step", &step.to_string()),
            attribute("groundcrew.unit", unit),
            attribute("groundcrew.unit.stuck", &stuck.to_string()),
        ],
        ..Row::default()
    }
}

fn rows() -> Vec<Row> {
    let other_plan = Row {
        attributes: vec![("groundcrew.plan".to_owned(), "support/prod/2".to_owned())],
        ..answer(9, ("e", true), ("canary", 0), "failed")
    };
    vec![
        answer(1, ("a", true), ("canary", 0), "answered"),
        answer(2, ("a", true), ("canary", 1), "failed"),
        answer(3, ("a", true), ("canary", 2), "failed"),
        answer(4, ("b", true), ("control", 0), "answered"),
        answer(5, ("b", true), ("canary", 1), "answered"),
        answer(6, ("c", true), ("control", 1), "cancelled"),
        answer(7, ("7", false), ("canary", 1), "failed"),
        answer(8, ("d", true), ("control", 1), "blocked"),
        other_plan,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_count_once_for_each_arm_and_where_they_first_failed() {
    let desk = Desk::new().await;
    desk.put(&tenant("a"), Batch { spans: rows(), ..Batch::default() });
    let plan = PlanId("support/prod/1".into());
    let since = Timestamp::from_second(1_700_000_000).unwrap();
    let told =
        outcomes(desk.queries(), &tenant("a"), (&plan, since), Some(4_500_000)).await.unwrap();
    let of = |arm: &str, step, (sessions, assigned, failed, slow), unstuck| ArmOutcomes {
        arm: arm.into(),
        step,
        sessions,
        assigned,
        failed,
        slow,
        unstuck,
    };
    assert_eq!(
        told,
        [
            of("canary", 0, (1, 1, 0, 0), 0),
            of("canary", 1, (1, 0, 1, 1), 1),
            of("control", 0, (1, 1, 0, 0), 0),
            of("control", 1, (1, 1, 0, 1), 0),
        ]
    );
}

/// A copy of the request of trace `of`.
fn copy(number: u64, of: u64, unit: &str, outcome: &str) -> Row {
    let mut row = answer(number, (unit, true), ("shadow", 0), outcome);
    row.attributes.push(("groundcrew.copy_of".to_owned(), format!("{of:032x}")));
    let priced = outcome == "answered";
    let (cost, currency) = (priced.then_some(0.25), if priced { "USD" } else { "" });
    Row { cost, currency: currency.into(), input_tokens: Some(priced.into()), ..row }
}

fn copied() -> Vec<Row> {
    let control = ("control", 0);
    let mut dropped = answer(6, ("d", true), control, "failed");
    dropped.attributes.push(("groundcrew.copy_dropped".to_owned(), "bound".to_owned()));
    let mut unpriced = copy(15, 5, "c", "answered");
    unpriced.cost = None;
    vec![
        answer(1, ("a", true), control, "answered"),
        copy(11, 1, "a", "failed"),
        answer(2, ("a", true), control, "answered"),
        copy(12, 2, "a", "failed"),
        answer(3, ("b", true), control, "failed"),
        copy(13, 3, "b", "answered"),
        // Its original was cancelled: it is paid for, and compared with nothing.
        answer(4, ("e", true), control, "cancelled"),
        copy(14, 4, "e", "failed"),
        answer(5, ("c", true), control, "answered"),
        unpriced,
        dropped,
        // Its original is not recorded yet.
        copy(18, 8, "f", "answered"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_compared_with_their_originals_and_are_no_answers() {
    let desk = Desk::new().await;
    desk.put(&tenant("a"), Batch { spans: copied(), ..Batch::default() });
    let plan = PlanId("support/prod/1".into());
    let since = Timestamp::from_second(1_700_000_000).unwrap();
    let of = |arm: &str, sessions, failed| ArmOutcomes {
        arm: arm.into(),
        sessions,
        assigned: sessions,
        failed,
        ..ArmOutcomes::default()
    };
    let place = (&plan, since);
    let answers = outcomes(desk.queries(), &tenant("a"), place, None).await.unwrap();
    assert_eq!(answers, [of("control", 4, 2)]);
    let ask = async |lately: i64| {
        let lately = since + std::time::Duration::from_secs(lately as u64);
        let priced = (Currency::USD, lately);
        copies(desk.queries(), &tenant("a"), place, None, priced).await.unwrap()
    };
    let (arms, told) = ask(0).await;
    assert_eq!(arms, [of(MIRRORED, 3, 1), of("shadow", 3, 1)]);
    let spent = Money { currency: Currency::USD, nanos: 500_000_000 };
    assert_eq!(told, Copies { made: 6, dropped: 1, spent, unpriced: 1 });
    assert_eq!(ask(16).await.1.unpriced, 0, "that was before");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_fast_a_release_was_is_told_of_its_own_answers_only() {
    let desk = Desk::new().await;
    let evaluated = Row {
        attributes: vec![("groundcrew.evaluation".to_owned(), "returns-1f".to_owned())],
        ..answer(90, ("e", false), ("control", 0), "answered")
    };
    let spans = rows().into_iter().chain([evaluated]).collect();
    desk.put(&tenant("a"), Batch { spans, ..Batch::default() });
    let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
    let of = |arm: &str| ReleaseDigest::new(release::Digest::of(arm.as_bytes()));
    for (arm, told) in [("control", Some(4_000_000)), ("nobody", None)] {
        let place = (&app, &environment, of(arm));
        let found = latency(desk.queries(), &tenant("a"), place, (0.95, Span::ALL)).await.unwrap();
        assert_eq!(found, told, "{arm}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_is_one_number_of_each_measure_and_what_is_not_known_is_left_out() {
    let desk = Desk::new().await;
    let costing = |number, unit: &str, cost: Option<f64>, tokens| Row {
        cost,
        currency: if cost.is_some() { "USD".to_owned() } else { String::new() },
        output_tokens: Some(tokens),
        ..answer(number, (unit, true), ("canary", 0), "answered")
    };
    let spans = vec![
        costing(1, "a", Some(0.5), 10),
        costing(2, "a", Some(1.0), 20),
        Row { arm: "canary".into(), ..answer(3, ("a", true), ("canary", 1), "failed") },
        costing(4, "b", None, 5),
        costing(5, "b", Some(9.0), 5),
        Row { cost: Some(9.0), ..answer(6, ("6", false), ("canary", 0), "answered") },
    ];
    let score = |number: u64, value| Score {
        trace_id: format!("{number:032x}"),
        at: Timestamp::from_second(1_700_000_100).unwrap(),
        name: "helpful".into(),
        value,
        ..Score::default()
    };
    let scores =
        vec![score(1, Some(1.0)), score(2, Some(0.0)), score(4, None), score(77, Some(1.0))];
    desk.put(&tenant("a"), Batch { spans, scores, ..Batch::default() });
    let plan = PlanId("support/prod/1".into());
    let since = Timestamp::from_second(1_700_000_000).unwrap();
    let told = measures(desk.queries(), &tenant("a"), (&plan, since)).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|it| format!("{} {} {} {} {}", it.arm, it.step, it.measure, it.sessions, it.sum))
        .collect();
    assert_eq!(
        told,
        [
            "canary 0 cost 1 1.5",
            "canary 0 failures 2 1",
            "canary 0 latency 2 0.006",
            "canary 0 output_tokens 2 40",
            "canary 0 requests 2 5",
            "canary 0 score.helpful 1 0.5",
        ]
    );
}
