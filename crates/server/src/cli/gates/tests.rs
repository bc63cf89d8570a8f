//! Gates as people see them.

use super::*;

#[test]
fn a_report_shows_each_gate_with_its_reason() {
    let report = json!({
        "app": "support", "environment": "prod", "change": "support-3", "eligible": false,
        "release": format!("sha256:{}", "2".repeat(64)),
        "evidence": format!("sha256:{}", "3".repeat(64)),
        "gates": [
            {"gate": "soak", "kind": "soak", "state": "passed", "since": "2026-01-02T10:00:00Z",
             "why": "stable in `staging` since 2026-01-01T10:00:00Z"},
            {"gate": "two of us", "kind": "approval", "state": "pending",
             "since": "2026-01-02T11:00:00.5Z", "why": "1 of 2 approval(s), by user:bob"},
        ],
        "not_needed": ["scan"],
    });
    insta::assert_snapshot!(shown(&report), @r"
    support-3 (222222222222) may not enter prod of support

    GATE                  STATE    SINCE                 WHY
    soak                  passed   2026-01-02T10:00:00Z  stable in `staging` since 2026-01-01T10:00:00Z
    two of us (approval)  pending  2026-01-02T11:00:00Z  1 of 2 approval(s), by user:bob

    not needed, since their slots are the same: scan

    evidence sha256:3333333333333333333333333333333333333333333333333333333333333333
    ");
}
