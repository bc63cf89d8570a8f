use serde_json::json;

use super::*;

fn reported() -> Value {
    json!({
        "batch": {
            "knowledge": "handbook", "number": 7, "cause": {"kind": "refresh"}, "accepted": false,
            "snapshot": "sha256:0123456789abcdef", "actor": "user:ada",
            "at": "2026-01-01T00:00:00.25Z", "changes": ["support-3"], "promoted": [],
        },
        "report": {
            "added": ["a|b.md", "c.md"], "changed": [], "removed": ["old.md"],
            "read": ["wiki"], "unread": [{"source": "site", "reason": "it answers 503"}],
            "skipped": [{"document": "bad.pdf", "reason": "it took too long"}],
            "documents": 12, "chunks": 80,
            "embedding": {"embedded": 5, "cached": 70, "tokens": 900},
            "quality": {"checks": [
                {"gate": "max_removed", "passed": true, "measured": 0.08, "limit": 0.2},
                {"gate": "max_empty", "passed": false, "measured": 0.5, "limit": 0.05,
                 "documents": ["c.md"]},
            ]},
        },
        "documents": [
            {"document": "a|b.md", "what": "added", "source": "wiki", "estimated": false,
             "at": "2025-12-31T23:00:00Z", "why": "it is new"},
            {"document": "old.md", "what": "removed", "source": "wiki", "estimated": false,
             "at": "2025-12-31T22:00:00Z", "why": "its source does not have it any more"},
        ],
    })
}

#[test]
fn a_report_names_what_changed_and_why_what_was_not_read_and_every_gate() {
    let reported = reported();
    insta::assert_snapshot!(told(&landed(&reported), &reported["documents"], 1));
}

#[test]
fn a_report_for_a_ticket_keeps_its_tables_whatever_documents_are_called() {
    insta::assert_snapshot!(markdown(&reported()));
}
