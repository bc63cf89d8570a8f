//! Whoever is to be told is told, once, by an execution.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use monitoring::alarm::engine::Datapoints;
use monitoring::alarm::records::{AlarmRecord, define};
use monitoring::alarm::spec::{AlarmFile, Query};
use monitoring::metrics::{Datapoint, MetricStat};
use monitoring::tables::Span;
use release::{Clock, Secret, Timestamp};
use store::{Store, Transaction};
use tokio::sync::mpsc;

use super::*;
use crate::connections::{Connection, Proof};
use crate::outside;

#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Every period has the same number.
#[derive(Debug)]
struct Always(f64);

#[async_trait]
impl Datapoints for Always {
    async fn metric(
        &self,
        _: &TenantId,
        _: &MetricStat,
        span: Span,
    ) -> Result<Vec<Datapoint>, String> {
        Ok(vec![Datapoint { at: span.from, value: Some(self.0), samples: None }])
    }

    async fn grouped(
        &self,
        _: &TenantId,
        _: (&MetricStat, &[String]),
        _: Span,
    ) -> Result<BTreeMap<String, Vec<Datapoint>>, String> {
        Ok(BTreeMap::new())
    }

    async fn query(
        &self,
        _: &TenantId,
        _: &Query,
        _: Span,
    ) -> Result<BTreeMap<String, Option<f64>>, String> {
        Ok(BTreeMap::new())
    }
}

/// A service that is told, and the calls it got.
async fn service() -> (String, mpsc::UnboundedReceiver<(HeaderMap, Value)>) {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (told, calls) = mpsc::unbounded_channel();
    let hear = move |headers: HeaderMap, body: axum::Json<Value>| async move {
        told.send((headers, body.0)).unwrap();
        StatusCode::ACCEPTED
    };
    let router = Router::new().route("/hook", post(hear));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}/hook"), calls)
}

fn connection(url: &str, proof: Proof) -> Connection {
    Connection {
        url: url.parse().unwrap(),
        authorization: None,
        proof: Some(proof),
        timeout: Duration::from_secs(60),
        tenants: vec![TenantId::DEFAULT],
    }
}

#[tokio::test]
async fn a_webhook_is_signed_and_a_pager_is_shown_its_key() {
    let (url, mut calls) = service().await;
    let home = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
    let clock = Arc::new(Hands(Mutex::new("2026-01-01T10:00:10Z".parse().unwrap())));
    let time: Arc<dyn Clock> = clock.clone();
    let alarms = Alarms::new(store.clone(), Arc::clone(&time), Arc::new(Always(9.0)));
    let offered = [
        ("hook".to_owned(), connection(&url, Proof::Signature(Secret::new("whsec_c2VjcmV0")))),
        ("pager".to_owned(), connection(&url, Proof::RoutingKey(Secret::new("R0UT1NG")))),
    ];
    let connections = Arc::new(Connections::new(offered.into(), outside::client().unwrap()));
    let notify = NotifyTask { alarms: alarms.clone(), connections, mail: None };
    let engine = Engine::new(store.clone(), time, "node", Secret::new("x"), vec![Arc::new(notify)]);
    let running = engine.clone();
    tokio::spawn(async move { running.run().await });

    let definition: AlarmFile = serde_json::from_value(json!({
        "metric": "m", "comparison_operator": "GreaterThanThreshold", "threshold": 5,
        "actions": [
            {"kind": "webhook", "connection": "hook"},
            {"kind": "pager_duty", "connection": "pager"},
        ],
    }))
    .unwrap();
    let record = AlarmRecord {
        name: "errors".to_owned(),
        project: "desk".parse().unwrap(),
        definition,
        by_default: false,
        objective: None,
    };
    let tenant = store.tenant(&TenantId::DEFAULT);
    let transaction = Transaction::new(PrincipalId::system("test"), clock.now());
    let (transaction, _) = define(&tenant, &record, transaction).await.unwrap();
    tenant.commit(transaction).await.unwrap();

    let mut changes = store.watch();
    for _ in 0..3 {
        pass(&alarms, &engine, &TenantId::DEFAULT).await.unwrap();
    }
    let mut told = [calls.recv().await.unwrap(), calls.recv().await.unwrap()];
    told.sort_by_key(|(_, body)| body["event_action"].is_string());
    let (headers, body) = &told[0];
    assert_eq!(
        (&body["type"], &body["data"]["state"]),
        (&json!("alarm.state_changed"), &json!("ALARM"))
    );
    assert_eq!(headers["webhook-id"], "errors/1/0");
    let at: i64 = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    let text = body.to_string();
    let signature = security::webhook::sign(
        &Secret::new("whsec_c2VjcmV0"),
        ("errors/1/0", at),
        text.as_bytes(),
    );
    assert_eq!(headers["webhook-signature"].to_str().unwrap(), signature);
    let (_, body) = &told[1];
    assert_eq!(
        (&body["routing_key"], &body["event_action"]),
        (&json!("R0UT1NG"), &json!("trigger"))
    );
    assert_eq!(body["dedup_key"], "groundcrew/default/errors");

    // Once they are told, nothing is left to be told, and nothing was told twice.
    let alarms = alarms.tenant(&TenantId::DEFAULT);
    for id in ["errors/1/0", "errors/1/1"] {
        while alarms.notification(id).await.unwrap().is_some() {
            changes.changed().await.unwrap();
        }
    }
    assert!(calls.try_recv().is_err());
    let known = engine.tenant(&TenantId::DEFAULT, PrincipalId::system("test"));
    let machine = known.machine("groundcrew.alarm.notify").await.unwrap();
    let definition = known.definition(machine.definition).await.unwrap();
    assert!(definition.contains("\"MaxAttempts\":8"), "{definition}");
}
