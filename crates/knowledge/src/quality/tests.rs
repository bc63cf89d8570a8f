use std::collections::BTreeSet;

use release::Digest;

use super::{Quality, QualityReport, judge};
use crate::ledger::{Facts, Known, Ledger};

fn known(text: &str, facts: Facts) -> Known {
    Known {
        source: "files".to_owned(),
        mark: text.to_owned(),
        raw: Digest::of(text.as_bytes()),
        version: None,
        modified_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        estimated: false,
        fetched_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        facts: Facts { characters: text.len() as u64, ..facts },
        signature: None,
    }
}

fn ledger(count: usize, text: &str, facts: &Facts) -> Ledger {
    let mut ledger = Ledger::default();
    let document = |number| (format!("{number:03}.md"), known(text, facts.clone()));
    ledger.documents.extend((0..count).map(document));
    ledger
}

fn failed(report: &QualityReport) -> Vec<&str> {
    report.checks.iter().filter(|check| !check.passed).map(|check| check.gate.as_str()).collect()
}

#[test]
fn an_ordinary_batch_passes_every_gate() {
    let (before, mut after) = (ledger(100, "text", &Facts::default()), Ledger::default());
    assert_eq!(failed(&judge(&Quality::default(), (&after, &before), &[], false)), [""; 0]);
    after.documents.extend(before.documents.clone().into_iter().skip(10));
    let report = judge(&Quality::default(), (&before, &after), &["x.pdf".to_owned()], false);
    assert!(report.passed(), "{report:?}");
}

#[test]
fn a_flood_of_deletions_waits_for_a_persons_word() {
    let before = ledger(100, "text", &Facts::default());
    let after = ledger(70, "text", &Facts::default());
    let report = judge(&Quality::default(), (&before, &after), &[], false);
    assert_eq!(failed(&report), ["max_removed"]);
    assert_eq!(report.checks[0].documents.len(), 20);
    assert_eq!(report.checks[0].documents[0], "070.md");
    assert!(judge(&Quality::default(), (&before, &after), &[], true).passed());
    // A few may always go, but not all there are.
    let (three, two, none) = (
        ledger(3, "text", &Facts::default()),
        ledger(2, "text", &Facts::default()),
        Ledger::default(),
    );
    assert!(judge(&Quality::default(), (&three, &two), &[], false).passed());
    let report = judge(&Quality::default(), (&three, &none), &[], false);
    assert_eq!(failed(&report), ["max_removed"]);
}

#[test]
fn what_is_cut_short_unreadable_empty_or_foreign_is_told_with_its_documents() {
    let before = ledger(20, "a text of some length", &Facts::default());
    let strict = Quality {
        languages: BTreeSet::from(["en".to_owned()]),
        required: BTreeSet::from(["title".to_owned()]),
        max_findings: Some(0),
        ..Quality::default()
    };
    let facts = Facts {
        unreadable: 1,
        language: Some("de".to_owned()),
        findings: [(security::guardrails::Entity::Email, 1)].into(),
        ..Facts::default()
    };
    let report = judge(&strict, (&before, &ledger(20, "cut", &facts)), &[], false);
    let expected =
        ["max_truncated", "max_other_languages", "required", "max_unreadable", "max_findings"];
    assert_eq!(failed(&report), expected);
    let report = judge(&strict, (&before, &ledger(20, "", &Facts::default())), &[], false);
    assert_eq!(failed(&report), ["max_empty", "max_truncated", "required"]);
    let copies = Facts { copy_of: Some("x".to_owned()), ..Facts::default() };
    let report =
        judge(&Quality::default(), (&before, &ledger(20, "new text", &copies)), &[], false);
    assert_eq!(failed(&report), ["max_truncated", "max_copies"]);
    let lost: Vec<_> = (0..20).map(|number| format!("{number}.pdf")).collect();
    let report = judge(&Quality::default(), (&before, &before), &lost, false);
    assert_eq!(failed(&report), ["max_failed"]);
}
