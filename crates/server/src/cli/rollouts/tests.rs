//! A rollout as people see it.

use super::*;

#[test]
fn a_rollout_under_way_shows_its_steps_its_counts_and_how_near_a_decision_is() {
    let rollout = json!({
        "id": "support/prod/17", "change": "support-3", "by": "user:ada",
        "candidate": format!("sha256:{}", "2".repeat(64)),
        "control": format!("sha256:{}", "1".repeat(64)),
        "began_at": "2026-01-01T10:00:00Z",
        "state": {"state": "progressing", "step": 1, "since": "2026-01-01T10:10:00Z"},
        "rules": {"steps": [{"weight": 5.0, "seconds": 600}, {"weight": 25.0, "seconds": 600}]},
        "looked": {
            "at": "2026-01-01T10:12:00Z", "finding": "inconclusive", "why": "failures: not yet",
            "outcomes": [
                {"arm": "canary", "step": 0, "sessions": 50, "assigned": 50, "failed": 2, "slow": 0, "unstuck": 3},
                {"arm": "control", "step": 0, "sessions": 950, "assigned": 950, "failed": 10, "slow": 0, "unstuck": 60},
            ],
            "failures": {"bound": 3.0, "ln_e_bad": 1.5, "ln_e_safe": -0.5},
        },
        "passed": [
            {"at": "2026-01-01T10:00:00Z", "by": "user:ada", "why": "step 1 begins: 5 % for 600 s",
             "state": {"state": "progressing", "step": 0, "since": "2026-01-01T10:00:00Z"}},
        ],
    });
    insta::assert_snapshot!(shown(&rollout));
}

#[test]
fn a_shadow_tells_what_became_of_its_copies() {
    let rollout = json!({
        "id": "support/prod/18", "change": "support-4", "by": "user:ada",
        "candidate": format!("sha256:{}", "2".repeat(64)),
        "control": format!("sha256:{}", "1".repeat(64)),
        "began_at": "2026-01-01T10:00:00Z",
        "state": {"state": "paused", "step": 0, "since": "2026-01-01T10:00:00Z"},
        "rules": {
            "steps": [{"weight": 0.0, "mirror": 10.0, "seconds": 3600}],
            "copies": {"spend_cap": 2.0, "currency": "USD", "in_flight": 16},
        },
        "looked": {
            "at": "2026-01-01T10:12:00Z", "finding": "inconclusive", "why": "failures: not yet",
            "copies": {"made": 60, "dropped": 3, "unpriced": 0,
                "spent": {"currency": "USD", "nanos": 2_010_000_000_i64}},
            "outcomes": [
                {"arm": "control", "step": 0, "sessions": 500, "assigned": 500, "failed": 9, "slow": 0, "unstuck": 0},
                {"arm": "mirrored", "step": 0, "sessions": 50, "assigned": 50, "failed": 1, "slow": 0, "unstuck": 0},
                {"arm": "shadow", "step": 0, "sessions": 50, "assigned": 50, "failed": 2, "slow": 0, "unstuck": 0},
            ],
        },
        "passed": [],
    });
    insta::assert_snapshot!(shown(&rollout));
}

#[test]
fn an_id_that_is_none_is_said_with_an_example() {
    let error = path("support").unwrap_err().to_string();
    assert_eq!(
        error,
        "`support` is no rollout: write app/environment/number, as `support/prod/17`"
    );
}
