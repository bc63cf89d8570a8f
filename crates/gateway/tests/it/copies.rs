//! Copies of requests: a candidate is asked them, and no client notices.

use http::StatusCode;
use models::ProviderKind;
use monitoring::{AnswerRecord, Aside, Outcome};
use serde_json::json;
use testkit::model_server::{ANSWER, ModelServer, Script};

use crate::fixture::{App, Served, Shadow, serve};

const CHAT: &str = "/v1/chat/completions";
const ECHO: Shadow = Shadow { model: "echo", cap: 1_000_000_000, in_flight: 8, priced: true };

async fn over(shadow: Shadow) -> (ModelServer, Served) {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let app = App { shadow: Some(shadow), ..App::over(ProviderKind::Openai, &server.openai_url()) };
    let served = serve(app).await;
    (server, served)
}

/// Asks, and gets what a client gets.
async fn ask(served: &Served, stream: bool) {
    let body = json!({"model": "app", "stream": stream, "metadata": {"session_id": "ada"},
        "messages": [{"role": "user", "content": "Hello."}]});
    let (status, _, text) = served.post(CHAT, &body).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let whole = ANSWER.split(' ').all(|word| text.contains(word));
    assert!(whole && !text.contains("Hello."), "it is the stable release's: {text}");
}

/// All records once nothing is under way: the originals, and the copies.
async fn recorded(served: &Served) -> (Vec<AnswerRecord>, Vec<AnswerRecord>) {
    served.gateway.idle().await;
    served.records().into_iter().rev().partition(|record| record.aside.is_none())
}

#[tokio::test]
async fn a_copy_is_asked_and_recorded_and_never_reaches_the_client() {
    let (server, served) = over(ECHO).await;
    for stream in [false, true] {
        ask(&served, stream).await;
    }
    let (originals, copies) = recorded(&served).await;
    assert_eq!((originals.len(), copies.len(), server.requests().len()), (2, 2, 4));
    for original in &originals {
        let of = Some(Aside::CopyOf(original.trace));
        let copy = copies.iter().find(|copy| copy.aside == of).unwrap();
        assert_eq!(
            (original.arm.as_deref(), copy.arm.as_deref()),
            (Some("control"), Some("shadow"))
        );
        assert_eq!((&copy.plan, copy.step, &copy.unit), (&original.plan, Some(0), &original.unit));
        assert_ne!(copy.release, original.release);
        assert_eq!((&copy.input, &copy.outcome), (&original.input, &Outcome::Answered));
        assert!(copy.generation.as_ref().unwrap().cost.is_some(), "it is paid for");
        assert_eq!(original.copy_dropped, None);
    }
}

#[tokio::test]
async fn a_candidate_that_hangs_or_fails_neither_delays_nor_fails_the_client() {
    for model in ["fault-s06", "fault-401", "missing"] {
        let (_server, served) = over(Shadow { model, ..ECHO }).await;
        ask(&served, false).await;
        if model == "fault-s06" {
            assert_eq!(served.records().len(), 1, "the client has its answer, the copy waits");
        }
        let (originals, copies) = recorded(&served).await;
        assert_eq!(originals[0].outcome, Outcome::Answered);
        assert!(matches!(copies[0].outcome, Outcome::Failed { .. }), "{model}: {copies:?}");
    }
}

#[tokio::test]
async fn no_more_copies_are_under_way_than_the_plan_allows() {
    let (server, served) = over(Shadow { model: "fault-s06", in_flight: 1, ..ECHO }).await;
    ask(&served, false).await;
    // The first copy hangs meanwhile.
    server.requests_until(|seen| !seen.is_empty()).await.unwrap();
    ask(&served, false).await;
    let (originals, copies) = recorded(&served).await;
    let dropped: Vec<_> = originals.iter().map(|record| record.copy_dropped.as_deref()).collect();
    assert_eq!((dropped, copies.len()), (vec![None, Some("bound")], 1));
    ask(&served, false).await;
    assert_eq!(recorded(&served).await.1.len(), 2, "it is over, so there is room");
}

#[tokio::test]
async fn copies_end_at_once_at_their_cap_and_where_they_have_no_price() {
    // Each copy uses some tokens of a millionth of a dollar.
    for (shadow, why) in
        [(Shadow { cap: 1_000, ..ECHO }, "cap"), (Shadow { priced: false, ..ECHO }, "unpriced")]
    {
        let (_server, served) = over(shadow).await;
        ask(&served, false).await;
        served.gateway.idle().await;
        for _ in 0..3 {
            ask(&served, false).await;
        }
        let (originals, copies) = recorded(&served).await;
        let dropped = originals.iter().filter(|it| it.copy_dropped.as_deref() == Some(why));
        assert_eq!((dropped.count(), copies.len()), (3, 1), "{why}");
    }
}
