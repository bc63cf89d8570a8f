//! What is told, as it is sent.

use super::*;
use crate::alarm::evaluate::Judged;
use crate::alarm::spec::Severity;

#[test]
fn each_kind_is_told_in_its_form() {
    let at = "2026-01-01T00:05:00Z".parse().unwrap();
    let dimensions = [("app", "support"), ("environment", "prod")];
    let change = AlarmChange {
        alarm: "support-errors".to_owned(),
        project: "desk".parse().unwrap(),
        description: "More than 5 % fail.".to_owned(),
        severity: Severity::Critical,
        previous: State::Ok,
        state: State::Alarm,
        reason: "3 of 5 datapoints are greater than the threshold 5".to_owned(),
        at,
        datapoints: vec![Judged { timestamp: at, value: 7.5, breaching: true, band: None }],
        dimensions: dimensions.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    let over = AlarmChange { previous: State::Alarm, state: State::Ok, ..change.clone() };
    insta::assert_snapshot!(format!("{}\n\n{}", subject(&change), text(&change)));
    insta::assert_json_snapshot!([
        webhook(&change, "support-errors/1/0"),
        slack(&change),
        pager_duty(&change, "default"),
        pager_duty(&over, "default"),
    ]);
}
