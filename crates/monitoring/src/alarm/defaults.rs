//! The alarms that every app has. A file of the same name changes one or turns it off.

use std::collections::BTreeMap;

use super::evaluate::{Comparison, Missing};
use super::spec::{AlarmFile, BandFile, LowSamples, MetricFile, Severity};

/// The alarms of an app in the environment that its users see, by name.
pub fn alarms(app: &str, environment: &str) -> BTreeMap<String, AlarmFile> {
    let dimensions: BTreeMap<String, String> = [("app", app), ("environment", environment)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let sum = |id: &str, metric: &str| MetricFile {
        id: id.to_owned(),
        metric: Some(metric.to_owned()),
        statistic: Some("Sum".to_owned()),
        dimensions: dimensions.clone(),
        return_data: Some(false),
        ..MetricFile::default()
    };
    // Of few requests one bad one would be a large share.
    let share = |part: &str| MetricFile {
        id: "share".to_owned(),
        expression: Some(format!("IF(requests >= 10, FILL({part}, 0) / requests * 100, 0)")),
        ..MetricFile::default()
    };
    let of_five = |description: String, threshold: f64| AlarmFile {
        description,
        comparison_operator: Some(Comparison::GreaterThanThreshold),
        threshold: Some(threshold),
        evaluation_periods: Some(5),
        datapoints_to_alarm: Some(3),
        treat_missing_data: Missing::NotBreaching,
        ..AlarmFile::default()
    };
    let errors = AlarmFile {
        metrics: vec![
            sum("requests", "groundcrew.requests"),
            sum("errors", "groundcrew.errors"),
            share("errors"),
        ],
        ..of_five(format!("Too many of the requests to `{app}` fail."), 5.0)
    };
    let latency = AlarmFile {
        metric: Some("groundcrew.request.duration".to_owned()),
        statistic: Some("p95".to_owned()),
        dimensions: dimensions.clone(),
        evaluate_low_sample_count_percentile: LowSamples::Ignore,
        severity: Severity::Warning,
        ..of_five(format!("One in twenty answers of `{app}` takes too long."), 15.0)
    };
    let blocked = AlarmFile {
        metrics: vec![
            sum("requests", "groundcrew.requests"),
            sum("blocked", "groundcrew.guardrail.blocked"),
            share("blocked"),
        ],
        severity: Severity::Warning,
        ..of_five(format!("Guardrails block too many of the requests to `{app}`."), 20.0)
    };
    let cost = AlarmFile {
        description: format!("`{app}` costs more than is usual at this hour."),
        metric: Some("groundcrew.cost".to_owned()),
        statistic: Some("Sum".to_owned()),
        dimensions,
        period: Some(3_600),
        comparison_operator: Some(Comparison::GreaterThanUpperThreshold),
        band: Some(BandFile { width: 6.0, exclude: Vec::new() }),
        evaluation_periods: Some(2),
        treat_missing_data: Missing::NotBreaching,
        severity: Severity::Warning,
        ..AlarmFile::default()
    };
    let all = [("errors", errors), ("latency", latency), ("blocked", blocked), ("cost", cost)];
    all.map(|(name, alarm)| (format!("{app}-{name}"), alarm)).into()
}
