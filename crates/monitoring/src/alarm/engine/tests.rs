//! Alarms as they are evaluated, told and held back.

use std::sync::Mutex;

use release::{PrincipalId, Timestamp};
use serde_json::{Value, json};
use store::Transaction;

use super::*;
use crate::alarm::records::{self, Defined, Outcome};
use crate::alarm::slo::SloFile;
use crate::alarm::spec::AlarmFile;

#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Numbers by metric and second; what was asked for.
#[derive(Debug, Default)]
struct Numbers {
    metrics: Mutex<BTreeMap<(String, i64), f64>>,
    asked: Mutex<Vec<(Timestamp, Timestamp)>>,
    fault: Mutex<Option<String>>,
}

#[async_trait]
impl Datapoints for Numbers {
    async fn metric(
        &self,
        _: &TenantId,
        stat: &MetricStat,
        span: Span,
    ) -> Result<Vec<Datapoint>, String> {
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Err(fault);
        }
        let metrics = self.metrics.lock().unwrap();
        let seconds = (span.from.as_second()..span.until.as_second()).step_by(stat.period as usize);
        let point = |second| Datapoint {
            at: Timestamp::from_second(second).unwrap(),
            value: metrics.get(&(stat.metric.clone(), second)).copied(),
            samples: None,
        };
        Ok(seconds.map(point).collect())
    }

    async fn grouped(
        &self,
        tenant: &TenantId,
        (stat, _): (&MetricStat, &[String]),
        span: Span,
    ) -> Result<BTreeMap<String, Vec<Datapoint>>, String> {
        let mut groups = BTreeMap::new();
        for model in ["a", "b"] {
            let stat = MetricStat { metric: format!("{}/{model}", stat.metric), ..stat.clone() };
            groups.insert(format!("model={model}"), self.metric(tenant, &stat, span).await?);
        }
        Ok(groups)
    }

    async fn query(
        &self,
        _: &TenantId,
        query: &Query,
        span: Span,
    ) -> Result<BTreeMap<String, Option<f64>>, String> {
        self.asked.lock().unwrap().push((span.from, span.until));
        let metrics = self.metrics.lock().unwrap();
        let value = metrics.get(&(query.text.clone(), span.from.as_second())).copied();
        Ok(value.map(|value| (String::new(), Some(value))).into_iter().collect())
    }
}

struct Fixture {
    _home: tempfile::TempDir,
    store: Store,
    clock: Arc<Hands>,
    numbers: Arc<Numbers>,
    alarms: TenantAlarms,
}

/// Ten o'clock, in seconds.
const TEN: i64 = 1_767_261_600;

impl Fixture {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
        let clock = Arc::new(Hands(Mutex::new(Timestamp::from_second(TEN + 5).unwrap())));
        let numbers = Arc::new(Numbers::default());
        let (time, datapoints): (Arc<dyn Clock>, Arc<dyn Datapoints>) =
            (clock.clone(), numbers.clone());
        let alarms = Alarms::new(store.clone(), time, datapoints).tenant(&TenantId::DEFAULT);
        Self { _home: home, store, clock, numbers, alarms }
    }

    async fn keep<T: Defined>(&self, record: &T) -> Outcome {
        let store = self.store.tenant(&TenantId::DEFAULT);
        let transaction = Transaction::new(PrincipalId::system("test"), self.clock.now());
        let (transaction, outcome) = records::define(&store, record, transaction).await.unwrap();
        store.commit(transaction).await.unwrap();
        outcome
    }

    async fn define(&self, name: &str, text: &str) -> Outcome {
        let value: Value = toml::from_str(text).unwrap();
        let definition = AlarmFile::from_value(value).unwrap();
        definition.compile().unwrap();
        let project = "desk".parse().unwrap();
        let (name, by_default, objective) = (name.to_owned(), false, None);
        self.keep(&AlarmRecord { name, project, definition, by_default, objective }).await
    }

    /// The minute that is over next has this number.
    fn set(&self, metric: &str, value: f64) {
        let second = self.clock.now().as_second() - 5;
        self.numbers.metrics.lock().unwrap().insert((metric.to_owned(), second), value);
    }

    /// A minute passes, and alarms are evaluated.
    async fn minute(&self) -> usize {
        *self.clock.0.lock().unwrap() += std::time::Duration::from_secs(60);
        self.alarms.evaluate().await.unwrap()
    }

    async fn status(&self, name: &str) -> AlarmStatus {
        self.alarms.show(name).await.unwrap().unwrap().status
    }

    async fn told(&self) -> Vec<String> {
        let events = self.store.tenant(&TenantId::DEFAULT).log(0, 1_000).await.unwrap();
        let changes = events.iter().filter(|event| event.kind == CHANGED);
        let told = changes.map(|event| {
            let change: AlarmChange = event.read().unwrap();
            format!("{}: {} to {}", change.alarm, change.previous, change.state)
        });
        told.collect()
    }

    async fn pending(&self) -> Vec<String> {
        let pending = self.alarms.pending().await.unwrap();
        pending.iter().map(|it| format!("{} {}", it.id, it.change.state)).collect()
    }
}

const ERRORS: &str = "metric = \"errors\"\nstatistic = \"Sum\"\ndimensions = { app = \"support\" }\n\
    comparison_operator = \"GreaterThanThreshold\"\nthreshold = 5\n\
    [[actions]]\nkind = \"slack\"\nconnection = \"team\"\n\
    [[actions]]\nkind = \"email\"\nto = [\"ada@example.com\"]\non = [\"ALARM\"]\n";

#[tokio::test]
async fn a_change_is_kept_told_and_noted_for_others_at_once() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.define("errors", ERRORS).await, Outcome::Changed);
    assert_eq!(fixture.define("errors", ERRORS).await, Outcome::Same);
    fixture.set("errors", 1.0);
    assert_eq!(fixture.minute().await, 1);
    fixture.set("errors", 9.0);
    assert_eq!(fixture.minute().await, 1);
    // The same period once more changes nothing.
    assert_eq!(fixture.alarms.evaluate().await.unwrap(), 0);
    assert_eq!(fixture.told().await, ["errors: INSUFFICIENT_DATA to OK", "errors: OK to ALARM"]);
    assert_eq!(fixture.pending().await, ["errors/1/0 OK", "errors/2/0 ALARM", "errors/2/1 ALARM"]);
    let status = fixture.status("errors").await;
    assert_eq!((status.state, status.since.as_second()), (State::Alarm, TEN + 125));
    assert_eq!(status.evaluated_at.as_second(), TEN + 120);

    fixture.alarms.begun("errors/2/0").await.unwrap();
    assert_eq!(fixture.pending().await, ["errors/1/0 OK", "errors/2/1 ALARM"]);
    let notification = fixture.alarms.notification("errors/2/0").await.unwrap().unwrap();
    assert_eq!(notification.change.dimensions, [("app".to_owned(), "support".to_owned())].into());
    fixture.alarms.done("errors/2/0").await.unwrap();
    assert_eq!(fixture.alarms.notification("errors/2/0").await.unwrap(), None);

    let history = fixture.alarms.history("errors", 1).await.unwrap();
    assert_eq!((history.len(), history[0].state), (1, State::Alarm));
}

#[tokio::test]
async fn a_failed_evaluation_keeps_the_state() {
    let fixture = Fixture::new().await;
    fixture.define("errors", ERRORS).await;
    fixture.set("errors", 9.0);
    fixture.minute().await;
    *fixture.numbers.fault.lock().unwrap() = Some("the disk is gone".to_owned());
    assert_eq!(fixture.minute().await, 0);
    let status = fixture.status("errors").await;
    assert_eq!((status.state, status.fault.as_deref()), (State::Alarm, Some("the disk is gone")));
    *fixture.numbers.fault.lock().unwrap() = None;
    fixture.set("errors", 1.0);
    fixture.minute().await;
    let status = fixture.status("errors").await;
    assert_eq!((status.state, status.fault), (State::Ok, None));
}

#[tokio::test]
async fn rules_are_settled_in_the_same_pass_and_suppressed() {
    let fixture = Fixture::new().await;
    fixture.define("errors", ERRORS).await;
    fixture.define("night", &ERRORS.replace("\"errors\"", "\"night\"")).await;
    // `a` is before `b` by name, and depends on it.
    fixture.define("a", "rule = \"ALARM(b)\"\n[[actions]]\nkind = \"slack\"\nconnection = \"team\"\n[suppressor]\nalarm = \"night\"\nextension_seconds = 90\n").await;
    fixture.define("b", "rule = \"ALARM(errors)\"\n").await;
    for (errors, night, state, pending) in [
        (1.0, 1.0, State::Ok, "a/1/0 OK"),
        (9.0, 9.0, State::Alarm, ""),
        // The night is over, but not for long enough.
        (9.0, 1.0, State::Alarm, ""),
        (9.0, 1.0, State::Alarm, ""),
        (9.0, 1.0, State::Alarm, "a/2/0 ALARM"),
        (9.0, 1.0, State::Alarm, ""),
    ] {
        fixture.set("errors", errors);
        fixture.set("night", night);
        fixture.minute().await;
        let status = fixture.status("a").await;
        assert_eq!(status.state, state, "{status:?}");
        let told: Vec<_> =
            fixture.pending().await.into_iter().filter(|it| it.starts_with("a/")).collect();
        assert_eq!(told.join(", "), pending, "{status:?}");
        assert_eq!(status.held.is_some(), status.told != status.state);
        for id in told {
            fixture.alarms.done(id.split(' ').next().unwrap()).await.unwrap();
        }
    }
    assert!(fixture.status("a").await.reason.contains("b ALARM"));
}

#[tokio::test]
async fn a_change_that_is_over_before_it_was_told_is_not_told() {
    let fixture = Fixture::new().await;
    fixture.define("errors", ERRORS).await;
    fixture.define("all", "rule = \"ALARM(errors)\"\n[[actions]]\nkind = \"slack\"\nconnection = \"team\"\n[suppressor]\nalarm = \"errors\"\n").await;
    for errors in [1.0, 9.0, 1.0] {
        fixture.set("errors", errors);
        fixture.minute().await;
    }
    let pending = fixture.pending().await;
    assert_eq!(pending.iter().filter(|it| it.starts_with("all/")).count(), 1, "{pending:?}");
    assert_eq!(fixture.status("all").await.held, None);
}

#[tokio::test]
async fn a_query_is_asked_for_one_period_only() {
    let fixture = Fixture::new().await;
    fixture.define("slow", "query = \"q\"\ncomparison_operator = \"GreaterThanThreshold\"\nthreshold = 5\nevaluation_periods = 2\n").await;
    for (value, state) in [(9.0, State::Ok), (9.0, State::Alarm), (1.0, State::Ok)] {
        fixture.set("q", value);
        fixture.minute().await;
        assert_eq!(fixture.status("slow").await.state, state);
    }
    let asked = fixture.numbers.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|(from, to)| to.as_second() - from.as_second() == 60));
    for _ in 0..4 {
        fixture.minute().await;
    }
    assert_eq!(fixture.status("slow").await.state, State::InsufficientData);
}

#[tokio::test]
async fn a_metric_is_taken_apart_by_dimensions() {
    let fixture = Fixture::new().await;
    fixture.define("errors", &format!("group_by = [\"model\"]\n{ERRORS}")).await;
    fixture.set("errors/a", 1.0);
    fixture.set("errors/b", 9.0);
    fixture.minute().await;
    let status = fixture.status("errors").await;
    assert_eq!(status.state, State::Alarm);
    assert_eq!(status.series["model=a"], State::Ok);
    assert!(status.reason.contains("`model=b`"), "{}", status.reason);
}

#[tokio::test]
async fn a_band_is_learned_from_what_was_before() {
    let fixture = Fixture::new().await;
    fixture.define("cost", "metric = \"cost\"\nstatistic = \"Sum\"\n[band]\nwidth = 4\n").await;
    for minute in 0..600_i64 {
        let value = 10.0 + (minute % 7) as f64;
        fixture
            .numbers
            .metrics
            .lock()
            .unwrap()
            .insert(("cost".to_owned(), TEN - minute * 60 - 60), value);
    }
    fixture.set("cost", 13.0);
    fixture.minute().await;
    assert_eq!(fixture.status("cost").await.state, State::Ok);
    fixture.set("cost", 50.0);
    fixture.minute().await;
    let status = fixture.status("cost").await;
    assert_eq!(status.state, State::Alarm, "{}", status.reason);
}

#[tokio::test]
async fn an_objective_has_a_budget_and_alarms() {
    let fixture = Fixture::new().await;
    let definition: SloFile = toml::from_str(
        "objective = 99\nwindow_days = 30\n\
         [total]\nmetric = \"requests\"\n[bad]\nmetric = \"bad\"\n\
         [[burn]]\nfactor = 10\nlong_minutes = 10\nshort_minutes = 2\n",
    )
    .unwrap();
    let (name, project) = ("availability".to_owned(), "desk".parse().unwrap());
    fixture.keep(&SloRecord { name, project, definition }).await;
    let alarm = "availability.burn-10m";
    for bad in [0.0, 50.0, 50.0, 0.0, 0.0] {
        fixture.set("requests", 100.0);
        fixture.set("bad", bad);
        fixture.minute().await;
    }
    assert_eq!(
        fixture.told().await,
        [
            format!("{alarm}: INSUFFICIENT_DATA to OK"),
            format!("{alarm}: OK to ALARM"),
            format!("{alarm}: ALARM to OK"),
        ]
    );
    let slo = &fixture.alarms.objectives().await.unwrap()[0];
    assert_eq!((slo.attained, slo.days_known), (Some(0.8), 1));
    assert!((slo.budget_left.unwrap() + 19.0).abs() < 1e-9, "{slo:?}");
    assert_eq!(slo.burn[0].window, "10m");
    assert_eq!(
        json!(fixture.alarms.show(alarm).await.unwrap().unwrap())["objective"],
        "availability"
    );
}

#[tokio::test]
async fn what_is_removed_or_turned_off_is_forgotten() {
    let fixture = Fixture::new().await;
    fixture.define("errors", ERRORS).await;
    fixture.set("errors", 9.0);
    fixture.minute().await;
    fixture.define("errors", &format!("enabled = false\n{ERRORS}")).await;
    fixture.minute().await;
    assert_eq!(fixture.alarms.list().await.unwrap(), []);
    fixture.define("errors", ERRORS).await;
    assert_eq!(fixture.status("errors").await.state, State::InsufficientData);
}

#[tokio::test]
async fn two_that_evaluate_tell_once() {
    let fixture = Fixture::new().await;
    fixture.define("errors", ERRORS).await;
    fixture.set("errors", 9.0);
    *fixture.clock.0.lock().unwrap() += std::time::Duration::from_secs(60);
    let (one, other) = tokio::join!(fixture.alarms.evaluate(), fixture.alarms.evaluate());
    assert!(one.is_ok() || other.is_ok());
    assert_eq!(fixture.told().await, ["errors: INSUFFICIENT_DATA to ALARM"]);
    assert_eq!(fixture.pending().await.len(), 2);
}
