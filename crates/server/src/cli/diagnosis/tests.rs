use serde_json::json;

use super::diagnosis;

#[test]
fn a_diagnosis_tells_what_changed_after_what_and_where_time_and_errors_are() {
    let told = json!({
        "app": "support", "environment": "prod",
        "since": "2026-11-27T05:00:00Z", "until": "2026-11-27T06:00:00Z",
        "timeline": [
            {"type": "happened", "at": "2026-11-27T05:14:40Z", "kind": "deployment.moved",
             "what": "release 3f2a became stable in prod", "actor": "user:ann", "may_cause": true},
            {"type": "changed", "metric": "groundcrew.errors Average", "at": "2026-11-27T05:15:00Z",
             "before": 0.004, "after": 0.12, "deviations": 29.0,
             "suspects": [{"kind": "deployment.moved", "seconds_before": 20,
                           "what": "release 3f2a became stable in prod"}]},
            {"type": "changed", "metric": "groundcrew.requests Sum", "at": "2026-11-27T05:40:00Z",
             "before": 0.0, "after": 12.0, "deviations": 9.0, "suspects": []},
        ],
        "graph": {
            "spans": 900, "traces": 120,
            "edges": [
                {"caller": "", "callee": "support", "calls": 120, "errors": 9,
                 "p50": 0.9, "p95": 2.5, "p99": 6.0},
                {"caller": "support", "callee": "openai gpt-5", "calls": 118, "errors": 9,
                 "p50": 0.7, "p95": 2.0, "p99": 5.5},
            ],
            "hot_spots": [
                {"service": "support", "name": "generate", "dependency": "openai gpt-5",
                 "error": "429", "errors": 9, "traces": 9, "example": "0af7651916cd43dd8448eb211c80319c"},
            ],
        },
        "waiting": [
            {"service": "support", "name": "generate", "dependency": "openai gpt-5",
             "traces": 118, "seconds": 96.5, "share": 0.81},
            {"service": "support", "name": "ground", "dependency": "",
             "traces": 120, "seconds": 14.0, "share": 0.12},
        ],
    });
    insta::assert_snapshot!(diagnosis(&told));
}

#[test]
fn where_nothing_happened_that_is_said() {
    let told = json!({
        "app": "support", "environment": null, "timeline": [], "graph": {"spans": 0},
        "since": "2026-11-27T05:00:00Z", "until": "2026-11-27T06:00:00Z",
    });
    insta::assert_snapshot!(diagnosis(&told));
}
