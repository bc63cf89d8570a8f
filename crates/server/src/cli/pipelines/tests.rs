//! The reports, whole, of pipelines that ended differently.

use release::{Code as Rule, Place};

use super::*;

fn told() -> Told {
    let gate = |name: &str, state: &str, why: &str| json!({"gate": name, "kind": name, "state": state, "why": why});
    let mut scan = gate("scan", "failed", "prompt, line 3: a secret (jwt)");
    scan["findings"] = json!([
        {"slot": "prompt", "line": 3, "check": "secrets", "what": "a secret (jwt)"},
        {"slot": "config", "line": 1, "check": "personal_data", "what": "personal data (email)"},
    ]);
    let live = json!({
        "environment": "dev", "state": "live", "why": "it is the stable release", "gates": [],
        "rollout": "desk/dev/4", "since": "2026-01-01T00:00:00Z",
    });
    let failed = json!({
        "environment": "prod", "state": "failed", "why": "scan (failed): a | \"secret\"\n<b>",
        "gates": [
            gate("soak", "passed", "stable for 2 h"), scan, gate("people", "pending", "0 of 1"),
            gate("audit", "error", "no function `audit`"),
        ],
        "rollout": null, "since": null,
    });
    let waiting = json!({
        "environment": "dev", "state": "waiting", "why": "release 1 is held in `dev`",
        "next": "groundcrew release unhold shop 1 --env dev -m REASON", "gates": [],
        "rollout": null, "since": null,
    });
    let unreached = json!({
        "environment": "prod", "state": "not_reached", "why": "", "gates": [], "rollout": null,
        "since": null,
    });
    let release = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let slots = json!({"prompt": {"kind": "prompt", "name": "greeting card"}});
    let pipelines = vec![
        json!({
            "app": "desk", "release": release, "change": "desk-3", "slots": slots,
            "outcome": "gate_failed", "stages": [live, failed],
        }),
        json!({
            "app": "shop", "release": release, "change": "shop-1", "slots": slots,
            "outcome": "waiting", "stages": [waiting, unreached],
        }),
        without_release("wiki", &json!({"waiting": [{"app": "wiki", "knowledge": "pages"}]})),
    ];
    let place = Place { file: "apps/desk.toml".to_owned(), line: 2, column: 7 };
    let finding = Diagnostic::warning(Rule::new("GC0105"), place, "`on` does nothing yet");
    Told {
        checkout: Some(Checkout {
            commit: "5f1e0c7a9b".to_owned(),
            author: Some("Ada <ada@example.com>".to_owned()),
            dirty: true,
            prefix: "apps of ours/".to_owned(),
        }),
        diagnostics: vec![finding.hint("leave it out")],
        pipelines,
        failure: None,
    }
}

#[test]
fn every_pipeline_is_in_every_report() {
    let told = told();
    insta::assert_snapshot!("junit", junit::junit(&told));
    let mut sarif = sarif::sarif(&told);
    sarif["runs"][0]["tool"]["driver"]["version"] = "VERSION".into();
    insta::assert_snapshot!("sarif", serde_json::to_string_pretty(&sarif).unwrap());
    insta::assert_snapshot!("summary", summary::summary(&told));
    insta::assert_snapshot!("ends", ends(&told.pipelines));
}

#[test]
fn the_gravest_decides_how_the_command_ends() {
    let told = told();
    let (code, why) = worst(&told.pipelines);
    assert_eq!(code, Code::GateFailed);
    assert!(why.starts_with("desk: prod: scan"), "{why}");
    let (code, why) = worst(&told.pipelines[1..]);
    assert_eq!((code, &*why), (Code::Waiting, "shop: dev: release 1 is held in `dev`"));
    assert_eq!(worst(&[json!({"app": "a", "outcome": "live"})]).0, Code::Live);
    let broken = json!({"app": "b", "outcome": "failed", "why": "it broke"});
    assert_eq!(worst(&[told.pipelines[0].clone(), broken]).0, Code::Failed);
}

#[test]
fn what_cannot_begin_is_told_all_the_same() {
    let told = Told { failure: Some("no server answers at <there>".to_owned()), ..Told::default() };
    assert!(
        junit::junit(&told).contains("<error message=\"no server answers at &lt;there&gt;\"/>")
    );
    assert_eq!(sarif::sarif(&told)["runs"][0]["invocations"][0]["executionSuccessful"], false);
    assert!(summary::summary(&told).contains("no server answers at &lt;there>"));
}
