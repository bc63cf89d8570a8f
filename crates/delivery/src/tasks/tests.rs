use serde_json::{Value, json};
use workflow::MAX_PAYLOAD;

#[test]
fn a_report_of_many_documents_is_shortened_to_what_a_result_can_hold() {
    let long: Vec<_> = (0..5_000).map(|n| format!("{n}{}", "x".repeat(200))).collect();
    let skipped: Vec<_> = (0..3).map(|n| json!({"document": n, "reason": "r"})).collect();
    let mut report = json!({"added": long, "changed": long, "removed": long, "skipped": skipped});
    super::shorten(&mut report);
    assert!(report.to_string().len() < MAX_PAYLOAD);
    for list in ["added", "changed", "removed"] {
        let kept = report[list].as_array().unwrap().len() as u64;
        assert!(kept > 100, "{list}: {kept}");
        assert_eq!(kept + report["left_off"][list].as_u64().unwrap(), 5_000);
    }
    assert_eq!(report["left_off"]["skipped"], Value::Null);
    let mut short = json!({"added": ["a"], "changed": [], "removed": [], "skipped": []});
    let whole = short.clone();
    super::shorten(&mut short);
    assert_eq!(short, whole);
}
