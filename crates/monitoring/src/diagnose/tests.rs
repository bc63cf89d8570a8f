use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::{cast, col, lit};
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use release::Timestamp;

use super::piece::of_newest;
use super::{
    Change, Happening, Moment, Piece, Suspect, changes, critical_path, graph, timeline, waiting,
};
use crate::metrics::Datapoint;
use crate::rows::{Batch, Origin, Span};
use crate::tables::{Table, back};

const MS: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A span of milliseconds `start` to `end`.
fn piece(id: &str, parent: &str, service: &str, (start, end): (i64, i64)) -> Piece {
    Piece {
        trace_id: "t1".to_owned(),
        span_id: id.to_owned(),
        parent_span_id: parent.to_owned(),
        name: id.to_owned(),
        service: service.to_owned(),
        start: start * MS,
        duration: (end - start) * MS,
        ..Piece::default()
    }
}

/// The web asks support, which searches and asks a model, which fails once.
fn desk() -> Vec<Piece> {
    let client = |piece: Piece| Piece { is_client: true, ..piece };
    let generate = Piece {
        dependency: "openai gpt-5".to_owned(),
        failed: true,
        error: "429".to_owned(),
        ..client(piece("generate", "answer", "support", (200, 900)))
    };
    vec![
        generate,
        client(piece("POST", "GET /", "web", (10, 960))),
        piece("GET /", "", "web", (0, 1_000)),
        Piece {
            failed: true,
            error: "429".to_owned(),
            ..piece("answer", "POST", "support", (50, 950))
        },
        piece("ground", "answer", "support", (60, 180)),
        piece("index", "ground", "search", (70, 170)),
        piece("lost", "nowhere", "batch", (0, 5)),
    ]
}

#[test]
fn a_graph_tells_who_calls_whom_and_where_errors_begin() {
    insta::assert_json_snapshot!(graph(&desk()));
    let mut twice = desk();
    twice.extend(desk());
    assert_eq!(graph(&twice), graph(&desk()), "a span that comes again counts once");
}

#[test]
fn a_trace_waits_for_what_ends_last_and_not_for_what_runs_beside() {
    let trace = vec![
        piece("root", "", "a", (0, 100)),
        piece("first", "root", "a", (10, 40)),
        piece("beside", "root", "a", (15, 39)),
        piece("second", "root", "a", (50, 120)),
        piece("deep", "second", "b", (60, 90)),
    ];
    let path: Vec<_> = critical_path(&trace)
        .into_iter()
        .map(|waited| (trace[waited.piece].name.as_str(), waited.nanoseconds / MS))
        .collect();
    assert_eq!(path, [("root", 20), ("first", 30), ("second", 20), ("deep", 30)]);
}

#[test]
fn a_deep_trace_and_one_that_is_its_own_parent_come_to_an_end() {
    let deep: Vec<_> = (0..50_000)
        .map(|depth: i64| {
            let parent = if depth == 0 { String::new() } else { (depth - 1).to_string() };
            piece(&depth.to_string(), &parent, "a", (depth, 100_000 - depth))
        })
        .collect();
    let path = critical_path(&deep);
    assert_eq!(path.len(), 50_000);
    assert_eq!(path.iter().map(|waited| waited.nanoseconds).sum::<i64>(), 100_000 * MS);
    let knot =
        [piece("a", "b", "x", (0, 9)), piece("b", "a", "x", (0, 9)), piece("c", "c", "x", (0, 9))];
    assert!(critical_path(&knot).is_empty());
    assert_eq!(graph(&knot).spans, 3);
}

#[test]
fn what_traces_wait_for_is_summed_up_by_what_was_done() {
    let mut all = desk();
    all.extend(desk().into_iter().map(|piece| Piece { trace_id: "t2".to_owned(), ..piece }));
    let told: Vec<_> = waiting(&all)
        .into_iter()
        .map(|it| {
            format!("{} {} {} {:.3} {:.2}", it.service, it.name, it.traces, it.seconds, it.share)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

proptest! {
    #[test]
    fn a_critical_path_adds_up_to_the_root(
        spans in prop::collection::vec((any::<prop::sample::Index>(), 0..1_000i64, 0..1_000i64), 0..60)
    ) {
        let mut trace = vec![piece("0", "", "a", (0, 1_000))];
        for (number, (parent, start, length)) in spans.iter().enumerate() {
            let parent = parent.index(trace.len()).to_string();
            trace.push(piece(&(number + 1).to_string(), &parent, "a", (*start, start + length)));
        }
        let path = critical_path(&trace);
        prop_assert!(path.iter().all(|waited| waited.nanoseconds >= 0));
        prop_assert_eq!(path.iter().map(|waited| waited.nanoseconds).sum::<i64>(), 1_000 * MS);
        let own: f64 = graph(&trace).services.iter().map(|service| service.self_seconds).sum();
        prop_assert!(own >= 0.0);
    }
}

fn points(values: &[Option<f64>]) -> Vec<Datapoint> {
    let points = values.iter().enumerate().map(|(minute, value)| Datapoint {
        at: at(minute as i64 * 60),
        value: *value,
        samples: None,
    });
    points.collect()
}

fn minutes(found: &[Change]) -> Vec<i64> {
    found.iter().map(|change| change.at.as_second() / 60).collect()
}

#[test]
fn a_new_level_is_a_change_and_an_outlier_or_noise_is_none() {
    let noise = |minute: usize| 100.0 + ((minute * 7919) % 13) as f64;
    let level = |from: usize, to: usize, factor: f64| {
        (from..to).map(move |minute| Some(noise(minute) * factor))
    };
    let mut values: Vec<_> = level(0, 60, 1.0).collect();
    assert_eq!(changes(&points(&values)), []);
    values[20] = Some(5_000.0);
    values[40] = None;
    assert_eq!(changes(&points(&values)), []);
    values.extend(level(60, 120, 2.0));
    let found = changes(&points(&values));
    assert_eq!(minutes(&found), [60]);
    assert!((found[0].before - 106.0).abs() < 3.0 && (found[0].after - 212.0).abs() < 6.0);
    values.extend(level(120, 150, 0.1));
    assert_eq!(minutes(&changes(&points(&values))), [60, 120]);
}

#[test]
fn a_constant_that_jumps_from_zero_is_a_change_and_a_short_history_is_none() {
    let mut values = vec![Some(0.0); 30];
    values.extend([Some(1.0); 5]);
    assert_eq!(minutes(&changes(&points(&values))), [30]);
    assert_eq!(changes(&points(&[Some(1.0), Some(9.0), Some(9.0), Some(9.0)])), []);
    assert_eq!(changes(&points(&[Some(3.0); 50])), []);
    assert_eq!(changes(&points(&[None; 50])), []);
}

#[test]
fn a_change_names_what_happened_just_before() {
    let happening = |second, kind: &str, may_cause| Happening {
        at: at(second),
        kind: kind.to_owned(),
        what: format!("{kind} at {second}"),
        actor: "user:ann".to_owned(),
        may_cause,
    };
    let change = Change { at: at(3_600), before: 1.0, after: 2.0, deviations: 9.0 };
    let told = timeline(
        vec![("errors".to_owned(), vec![change.clone()])],
        vec![
            happening(3_700, "knowledge.refreshed", true),
            happening(3_630, "deployment.moved", true),
            happening(3_000, "knowledge.refreshed", true),
            happening(2_000, "deployment.moved", true),
            happening(3_590, "alarm.state_changed", false),
        ],
    );
    let suspect = |kind: &str, second: i64| Suspect {
        kind: kind.to_owned(),
        what: format!("{kind} at {second}"),
        seconds_before: 3_600 - second,
    };
    let suspects = vec![suspect("deployment.moved", 3_630), suspect("knowledge.refreshed", 3_000)];
    let changed = Moment::Changed { metric: "errors".to_owned(), change, suspects };
    assert!(told.contains(&changed), "{told:?}");
    let order: Vec<_> = told.iter().map(|moment| moment.at().as_second()).collect();
    assert_eq!(order, [2_000, 3_000, 3_590, 3_600, 3_630, 3_700]);
}

#[tokio::test]
async fn the_query_gives_all_spans_of_the_traces_that_an_app_had_a_part_in() {
    let span = |trace: &str, app: &str, second| Span {
        trace_id: trace.to_owned(),
        span_id: format!("{trace}-{app}"),
        name: "answer".to_owned(),
        kind: "client".to_owned(),
        status: "error".to_owned(),
        started_at: at(second),
        duration_ns: 5,
        origin: Origin {
            service: app.to_owned(),
            app: app.to_owned(),
            environment: "prod".to_owned(),
            ..Origin::default()
        },
        attributes: vec![("server.address".to_owned(), "db.internal".to_owned())],
        ..Span::default()
    };
    let mut others = span("t1", "desk", 1_001);
    others.origin.app.clear();
    others.provider = "openai".to_owned();
    others.request_model = "gpt-5".to_owned();
    let spans = [
        span("t1", "o'support", 1_000),
        others,
        span("t2", "elsewhere", 1_002),
        span("t3", "o'support", 1_003),
        span("t4", "o'support", 5_000),
    ];
    let context = SessionContext::new();
    let batch = Batch { spans: spans.to_vec(), ..Batch::default() };
    context.register_batch("spans", Table::Spans.columns(&batch)).unwrap();
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let early = col("timestamp").lt(cast(lit(at(2_000).to_string()), nanoseconds));
    let found = async |environment, limit| {
        let table = context.table("spans").await.unwrap().filter(early.clone()).unwrap();
        let query = of_newest(table, ("o'support", environment), limit).unwrap();
        let answer = query.collect().await.unwrap();
        let spans = answer.iter().flat_map(back::spans);
        let mut found: Vec<_> = spans.map(|span| Piece::from(&span)).collect();
        found.sort_by_key(|piece| piece.start);
        found
    };
    let expected: Vec<_> = [&spans[0], &spans[1], &spans[3]].map(Piece::from).into();
    assert_eq!(found(Some("prod"), 10).await, expected);
    assert_eq!(expected[0].dependency, "db.internal");
    assert_eq!(expected[1].dependency, "openai gpt-5");
    assert_eq!(found(None, 1).await, expected[2..], "the newest trace");
    assert_eq!(found(Some("dev"), 10).await, []);
}
