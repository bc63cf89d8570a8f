use std::collections::BTreeMap;

use release::{TenantId, Timestamp};

use super::{Format, Reading, expose};
use crate::metrics::{RollupLimits, Rollups, declared};
use crate::rows::{Batch, MetricPoint, Origin, Span};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn point(name: &str, kind: &str, unit: &str, value: f64) -> MetricPoint {
    MetricPoint {
        name: name.to_owned(),
        kind: kind.to_owned(),
        unit: unit.to_owned(),
        at: at(1_000),
        value: Some(value),
        attributes: vec![("groundcrew.metric.temporality".to_owned(), "delta".to_owned())],
        ..MetricPoint::default()
    }
}

fn page(format: Format, batch: &Batch) -> String {
    let rollups = Rollups::new(RollupLimits::default(), at(1_000));
    let tenant = TenantId::DEFAULT;
    rollups.observe(&tenant, batch, at(1_010));
    let queue = |name: &str| BTreeMap::from([("queue".to_owned(), name.to_owned())]);
    let readings = [
        Reading { metric: &declared::CPU, labels: BTreeMap::new(), value: 1.5 },
        Reading { metric: &declared::LOG_BYTES, labels: queue("b"), value: 1e21 },
        Reading { metric: &declared::LOG_BYTES, labels: queue("a"), value: 3.0 },
    ];
    let totals = vec![(tenant.clone(), rollups.totals(&tenant))];
    expose(format, &readings, &totals, rollups.started())
}

fn batch() -> Batch {
    let spans = [100, 2_000, 200_000].into_iter().map(|milliseconds: i64| Span {
        name: "answer".to_owned(),
        outcome: "answered".to_owned(),
        started_at: at(900),
        duration_ns: milliseconds * 1_000_000,
        origin: Origin {
            app: "sup\"port\\\n".to_owned(),
            environment: "prod".to_owned(),
            ..Origin::default()
        },
        ..Span::default()
    });
    let mut odd = point("http.server/2 odd-name", "gauge", "By/s", -0.5);
    odd.attributes.extend([
        ("a.b".to_owned(), "1".to_owned()),
        ("a-b".to_owned(), "2".to_owned()),
        ("le".to_owned(), "mine".to_owned()),
        ("0x".to_owned(), "zero".to_owned()),
    ]);
    let mut summary = point("size", "histogram", "By", 0.0);
    (summary.value, summary.count, summary.sum) = (None, Some(4), Some(10.0));
    let metrics = vec![
        odd,
        point("tickets", "counter", "{ticket}", 3.0),
        point("tickets_total", "gauge", "", 9.0),
        point("cache.hit", "gauge", "1", 0.5),
        summary,
    ];
    Batch { spans: spans.collect(), metrics, ..Batch::default() }
}

#[test]
fn the_text_format_is_exact() {
    insta::assert_snapshot!(page(Format::Text, &batch()));
}

#[test]
fn open_metrics_is_exact() {
    insta::assert_snapshot!(page(Format::OpenMetrics, &batch()));
}

#[test]
fn a_reader_gets_what_it_ranks_highest() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, wanted) in [
        (None, Format::Text),
        (Some("*/*"), Format::Text),
        (Some(prometheus), Format::OpenMetrics),
        (Some("text/plain, application/openmetrics-text;q=0.3"), Format::Text),
        (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
        (Some("application/openmetrics-text;q=0"), Format::Text),
        (Some("text/html"), Format::Text),
    ] {
        assert_eq!(Format::accepted(accept), wanted, "{accept:?}");
    }
}
