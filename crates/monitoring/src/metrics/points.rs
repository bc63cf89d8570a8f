//! Samples from points of OTLP metrics: what was counted since the point before.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use release::Timestamp;

use super::derive::of_origin;
use super::rollup::{Dimensions, Instrument, Sample, Values};
use super::sketch::Sketch;
use crate::attributes::{METRIC_START, TEMPORALITY};
use crate::rows::MetricPoint;

/// How long a stream that is silent is remembered, in seconds.
const REMEMBERED: i64 = 3_600;
/// The most dimensions of a series, as CloudWatch has it.
const MAX_DIMENSIONS: usize = 30;
/// The most bytes of a dimension's value.
const MAX_VALUE: usize = 255;

/// Attributes of resources and scopes that tell who measured, not what. Series of several
/// processes of a service are one.
const ABOUT_THE_SENDER: [&str; 12] = [
    "telemetry.",
    "service.",
    "host.",
    "process.",
    "os.",
    "container.",
    "k8s.",
    "cloud.",
    "otel.scope.",
    "deployment.environment",
    "groundcrew.metric.",
    "groundcrew.app",
];

/// What a stream said last.
#[derive(Debug)]
struct Last {
    said: Said,
    start: Option<i128>,
    at: Timestamp,
}

#[derive(Debug, Clone)]
enum Said {
    Number(f64),
    Distribution(Box<Sketch>),
    Mean { count: u64, sum: f64 },
}

/// The streams of cumulative points: each a metric, its attributes, and who measured it.
#[derive(Debug, Default)]
pub struct Streams(HashMap<u64, Last>);

impl Streams {
    /// What a point adds to its series; `None` if that cannot be told. A cumulative stream that is
    /// new counts from zero if it began after `started`, and from its first point otherwise.
    pub fn sample<'a>(
        &mut self,
        point: &'a MetricPoint,
        started: Timestamp,
        limit: usize,
    ) -> Option<Sample<'a>> {
        let delta = attribute(point, TEMPORALITY) == Some("delta");
        let (instrument, values) = match point.kind.as_str() {
            "gauge" | "sum" => (Instrument::Gauge, Values::One(point.value?)),
            kind => {
                let (instrument, said) = match kind {
                    "counter" => (Instrument::Counter, Said::Number(point.value?)),
                    "histogram" | "summary" => (Instrument::Summary, distribution(point)?),
                    _ => return None,
                };
                let fresh = match delta {
                    true => said.whole(),
                    false => self.fresh(point, said, (started, limit))?,
                };
                (instrument, fresh)
            }
        };
        match &values {
            Values::One(value) if !value.is_finite() => return None,
            Values::Many(sketch) if sketch.count() == 0 => return None,
            _ => {}
        }
        Some(Sample {
            metric: &point.name,
            unit: &point.unit,
            instrument,
            dimensions: Arc::new(dimensions(point)),
            at: point.at,
            values,
        })
    }

    /// Forgets streams that are silent.
    pub fn forget(&mut self, now: i64) {
        self.0.retain(|_, last| last.at.as_second() >= now - REMEMBERED);
    }

    /// What was counted since the stream's point before.
    fn fresh(
        &mut self,
        point: &MetricPoint,
        said: Said,
        (started, limit): (Timestamp, usize),
    ) -> Option<Values> {
        let start = attribute(point, METRIC_START).and_then(|start| start.parse().ok());
        let key = key(point);
        let Some(last) = self.0.get_mut(&key) else {
            if self.0.len() < limit {
                self.0.insert(key, Last { said: said.clone(), start, at: point.at });
            }
            let began_here = start.is_some_and(|start: i128| start >= started.as_nanosecond());
            return began_here.then(|| said.whole());
        };
        if point.at < last.at {
            // An old point, or one again: what it counted is in the newer one.
            return None;
        }
        let restarted = start.is_some() && start != last.start;
        let fresh = if restarted { None } else { said.since(&last.said) };
        *last = Last { said: said.clone(), start, at: point.at };
        Some(fresh.unwrap_or_else(|| said.whole()))
    }
}

impl Said {
    fn whole(self) -> Values {
        match self {
            Self::Number(value) => Values::One(value),
            Self::Distribution(sketch) => Values::Many(*sketch),
            Self::Mean { count, sum } => Values::Many(mean(count, sum)),
        }
    }

    /// `None` if it counts anew, as after a restart.
    fn since(&self, earlier: &Self) -> Option<Values> {
        match (self, earlier) {
            (Self::Number(now), Self::Number(before)) => {
                (now >= before).then_some(Values::One(now - before))
            }
            (Self::Distribution(now), Self::Distribution(before)) => {
                let count = now.count().checked_sub(before.count())?;
                // Buckets that changed their bounds leave the mean.
                let fresh = now.since(before);
                let fresh = fresh.unwrap_or_else(|| mean(count, now.sum() - before.sum()));
                Some(Values::Many(fresh))
            }
            (Self::Mean { count, sum }, Self::Mean { count: counted, sum: summed }) => {
                Some(Values::Many(mean(count.checked_sub(*counted)?, sum - summed)))
            }
            _ => None,
        }
    }
}

fn mean(count: u64, sum: f64) -> Sketch {
    let mut sketch = Sketch::default();
    if count > 0 {
        sketch.add(sum / count as f64, count);
    }
    sketch
}

fn distribution(point: &MetricPoint) -> Option<Said> {
    if point.kind == "histogram"
        && !point.sketch.is_empty()
        && let Some(sketch) = Sketch::from_bytes(&point.sketch)
    {
        return Some(Said::Distribution(Box::new(sketch)));
    }
    let count = u64::try_from(point.count?).ok()?;
    Some(Said::Mean { count, sum: point.sum? })
}

/// The dimensions of a point's series.
fn dimensions(point: &MetricPoint) -> Dimensions {
    let mut dimensions = of_origin(&point.origin);
    for (name, value) in &point.attributes {
        let about_the_sender = ABOUT_THE_SENDER.iter().any(|prefix| name.starts_with(prefix));
        if about_the_sender || value.is_empty() || dimensions.len() >= MAX_DIMENSIONS {
            continue;
        }
        let end = value.floor_char_boundary(MAX_VALUE);
        dimensions.entry(name.clone()).or_insert_with(|| value[..end].to_owned());
    }
    dimensions
}

fn key(point: &MetricPoint) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&point.name, &point.kind, &point.origin).hash(&mut hasher);
    let told = point.attributes.iter().filter(|(name, _)| name != METRIC_START);
    let mut told: Vec<_> = told.collect();
    told.sort();
    told.hash(&mut hasher);
    hasher.finish()
}

fn attribute<'a>(point: &'a MetricPoint, name: &str) -> Option<&'a str> {
    point.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests;
