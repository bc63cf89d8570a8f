//! Evaluations as people see them.

use super::*;

fn record() -> Value {
    json!({
        "id": "returns-3f9a2c81d0e4", "app": "support", "environment": "dev",
        "release": format!("sha256:{}", "2".repeat(64)),
        "suite": {"name": "returns", "digest": format!("sha256:{}", "3".repeat(64))},
        "verdict": "failed", "state": "finished", "done": 3, "planned": 3,
        "spend": {"calls": 5, "cost": null},
        "scorers": {
            "right": {"mean": 0.5, "passed": 1, "failed": 1, "pass_rate": 0.5, "required": 0.9,
                "errors": 1, "not_applicable": 0, "advisory": null},
            "polite": {"mean": 0.8, "passed": 3, "failed": 0, "pass_rate": 1.0, "required": 1.0,
                "errors": 0, "not_applicable": 0,
                "advisory": "people have labelled 0 answers of 50"},
            "words": {"mean": 41.0, "passed": 0, "failed": 0, "pass_rate": null, "required": 1.0,
                "errors": 0, "not_applicable": 0, "advisory": null},
        },
    })
}

fn run() -> Value {
    json!({"results": [
        {"case": "window", "repeat": 0, "answered": {"answer": {"text": "Yes."}}, "scores": {
            "right": {"scored": {"value": 1.0, "pass": true, "explanation": null}}}},
        {"case": "window", "repeat": 1, "answered": {"answer": {"text": "No."}}, "scores": {
            "right": {"scored": {"value": 0.0, "pass": false, "explanation": "not found"}}}},
        {"case": "label", "repeat": 0, "answered": {"failed": {"reason": "503"}}, "scores": {}},
        {"case": "card", "repeat": 0, "answered": {"answer": {"text": "No."}}, "scores": {
            "right": {"error": {"cause": "undefined", "reason": "too long"}},
            "words": {"not_applicable": {"reason": "nothing to count"}}}},
    ]})
}

#[test]
fn an_evaluation_shows_its_verdict_its_scorers_and_what_does_not_pass() {
    let all = format!("{}{}", shown(&record()), failing(&record(), &run(), 2));
    insta::assert_snapshot!(all);
    insta::assert_snapshot!(every(&run()));
}

#[test]
fn a_run_that_stopped_says_why() {
    let mut record = record();
    record["verdict"] = json!("partial");
    for (reason, told) in [
        (json!("cost_cap"), "stopped after 3 of 3 answers: cost cap"),
        (
            json!({"ledger": {"reason": "full"}}),
            "stopped after 3 of 3 answers: {\"ledger\":{\"reason\":\"full\"}}",
        ),
    ] {
        record["state"] = json!({"stopped": {"reason": reason}});
        assert_eq!(said(&record), told);
    }
}

#[test]
fn only_a_pass_ends_well_and_what_nothing_decides_ends_by_itself() {
    let ends = |verdict: &str| {
        let mut record = record();
        record["verdict"] = json!(verdict);
        super::verdict(&record).err().map(|error| error.is::<Refused>())
    };
    assert_eq!(ends("passed"), None);
    assert_eq!(ends("inconclusive"), Some(true));
    for verdict in ["failed", "error", "partial"] {
        assert_eq!(ends(verdict), Some(false), "{verdict}");
    }
}

#[test]
fn a_comparison_shows_each_scorer_side_by_side() {
    let compared = json!({
        "suite": "returns", "base": "returns-1", "candidate": "returns-2",
        "comparison": {
            "base": format!("sha256:{}", "1".repeat(64)),
            "candidate": format!("sha256:{}", "2".repeat(64)),
            "margin": 0.03, "gate": "inconclusive", "reason": "`right` +0.0000 (-0.1 to +0.1)",
            "scorers": {
                "right": {"cases": 28, "before": 0.9, "after": 0.9, "p": 1.0,
                    "difference": {"lower": -0.1, "upper": 0.1},
                    "outcomes": {"both": 25, "lost": 1, "gained": 1, "neither": 1},
                    "decision": {"gate": "inconclusive"}, "advisory": null},
                "words": {"cases": 28, "before": 40.0, "after": 41.5, "p": null,
                    "difference": null, "outcomes": null, "decision": null,
                    "advisory": "it sets no bound"},
            },
        },
    });
    insta::assert_snapshot!(side_by_side(&compared));
}
