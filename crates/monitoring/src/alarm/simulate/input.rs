//! The forms in which datapoints may be given.

use std::collections::BTreeMap;

use release::Timestamp;
use serde_json::Value;

use crate::alarm::AlarmError;
use crate::metrics::Statistic;

/// The name of a series that has none.
const UNNAMED: &str = "";
/// The most periods that are simulated.
const MAX_PERIODS: usize = 1_000_000;
/// Numbers above this are milliseconds since the epoch, below it seconds: the year 5138.
const MILLISECONDS: f64 = 1e11;

/// One given datapoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    at: Option<Timestamp>,
    value: Option<f64>,
    samples: Option<u64>,
}

/// What was given: samples by the name of the series, and the statistic by which several of one
/// period are joined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    series: BTreeMap<String, Vec<Sample>>,
    statistics: BTreeMap<String, Statistic>,
}

fn fault(message: impl Into<String>) -> AlarmError {
    AlarmError::Datapoints(message.into())
}

impl Given {
    /// Reads whatever form it has. `statistics` are the alarm's, by the metric's id.
    pub fn read(value: &Value, statistics: &BTreeMap<&str, Statistic>) -> Result<Self, AlarmError> {
        let statistics: BTreeMap<String, Statistic> =
            statistics.iter().map(|(id, it)| ((*id).to_owned(), *it)).collect();
        let single = statistics.values().next().copied();
        let mut series = BTreeMap::new();
        match value {
            Value::Array(list) if list.iter().any(|one| one.get("datapoints").is_some()) => {
                for one in list {
                    let samples = list_of(&one["datapoints"], "datapoints", single)?;
                    series.insert(label(one), samples);
                }
            }
            Value::Array(_) => {
                series.insert(UNNAMED.to_owned(), list_of(value, "the list", single)?);
            }
            Value::Object(object) => {
                if let Some(results) = object.get("MetricDataResults").and_then(Value::as_array) {
                    for result in results {
                        series.insert(label(result), metric_data(result)?);
                    }
                } else if let Some(list) =
                    ["Datapoints", "datapoints"].iter().find_map(|it| object.get(*it))
                {
                    series.insert(UNNAMED.to_owned(), list_of(list, "datapoints", single)?);
                } else {
                    for (name, list) in object {
                        let statistic = statistics.get(name).copied().or(single);
                        series.insert(name.clone(), list_of(list, name, statistic)?);
                    }
                }
            }
            other => return Err(fault(format!("a list or an object is needed, not {other}"))),
        }
        Ok(Self { series, statistics })
    }

    /// Whether there is one series without a name.
    pub fn is_single(&self) -> bool {
        self.series.len() == 1 && self.series.contains_key(UNNAMED)
    }

    /// The series of an alarm's metrics. One without a name, or a single one, is the single metric's.
    pub fn named(mut self, ids: &[&str]) -> Result<Self, AlarmError> {
        if let ([id], 1) = (ids, self.series.len()) {
            let only = self.series.into_values().next().unwrap_or_default();
            self.series = [((*id).to_owned(), only)].into();
        }
        let ids_told = || ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        if self.series.contains_key(UNNAMED) {
            let example = ids.first().copied().unwrap_or("m1");
            let message = format!(
                "the alarm has the metrics {}: give each its own list, as {{\"{example}\": [1, 2]}}",
                ids_told()
            );
            return Err(fault(message));
        }
        match self.series.keys().find(|name| !ids.contains(&name.as_str())) {
            Some(unknown) => {
                Err(fault(format!("the alarm has no metric `{unknown}`, but {}", ids_told())))
            }
            None => Ok(self),
        }
    }

    /// All series, by whatever name they have.
    pub fn all(&self) -> Self {
        self.clone()
    }

    fn statistic(&self, name: &str) -> Option<Statistic> {
        self.statistics.get(name).or_else(|| self.statistics.values().next()).copied()
    }
}

fn label(value: &Value) -> String {
    let text = ["Id", "id", "label", "Label", "name", "series"]
        .iter()
        .find_map(|it| value.get(*it)?.as_str());
    let dimensions = || {
        let pairs = value["dimensions"].as_object().into_iter().flatten();
        let pairs =
            pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
        pairs.collect::<Vec<_>>().join(", ")
    };
    text.map_or_else(dimensions, str::to_owned)
}

fn list_of(
    value: &Value,
    name: &str,
    statistic: Option<Statistic>,
) -> Result<Vec<Sample>, AlarmError> {
    let list =
        value.as_array().ok_or_else(|| fault(format!("`{name}` is no list of datapoints")))?;
    let read = |(index, one): (usize, &Value)| {
        sample(one, statistic)
            .map_err(|why| fault(format!("`{name}`, datapoint {}: {why}", index + 1)))
    };
    let samples: Vec<Sample> = list.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let timed = samples.iter().filter(|sample| sample.at.is_some()).count();
    if timed > 0 && timed < samples.len() {
        return Err(fault(format!("`{name}`: either each datapoint has a timestamp, or none")));
    }
    Ok(samples)
}

fn sample(value: &Value, statistic: Option<Statistic>) -> Result<Sample, String> {
    if let Value::Array(pair) = value {
        let [at, number] = pair.as_slice() else {
            return Err("a pair of a time and a number is needed".to_owned());
        };
        return Ok(Sample { at: Some(time(at)?), value: value_of(number)?, samples: None });
    }
    let Value::Object(object) = value else {
        return Ok(Sample { at: None, value: value_of(value)?, samples: None });
    };
    let find = |names: &[&str]| names.iter().find_map(|name| object.get(*name));
    let at = find(&["timestamp", "Timestamp", "time", "at"]).map(time).transpose()?;
    let samples = find(&["samples", "SampleCount", "sample_count"]).and_then(Value::as_f64);
    let asked = statistic.map(|it| it.to_string());
    let extended = |name: &str| object.get("ExtendedStatistics")?.get(name);
    let by_statistic =
        asked.as_deref().and_then(|name| object.get(name).or_else(|| extended(name)));
    let given = find(&["value", "Value"]).or(by_statistic);
    let Some(given) = given else {
        let wanted = asked.map_or(String::new(), |name| format!(" or `{name}`"));
        return Err(format!("it has no `value`{wanted}"));
    };
    Ok(Sample { at, value: value_of(given)?, samples: samples.map(|count| count.max(0.0) as u64) })
}

/// A number, or nothing.
fn value_of(value: &Value) -> Result<Option<f64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) if matches!(text.trim(), "" | "-" | "null" | "NaN") => Ok(None),
        Value::String(text) => {
            let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number.map(Some).ok_or_else(|| format!("`{text}` is no number"))
        }
        other => Err(format!("a number or null is needed, not {other}")),
    }
}

fn time(value: &Value) -> Result<Timestamp, String> {
    let wrong = || format!("{value} is no time: RFC 3339, or seconds since 1970");
    match value {
        Value::Number(number) => {
            let number = number.as_f64().ok_or_else(wrong)?;
            let seconds = if number.abs() >= MILLISECONDS { number / 1_000.0 } else { number };
            Timestamp::from_millisecond((seconds * 1_000.0).round() as i64).map_err(|_| wrong())
        }
        Value::String(text) => {
            // Without a zone it is UTC.
            let zoned = text.parse::<Timestamp>();
            zoned.or_else(|_| format!("{}Z", text.replace(' ', "T")).parse()).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// One of `GetMetricData`'s results.
fn metric_data(result: &Value) -> Result<Vec<Sample>, AlarmError> {
    let list = |name: &str| result[name].as_array().cloned().unwrap_or_default();
    let (times, values) = (list("Timestamps"), list("Values"));
    if times.len() != values.len() {
        let message = format!("{} timestamps and {} values do not fit", times.len(), values.len());
        return Err(fault(format!("`{}`: {message}", label(result))));
    }
    let read =
        |(at, value)| Ok(Sample { at: Some(time(at)?), value: value_of(value)?, samples: None });
    let samples: Result<Vec<_>, String> = times.iter().zip(&values).map(read).collect();
    samples.map_err(fault)
}

/// A number of one period, and of how many samples.
pub type Cell = (Option<f64>, Option<u64>);

/// Series laid out in periods.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub start: Timestamp,
    pub period: u32,
    pub length: usize,
    pub series: BTreeMap<String, Vec<Cell>>,
}

impl Grid {
    /// Periods of nothing.
    pub const fn empty(start: Timestamp, period: u32, length: usize) -> Self {
        Self { start, period, length, series: BTreeMap::new() }
    }

    /// Lays out what was given: by its time, or from `start` on one after the other. Several of one
    /// period are joined by the statistic.
    pub fn lay(given: Given, period: u32, start: Timestamp) -> Result<Self, AlarmError> {
        let all = || given.series.values().flatten();
        let times: Vec<i64> = all().filter_map(|it| Some(it.at?.as_second())).collect();
        let seconds = i64::from(period);
        let (start, length) = match (times.iter().min(), times.iter().max()) {
            (Some(first), Some(last)) => {
                if times.len() < all().count() {
                    return Err(fault("either each series has timestamps, or none"));
                }
                let first = first.div_euclid(seconds) * seconds;
                (first, usize::try_from((last - first) / seconds + 1).unwrap_or(usize::MAX))
            }
            _ => {
                let longest = given.series.values().map(Vec::len).max();
                (start.as_second(), longest.unwrap_or_default())
            }
        };
        if length > MAX_PERIODS {
            let message = format!(
                "{length} periods of {period} s are more than the {MAX_PERIODS} that are simulated"
            );
            return Err(fault(message));
        }
        let mut series = BTreeMap::new();
        for (name, samples) in &given.series {
            let mut cells: Vec<(Vec<f64>, Option<u64>)> = vec![(Vec::new(), None); length];
            for (index, sample) in samples.iter().enumerate() {
                let index = sample.at.map_or(index, |at| {
                    usize::try_from((at.as_second() - start) / seconds).unwrap_or_default()
                });
                cells[index].0.extend(sample.value);
                if let Some(samples) = sample.samples {
                    *cells[index].1.get_or_insert(0) += samples;
                }
            }
            let statistic = given.statistic(name);
            let join = |(values, samples): (Vec<f64>, _)| (joined(values, statistic), samples);
            series.insert(name.clone(), cells.into_iter().map(join).collect());
        }
        let start = Timestamp::from_second(start).map_err(|error| fault(error.to_string()))?;
        Ok(Self { start, period, length, series })
    }
}

/// The numbers of one period as one. A single one is what it is.
fn joined(mut values: Vec<f64>, statistic: Option<Statistic>) -> Option<f64> {
    if values.len() < 2 {
        return values.first().copied();
    }
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    values.sort_by(f64::total_cmp);
    match statistic.unwrap_or(Statistic::Average) {
        Statistic::Average => Some(sum / count),
        Statistic::Sum => Some(sum),
        Statistic::Minimum => values.first().copied(),
        Statistic::Maximum => values.last().copied(),
        Statistic::SampleCount => Some(count),
        Statistic::Percentile(hundredths) => {
            let rank = (f64::from(hundredths) / 10_000.0 * count).ceil().max(1.0) as usize;
            values.get(rank - 1).copied()
        }
    }
}
