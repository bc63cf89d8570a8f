use serde_json::json;

use super::*;

#[test]
fn lengths_of_time_are_told_in_their_two_largest_units() {
    let told = [0, 59, 60, 3_661, 90_000, 172_800].map(|seconds| duration(&json!(seconds)));
    assert_eq!(told, ["0s", "59s", "1m", "1h 1m", "1d 1h", "2d"]);
    assert_eq!(duration(&Value::Null), "-");
}

#[test]
fn a_knowledge_base_is_shown_with_its_sources_and_wherever_it_serves() {
    let told = json!({
        "knowledge": "handbook",
        "sources": [
            {"source": "wiki", "kind": "git", "tier": "hourly", "objective": 7_200,
             "read_at": "2026-01-01T00:00:00.5Z", "due_at": "2026-01-01T01:00:00Z"},
            {"source": "site", "kind": "site", "tier": null, "objective": null, "read_at": null,
             "failing": {"since": "2026-01-01T00:00:00Z", "reason": "it answers 503"}},
        ],
        "serving": [{
            "app": "support", "environment": "prod", "snapshot": "sha256:0123456789abcdef",
            "since": "2026-01-01T00:00:00Z",
            "sources": [
                {"source": "wiki", "staleness": 7_300, "pending": 3, "unknown_age": 60,
                 "lag": {"p50": 60, "p95": 600, "max": 6_000}, "objective": 7_200, "burn": 1.01},
                {"source": "site", "staleness": 0, "pending": 0, "unknown_age": null, "lag": null,
                 "objective": null, "burn": null},
            ],
        }],
    });
    insta::assert_snapshot!(freshness(&told));
    insta::assert_snapshot!(in_short(&told), @"site cannot be read; 3 of wiki wait 2h 1m for support@prod, promise broken");
}
