//! From what is written to what can be evaluated.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ActionFile, Alarm, AlarmFile, BandFile, LowSamples, MetricFile, Query, Watch, Watched, Wrong,
};
use crate::alarm::composite::{Rule, Suppressor};
use crate::alarm::evaluate::{Comparison, Judge, least_samples};
use crate::alarm::math::{Environment, Expression, Value};
use crate::metrics::{MetricStat, Statistic};

/// The longest time that is judged, in seconds: a week.
const LONGEST: u64 = 7 * 86_400;
/// The most metrics and expressions of one alarm.
const MAX_METRICS: usize = 20;
/// How often a rule over other alarms is looked at, in seconds.
const RULE_PERIOD: u32 = 10;

/// Checks a file.
pub fn compile(file: &AlarmFile) -> Result<Alarm, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let alarm = alarm(file, &mut wrong);
    for (index, action) in file.actions.iter().enumerate() {
        if let ActionFile::Email { to, .. } = action
            && (to.is_empty() || to.iter().any(|address| !address.contains('@')))
        {
            let pointer = format!("/actions/{index}/to");
            wrong.push(Wrong::new(pointer, "addresses as `ada@example.com` are needed"));
        }
    }
    match alarm {
        Some(alarm) if wrong.is_empty() => Ok(alarm),
        _ => Err(wrong),
    }
}

fn alarm(file: &AlarmFile, wrong: &mut Vec<Wrong>) -> Option<Alarm> {
    let watched = [
        ("metric", file.metric.is_some()),
        ("metrics", !file.metrics.is_empty()),
        ("query", file.query.is_some()),
        ("rule", file.rule.is_some()),
    ];
    let named: Vec<_> = watched.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    let [what] = named.as_slice() else {
        let message = match named.as_slice() {
            [] => "an alarm needs a `metric`, `metrics`, a `query` or a `rule`".to_owned(),
            several => format!("an alarm has only one of `{}`", several.join("`, `")),
        };
        wrong.push(Wrong::new("", message));
        return None;
    };
    let unused = [
        ("group_by", !file.group_by.is_empty() && *what != "metric", "for a single `metric`"),
        ("dimensions", !file.dimensions.is_empty() && *what != "metric", "for a single `metric`"),
        ("statistic", file.statistic.is_some() && *what != "metric", "for a single `metric`"),
        ("suppressor", file.suppressor.is_some() && *what != "rule", "for a `rule`"),
        ("band", file.band.is_some() && matches!(*what, "query" | "rule"), "for metrics"),
    ];
    for (name, is, why) in unused {
        if is {
            wrong.push(Wrong::new(format!("/{name}"), format!("`{name}` is {why} only")));
        }
    }
    if *what == "rule" {
        return composite(file, wrong);
    }
    if *what == "query" {
        let period = period(file.period, "/period", wrong);
        let judge = judge(file, (None, period), wrong)?;
        let text = file.query.clone().filter(|text| !text.trim().is_empty());
        let Some(text) = text else {
            wrong.push(Wrong::new("/query", "the query is empty"));
            return None;
        };
        let query = Query { text, language: file.language };
        return Some(Alarm { watch: Watch::Query(query, judge), period });
    }
    let watched = metrics(file, wrong)?;
    let (_, first) = watched.inputs.first()?;
    let period = first.period;
    // An expression's numbers are of as many samples as nobody can tell.
    let statistic = watched.expressions.is_empty().then_some(first.statistic);
    let judge = judge(file, (statistic, period), wrong)?;
    if judge.comparison.needs_band() != watched.band.is_some() {
        let (pointer, message) = match watched.band {
            None => ("/band", "this comparison is with a `band`, and there is none"),
            Some(_) => (
                "/comparison_operator",
                "a band is compared with by LessThanLowerOrGreaterThanUpperThreshold, LessThanLowerThreshold or GreaterThanUpperThreshold",
            ),
        };
        wrong.push(Wrong::new(pointer, message));
    }
    Some(Alarm { watch: Watch::Metrics(watched, judge), period })
}

fn composite(file: &AlarmFile, wrong: &mut Vec<Wrong>) -> Option<Alarm> {
    for (name, is) in [
        ("threshold", file.threshold.is_some()),
        ("comparison_operator", file.comparison_operator.is_some()),
        ("evaluation_periods", file.evaluation_periods.is_some()),
        ("datapoints_to_alarm", file.datapoints_to_alarm.is_some()),
        ("period", file.period.is_some()),
    ] {
        if is {
            let message = format!("an alarm with a `rule` has no `{name}`");
            wrong.push(Wrong::new(format!("/{name}"), message));
        }
    }
    let rule = Rule::parse(file.rule.as_deref().unwrap_or_default());
    let rule = rule.map_err(|error| wrong.push(Wrong::new("/rule", error.to_string()))).ok()?;
    let suppressor = file.suppressor.as_ref().map(|file| Suppressor {
        alarm: file.alarm.clone(),
        wait_seconds: file.wait_seconds,
        extension_seconds: file.extension_seconds,
    });
    Some(Alarm { watch: Watch::Composite(rule, suppressor), period: RULE_PERIOD })
}

fn judge(
    file: &AlarmFile,
    (statistic, period): (Option<Statistic>, u32),
    wrong: &mut Vec<Wrong>,
) -> Option<Judge> {
    let banded = file.band.is_some() || banded_expression(file);
    let comparison = match file.comparison_operator {
        None if banded => Some(Comparison::LessThanLowerOrGreaterThanUpperThreshold),
        None => {
            wrong.push(Wrong::new("", "`comparison_operator` is missing"));
            None
        }
        given => given,
    };
    if file.threshold.is_none() && !banded && comparison.is_some_and(|it| !it.needs_band()) {
        wrong.push(Wrong::new("", "`threshold` is missing"));
    }
    if file.threshold.is_some() && banded {
        wrong.push(Wrong::new("/threshold", "with a band there is no threshold"));
    }
    let periods = file.evaluation_periods.unwrap_or(1);
    let to_alarm = file.datapoints_to_alarm.unwrap_or(periods);
    if periods == 0 || u64::from(periods) * u64::from(period) > LONGEST {
        let message = format!(
            "1 to {} periods of {period} s can be judged: seven days at most",
            LONGEST / u64::from(period.max(1))
        );
        wrong.push(Wrong::new("/evaluation_periods", message));
    }
    if periods > 0 && !(1..=periods).contains(&to_alarm) {
        let message =
            format!("1 to {periods} of {periods} datapoints can be needed, not {to_alarm}");
        wrong.push(Wrong::new("/datapoints_to_alarm", message));
    }
    let samples = match (file.evaluate_low_sample_count_percentile, statistic) {
        (LowSamples::Ignore, Some(Statistic::Percentile(hundredths))) => {
            Some(least_samples(hundredths))
        }
        _ => None,
    };
    Some(Judge {
        comparison: comparison?,
        threshold: file.threshold,
        periods,
        to_alarm,
        missing: file.treat_missing_data,
        samples,
    })
}

fn banded_expression(file: &AlarmFile) -> bool {
    let banded = |metric: &MetricFile| {
        metric
            .expression
            .as_ref()
            .is_some_and(|text| text.to_ascii_uppercase().contains("ANOMALY_DETECTION_BAND"))
    };
    file.metrics.iter().any(banded)
}

fn period(given: Option<u32>, pointer: &str, wrong: &mut Vec<Wrong>) -> u32 {
    let period = given.unwrap_or(60);
    let fits = matches!(period, 10 | 20 | 30)
        || period > 0 && period.is_multiple_of(60) && period <= 86_400;
    if !fits {
        let message = format!(
            "a period has 10, 20, 30 or a multiple of 60 seconds up to 86400, not {period}"
        );
        wrong.push(Wrong::new(pointer, message));
        return 60;
    }
    period
}

fn statistic(text: Option<&str>, pointer: &str, wrong: &mut Vec<Wrong>) -> Statistic {
    let parsed = text.map_or(Ok(Statistic::Average), str::parse);
    parsed.unwrap_or_else(|message| {
        wrong.push(Wrong::new(pointer, message));
        Statistic::Average
    })
}

fn metrics(file: &AlarmFile, wrong: &mut Vec<Wrong>) -> Option<Watched> {
    if let Some(metric) = &file.metric {
        let stat = MetricStat {
            metric: metric.clone(),
            dimensions: file.dimensions.clone(),
            statistic: statistic(file.statistic.as_deref(), "/statistic", wrong),
            period: period(file.period, "/period", wrong),
        };
        return Some(Watched {
            inputs: vec![("m1".to_owned(), stat)],
            expressions: Vec::new(),
            returned: "m1".to_owned(),
            band: checked_band(file.band.clone(), wrong),
            group_by: file.group_by.clone(),
        });
    }
    if file.metrics.len() > MAX_METRICS {
        let message =
            format!("{} metrics are more than the {MAX_METRICS} allowed", file.metrics.len());
        wrong.push(Wrong::new("/metrics", message));
    }
    let before = wrong.len();
    let (mut inputs, mut written) = (Vec::new(), Vec::new());
    let mut ids = BTreeSet::new();
    for (index, metric) in file.metrics.iter().enumerate() {
        let at = |name: &str| format!("/metrics/{index}/{name}");
        let id = &metric.id;
        if !id.starts_with(|first: char| first.is_ascii_lowercase())
            || !id.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        {
            let message = format!("`{id}` is no id: a small letter, then letters, digits and `_`");
            wrong.push(Wrong::new(at("id"), message));
        } else if !ids.insert(id.as_str()) {
            wrong.push(Wrong::new(at("id"), format!("`{id}` is there twice")));
        }
        match (&metric.metric, &metric.expression) {
            (Some(name), None) => {
                let stat = MetricStat {
                    metric: name.clone(),
                    dimensions: metric.dimensions.clone(),
                    statistic: statistic(metric.statistic.as_deref(), &at("statistic"), wrong),
                    period: period(metric.period.or(file.period), &at("period"), wrong),
                };
                inputs.push((id.clone(), stat));
            }
            (None, Some(text)) => match Expression::parse(text) {
                Ok(expression) => written.push((index, id.clone(), expression)),
                Err(error) => wrong.push(Wrong::new(at("expression"), error.to_string())),
            },
            _ => {
                let message = "it has either a `metric` or an `expression`";
                wrong.push(Wrong::new(format!("/metrics/{index}"), message));
            }
        }
    }
    let periods: BTreeSet<u32> = inputs.iter().map(|(_, stat)| stat.period).collect();
    if periods.len() > 1 {
        wrong.push(Wrong::new("/metrics", "all metrics of an alarm have the same period"));
    }
    if inputs.is_empty() && wrong.len() == before {
        wrong.push(Wrong::new("/metrics", "there is no metric among them"));
    }
    if wrong.len() > before {
        return None;
    }
    let returned = returned(&file.metrics, wrong)?;
    let expressions = ordered(written, &inputs, wrong)?;
    joined(file, (inputs, expressions), returned, wrong)
}

fn checked_band(band: Option<BandFile>, wrong: &mut Vec<Wrong>) -> Option<BandFile> {
    if let Some(band) = &band {
        if !(band.width > 0.0 && band.width.is_finite()) {
            wrong.push(Wrong::new("/band/width", "a width above 0 is needed"));
        }
        for (index, window) in band.exclude.iter().enumerate() {
            if window.start >= window.end {
                wrong
                    .push(Wrong::new(format!("/band/exclude/{index}"), "it ends before it starts"));
            }
        }
    }
    band
}

/// The id of what is judged.
fn returned(metrics: &[MetricFile], wrong: &mut Vec<Wrong>) -> Option<String> {
    let is_band = |metric: &&MetricFile| {
        let text = metric.expression.as_deref().unwrap_or_default().trim_start();
        text.to_ascii_uppercase().starts_with("ANOMALY_DETECTION_BAND")
    };
    let asked: Vec<_> = metrics
        .iter()
        .filter(|metric| metric.return_data == Some(true) && !is_band(metric))
        .collect();
    if asked.len() > 1 {
        wrong.push(Wrong::new("/metrics", "only one of them can have `return_data = true`"));
        return None;
    }
    let possible =
        || metrics.iter().filter(|metric| metric.return_data != Some(false) && !is_band(metric));
    let last = || possible().rfind(|metric| metric.expression.is_some());
    let only =
        || Some(possible()).filter(|it| it.clone().count() == 1).and_then(|mut it| it.next());
    // Where all is equal, an anomaly is looked for in the first metric.
    let banded =
        || metrics.iter().any(|metric| is_band(&metric)).then(|| possible().next()).flatten();
    match asked.first().copied().or_else(last).or_else(only).or_else(banded) {
        Some(metric) => Some(metric.id.clone()),
        None => {
            wrong
                .push(Wrong::new("/metrics", "mark with `return_data = true` which one is judged"));
            None
        }
    }
}

/// The expressions, each after those it names.
fn ordered(
    mut written: Vec<(usize, String, Expression)>,
    inputs: &[(String, MetricStat)],
    wrong: &mut Vec<Wrong>,
) -> Option<Vec<(String, Expression)>> {
    let all: BTreeSet<String> = inputs
        .iter()
        .map(|(id, _)| id.clone())
        .chain(written.iter().map(|(_, id, _)| id.clone()))
        .collect();
    let mut known: BTreeSet<String> = inputs.iter().map(|(id, _)| id.clone()).collect();
    let mut ordered = Vec::new();
    while !written.is_empty() {
        let ready = |(_, _, it): &(usize, String, Expression)| {
            it.names().keys().all(|name| known.contains(*name) || !all.contains(*name))
        };
        let Some(next) = written.iter().position(ready) else {
            for (index, id, _) in &written {
                let message = format!("`{id}` depends on itself");
                wrong.push(Wrong::new(format!("/metrics/{index}/expression"), message));
            }
            return None;
        };
        let (index, id, expression) = written.remove(next);
        // Kinds do not depend on numbers, so that one period shows every mistake.
        let series: BTreeMap<String, _> =
            known.iter().map(|id| (id.clone(), vec![Some(1.0)])).collect();
        let metrics: Vec<_> = inputs.iter().map(|(id, _)| id.clone()).collect();
        let environment = Environment { length: 1, period: 60, series: &series, metrics: &metrics };
        let pointer = || format!("/metrics/{index}/expression");
        match expression.evaluate(&environment) {
            Ok(Value::List(_)) => {
                let why = "it gives several series: join them with SUM, AVG, MIN or MAX";
                wrong.push(Wrong::new(pointer(), why));
            }
            Ok(_) => {}
            Err(error) => wrong.push(Wrong::new(pointer(), error.to_string())),
        }
        known.insert(id.clone());
        ordered.push((id, expression));
    }
    Some(ordered)
}

/// Parts of an alarm by their ids, in order.
type Named<T> = Vec<(String, T)>;

/// Takes the band apart from the other expressions.
fn joined(
    file: &AlarmFile,
    (inputs, expressions): (Named<MetricStat>, Named<Expression>),
    returned: String,
    wrong: &mut Vec<Wrong>,
) -> Option<Watched> {
    let mut band = file.band.clone();
    let mut judged = returned;
    let mut kept = Vec::new();
    let known = |kept: &[(String, Expression)]| -> BTreeMap<String, _> {
        let ids = inputs.iter().map(|(id, _)| id).chain(kept.iter().map(|(id, _)| id));
        ids.map(|id| (id.clone(), vec![Some(1.0)])).collect()
    };
    for (id, expression) in expressions {
        let series = known(&kept);
        let environment = Environment { length: 1, period: 60, series: &series, metrics: &[] };
        match expression.evaluate(&environment) {
            Ok(Value::Band { of, width }) => {
                let exclude = band.take().map(|band| band.exclude).unwrap_or_default();
                band = Some(BandFile { width, exclude });
                judged = of;
            }
            _ => kept.push((id, expression)),
        }
    }
    Some(Watched {
        inputs,
        expressions: kept,
        returned: judged,
        band: checked_band(band, wrong),
        group_by: Vec::new(),
    })
}
