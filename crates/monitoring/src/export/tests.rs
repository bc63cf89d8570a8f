//! What is in the log comes to the collector, once each and in order.

use std::collections::VecDeque;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use release::Timestamp;
use store::Store;

use super::*;
use crate::{LogOptions, TelemetryLog};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::new(1_800_000_000, 0).unwrap()
    }
}

/// Answers as it was told to, then takes everything.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<Delivery>>,
    /// Refuses messages that hold a span of this name.
    poison: Option<String>,
    got: Mutex<Vec<(Signal, Vec<String>)>>,
}

fn names(otlp: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(otlp).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect()
}

#[async_trait]
impl Collector for Scripted {
    async fn send(&self, signal: Signal, otlp: &[u8]) -> Delivery {
        if let Some(answer) = self.answers.lock().unwrap().pop_front() {
            return answer;
        }
        let names = names(otlp);
        if self.poison.as_ref().is_some_and(|poison| names.contains(poison)) {
            return Delivery::Refused { why: "not this".to_owned() };
        }
        self.got.lock().unwrap().push((signal, names));
        Delivery::Done { rejected: 0 }
    }
}

fn otlp(name: &str) -> Vec<u8> {
    let spans = vec![Span { name: name.into(), ..Span::default() }];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A log with these messages, on disk.
async fn log(directory: &std::path::Path, messages: &[(&str, Signal, &str)]) -> Arc<LogSpool> {
    let log = TelemetryLog::open(directory, LogOptions::default()).unwrap();
    for (tenant, signal, name) in messages {
        let tenant = tenant.parse().unwrap();
        let mut receipt = log.append_otlp(&tenant, *signal, Still.now(), &otlp(name)).unwrap();
        receipt.synced().await.unwrap();
    }
    Arc::new(LogSpool::new(log))
}

async fn exporter(
    directory: &std::path::Path,
    spool: Arc<LogSpool>,
    collector: &Arc<Scripted>,
    selection: Selection,
) -> Arc<Exporter> {
    let store = Store::open_sqlite(&directory.join("control.db")).await.unwrap().system();
    let cursor = Cursor { store, log: "log".to_owned(), clock: Arc::new(Still) };
    let collector: Arc<dyn Collector> = Arc::<Scripted>::clone(collector);
    Exporter::open(spool, collector, selection, cursor).await.unwrap()
}

const MESSAGES: [(&str, Signal, &str); 5] = [
    ("default", Signal::Traces, "a"),
    ("default", Signal::Traces, "b"),
    ("default", Signal::Logs, "c"),
    ("other", Signal::Logs, "d"),
    ("default", Signal::Traces, "e"),
];

#[tokio::test]
async fn neighbours_go_together_and_the_order_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let spool = log(&home.path().join("log"), &MESSAGES).await;
    let collector = Arc::new(Scripted::default());
    let exporter = exporter(home.path(), spool, &collector, Selection::default()).await;
    assert_eq!(exporter.status().behind, 5);
    assert_eq!(exporter.turn().await, Ok(true));
    let got = collector.got.lock().unwrap().clone();
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        got,
        [
            (Signal::Traces, texts(&["a", "b"])),
            (Signal::Logs, texts(&["c"])),
            (Signal::Logs, texts(&["d"])),
            (Signal::Traces, texts(&["e"])),
        ]
    );
    let status = exporter.status();
    assert_eq!((status.sequence, status.behind, status.sent), (5, 0, 5));
    assert_eq!(exporter.turn().await, Ok(false));
}

#[tokio::test]
async fn only_what_is_selected_goes_and_the_rest_holds_nothing_up() {
    let home = tempfile::tempdir().unwrap();
    let spool = log(&home.path().join("log"), &MESSAGES).await;
    let collector = Arc::new(Scripted::default());
    let tenants = vec!["other".parse().unwrap()];
    let selection = Selection { tenants, signals: vec![Signal::Logs] };
    let exporter = exporter(home.path(), spool, &collector, selection).await;
    exporter.turn().await.unwrap();
    assert_eq!(*collector.got.lock().unwrap(), [(Signal::Logs, vec!["d".to_owned()])]);
    assert_eq!(exporter.status().behind, 0);
}

#[tokio::test]
async fn a_collector_that_is_away_gets_all_of_it_later() {
    let home = tempfile::tempdir().unwrap();
    let spool = log(&home.path().join("log"), &MESSAGES).await;
    let away = Delivery::Later { after: None, why: "nobody there".to_owned() };
    let hint = Delivery::Later { after: Some(Duration::from_secs(7)), why: "busy".to_owned() };
    let answers = Mutex::new(VecDeque::from([away.clone(), away, hint]));
    let collector = Arc::new(Scripted { answers, ..Scripted::default() });
    let exporter = exporter(home.path(), spool, &collector, Selection::default()).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let message = Message {
        sequence: 1,
        tenant: TenantId::DEFAULT,
        signal: Signal::Traces,
        otlp: otlp("a").into(),
    };
    exporter.deliver(&[message]).await;
    // A second, two, and the seven that the collector asked for.
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(collector.got.lock().unwrap().len(), 1);
    assert_eq!(exporter.status().failure, None);
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_counted_and_its_neighbours_arrive() {
    let home = tempfile::tempdir().unwrap();
    let spool = log(&home.path().join("log"), &MESSAGES).await;
    let collector = Arc::new(Scripted { poison: Some("b".into()), ..Scripted::default() });
    let exporter = exporter(home.path(), spool, &collector, Selection::default()).await;
    exporter.turn().await.unwrap();
    let got: Vec<_> =
        collector.got.lock().unwrap().iter().flat_map(|(_, names)| names.clone()).collect();
    assert_eq!(got, ["a", "c", "d", "e"]);
    let status = exporter.status();
    assert_eq!((status.sent, status.refused, status.behind), (4, 1, 0));
}

#[tokio::test]
async fn a_new_exporter_goes_on_where_the_one_before_it_was() {
    let home = tempfile::tempdir().unwrap();
    let spool = log(&home.path().join("log"), &MESSAGES[..2]).await;
    let collector = Arc::new(Scripted::default());
    let first = exporter(home.path(), Arc::clone(&spool), &collector, Selection::default()).await;
    first.turn().await.unwrap();
    drop((first, spool));
    let spool = log(&home.path().join("log"), &MESSAGES[4..]).await;
    let second = exporter(home.path(), spool, &collector, Selection::default()).await;
    assert_eq!(second.status().behind, 1);
    second.turn().await.unwrap();
    let got: Vec<_> =
        collector.got.lock().unwrap().iter().flat_map(|(_, names)| names.clone()).collect();
    assert_eq!(got, ["a", "b", "e"]);
}
