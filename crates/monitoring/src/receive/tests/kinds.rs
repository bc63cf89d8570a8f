//! Logs, metrics, scores and passages.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use serde_json::json;

use super::*;

fn logs(records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    let attributes = vec![text("service.name", "shop"), text("groundcrew.app", "support")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource = ResourceLogs { resource, scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}

fn body(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

#[test]
fn a_log_record_keeps_its_body_its_trace_and_its_severity() {
    let record = LogRecord {
        time_unix_nano: before(4),
        observed_time_unix_nano: before(3),
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: body(Value::StringValue("disk full".into())),
        attributes: vec![text("http.route", "/chat"), int("gen_ai.usage.input_tokens", 3)],
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..LogRecord::default()
    };
    let structured = LogRecord {
        body: body(Value::ArrayValue(ArrayValue { values: vec![] })),
        trace_id: vec![1; 5],
        attributes: vec![
            text("event.name", "gen_ai.client.inference.operation.details"),
            text("gen_ai.input.messages", "[{\"role\":\"user\",\"content\":\"x\"}]"),
            text("user.id", "ada"),
        ],
        ..LogRecord::default()
    };
    let batch = through(Signal::Logs, &logs(vec![record, structured]));
    insta::assert_debug_snapshot!((&batch.logs, &batch.payloads));
}

fn evaluation() -> Vec<KeyValue> {
    vec![
        text("gen_ai.evaluation.name", "groundedness"),
        double("gen_ai.evaluation.score.value", 0.75),
        text("gen_ai.evaluation.score.label", "pass"),
        text("gen_ai.evaluation.explanation", "it is quoted"),
        text("judge", "gpt"),
    ]
}

#[test]
fn scores_come_from_span_events_and_from_log_records() {
    let event = Event {
        time_unix_nano: before(9),
        name: "gen_ai.evaluation.result".into(),
        attributes: evaluation(),
        ..Event::default()
    };
    let sent = Span { events: vec![event], ..span(vec![text("gen_ai.response.id", "r1")]) };
    let of_span = through(Signal::Traces, &traces(vec![], vec![sent]));
    assert_eq!(of_span.spans[0].events, "");
    let failed = vec![text("gen_ai.evaluation.name", "toxicity"), text("error.type", "timeout")];
    let record = |attributes| LogRecord {
        time_unix_nano: before(1),
        event_name: "gen_ai.evaluation.result".into(),
        attributes,
        ..LogRecord::default()
    };
    let of_logs = through(Signal::Logs, &logs(vec![record(evaluation()), record(failed)]));
    assert!(of_logs.logs.is_empty());
    insta::assert_debug_snapshot!((&of_span.scores, &of_logs.scores));
}

#[test]
fn passages_become_edges_whatever_they_are_called() {
    let documents = json!([
        {"id": "c1", "score": 0.9, "document": "returns.md"},
        {"id": "c2", "score": "0.5", "metadata": {"source": "faq.md"}},
        {"id": "c3"},
        {"score": 1},
    ]);
    let newest = vec![
        text("gen_ai.operation.name", "retrieval"),
        text("gen_ai.data_source.id", "snapshot-1"),
        text("gen_ai.conversation.id", "c"),
        text("gen_ai.retrieval.query.text", "lamp"),
        text("gen_ai.retrieval.documents", documents.to_string()),
    ];
    let batch = through(Signal::Traces, &traces(vec![], vec![span(newest)]));
    insta::assert_debug_snapshot!((&batch.retrieval_edges, &batch.spans[0], &batch.payloads));

    let openinference = vec![
        text("openinference.span.kind", "RETRIEVER"),
        text("retrieval.documents.0.document.id", "c1"),
        double("retrieval.documents.0.document.score", 0.9),
        text("retrieval.documents.0.document.content", "Within thirty days."),
        text("retrieval.documents.0.document.metadata", "{\"source\": \"returns.md\"}"),
        text("retrieval.documents.1.document.content", "No id at all."),
    ];
    let batch = through(Signal::Traces, &traces(vec![], vec![span(openinference)]));
    let edges: Vec<_> = batch
        .retrieval_edges
        .iter()
        .map(|edge| (edge.rank, edge.document.as_str(), edge.score))
        .collect();
    assert_eq!(edges[0], (1, "returns.md", Some(0.9)));
    assert_eq!(batch.retrieval_edges[1].chunk, release::Digest::of(b"No id at all.").to_string());
    assert_eq!(batch.spans[0].output.len(), 2);
    assert_eq!(batch.spans[0].operation, "retrieval");
    assert!(batch.payloads.iter().all(|payload| payload.kind == "documents"));
}

#[test]
fn a_span_keeps_its_events_links_and_error() {
    let exception = Event {
        time_unix_nano: before(9),
        name: "exception".into(),
        attributes: vec![text("exception.type", "ValueError"), text("exception.message", "no")],
        ..Event::default()
    };
    let link = Link { trace_id: vec![3; 16], span_id: vec![4; 8], ..Link::default() };
    let sent = Span {
        parent_span_id: vec![9; 8],
        events: vec![exception],
        links: vec![link],
        status: Some(Status { code: 2, message: "it failed".into() }),
        ..span(vec![text("http.route", "/chat"), double("nan", f64::NAN)])
    };
    let resource = vec![
        text("service.name", "shop"),
        text("groundcrew.app", "support"),
        text("groundcrew.release", "sha256:aa"),
        text("service.version", "7.1"),
        text("host.name", "h1"),
    ];
    let batch = through(Signal::Traces, &traces(resource, vec![sent]));
    insta::assert_debug_snapshot!(batch.spans[0]);
}

#[test]
fn what_was_said_may_stand_in_an_event() {
    let messages = json!([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]);
    let event = Event {
        name: "gen_ai.client.inference.operation.details".into(),
        attributes: vec![text("gen_ai.input.messages", messages.to_string())],
        ..Event::default()
    };
    let sent = Span { events: vec![event], ..span(vec![]) };
    let batch = through(Signal::Traces, &traces(vec![], vec![sent]));
    assert_eq!(batch.spans[0].input_preview, "Hi");
    assert_eq!(batch.spans[0].events, "");
}

fn number(value: f64) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: before(60),
        time_unix_nano: before(1),
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: vec![text("route", "/chat")],
        ..NumberDataPoint::default()
    }
}

fn metrics(data: Vec<Data>) -> ExportMetricsServiceRequest {
    let metric =
        |data| Metric { name: "m".into(), unit: "s".into(), data: Some(data), ..Metric::default() };
    let metrics = data.into_iter().map(metric).collect();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let attributes = vec![text("service.name", "shop")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

#[test]
fn every_kind_of_data_point_becomes_a_row() {
    let explicit = HistogramDataPoint {
        time_unix_nano: before(1),
        count: 3,
        sum: Some(6.0),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![2.0],
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        time_unix_nano: before(1),
        count: 2,
        sum: Some(3.0),
        min: Some(1.0),
        max: Some(f64::INFINITY),
        ..ExponentialHistogramDataPoint::default()
    };
    let summary =
        SummaryDataPoint { time_unix_nano: before(1), count: 2, sum: 3.0, ..Default::default() };
    let silent = NumberDataPoint { flags: 1, value: None, ..number(0.0) };
    let sent = metrics(vec![
        Data::Gauge(Gauge { data_points: vec![number(1.5), silent] }),
        Data::Sum(Sum {
            data_points: vec![number(2.0)],
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        Data::Sum(Sum {
            data_points: vec![number(-1.0)],
            aggregation_temporality: 1,
            is_monotonic: false,
        }),
        Data::Histogram(Histogram {
            data_points: vec![explicit.clone()],
            aggregation_temporality: 1,
        }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential.clone()],
            aggregation_temporality: 1,
        }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ]);
    let rows = through(Signal::Metrics, &sent).metrics;
    assert_eq!(rows[3].sketch, explicit.encode_to_vec());
    assert_eq!(rows[4].sketch, exponential.encode_to_vec());
    insta::assert_debug_snapshot!(rows);
}

#[test]
fn data_points_that_say_nothing_are_taken_out_and_counted() {
    let crooked = HistogramDataPoint {
        bucket_counts: vec![1],
        explicit_bounds: vec![1.0],
        ..Default::default()
    };
    let mut sent = metrics(vec![
        Data::Gauge(Gauge { data_points: vec![number(f64::NAN), number(1.0)] }),
        Data::Histogram(Histogram { data_points: vec![crooked], aggregation_temporality: 1 }),
    ]);
    let nameless = Metric {
        data: Some(Data::Gauge(Gauge { data_points: vec![number(1.0)] })),
        ..Metric::default()
    };
    sent.resource_metrics[0].scope_metrics[0].metrics.push(nameless);
    sent.resource_metrics[0].scope_metrics[0]
        .metrics
        .push(Metric { name: "empty".into(), ..Metric::default() });
    let received =
        admit(Signal::Metrics, Format::Protobuf, None, sent.encode_to_vec().into()).unwrap();
    assert_eq!((received.items, received.rejected), (1, 4));
    assert_eq!(received.why, "metric `m`: a data point has no finite value");
    assert_eq!(decode(Signal::Metrics, &received.otlp, now()).metrics.len(), 1);
}
