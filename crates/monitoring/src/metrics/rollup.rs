//! Metrics in memory: what alarms and dashboards read.
//!
//! ```text
//!  Batch ─► derive (spans, scores) ─┐
//!        └► points (OTLP metrics) ──┴► series of a tenant ─► slots of 10 s and 60 s ─► datapoints
//!                                                        └► totals ─► Prometheus
//!                                      slots ─► drain ─► rows of the table `metrics` ─► restore
//! ```
//!
//! **Bounds.** A tenant has so many metrics and each of them so many series ([`RollupLimits`]);
//! samples beyond go to a series that keeps the app and the environment and has the dimension
//! `otel.metric.overflow`, and are counted. If a tenant's series outgrow their bytes, the oldest
//! minutes of all of them go first; the table still has them. A slot takes about 100 bytes and 3
//! for each bin of its sketch, so a series that is busy every minute takes 2 to 4 MB in 15 days.
//!
//! **Exactly once.** [`Rollups::drain`] gives what was counted since it was last called, to be
//! written together with everything else of the same records. After a restart, `restore` what the
//! table has and observe again what is not in it.

mod tenant;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use release::{TenantId, Timestamp};
use serde::{Serialize, Serializer};

use self::tenant::Tenant;
pub(super) use self::tenant::{Sample, Values};
use super::sketch::Sketch;
use super::{Datapoint, MetricStat, Statistic};
use crate::rows::{Batch, MetricPoint};

/// Names and values that tell the series of a metric apart.
pub type Dimensions = BTreeMap<String, String>;

/// The dimension of the series that takes what is beyond the bounds, as OpenTelemetry calls it.
pub const OVERFLOW: &str = "otel.metric.overflow";

/// What a metric is shown as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Instrument {
    /// What only grows.
    Counter,
    /// A distribution, with the upper bounds of its buckets.
    Histogram(&'static [f64]),
    /// What goes up and down.
    Gauge,
    /// A distribution of which count and sum are shown.
    Summary,
}

/// The most periods that are answered with: fifteen days of ten seconds.
const MAX_PERIODS: i64 = 15 * 8_640;

impl Instrument {
    /// The instrument as one word, as Prometheus has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Histogram(_) => "histogram",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

impl Serialize for Instrument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How much is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupLimits {
    /// Metrics of a tenant.
    pub metrics: usize,
    /// Series of a metric.
    pub series: usize,
    /// Series of a tenant.
    pub all_series: usize,
    /// Bytes of a tenant's series.
    pub bytes: usize,
    /// Streams of OTLP of a tenant whose last value is remembered.
    pub streams: usize,
}

impl Default for RollupLimits {
    fn default() -> Self {
        Self {
            metrics: 1_000,
            series: 1_000,
            all_series: 20_000,
            bytes: 256 << 20,
            streams: 20_000,
        }
    }
}

/// What was ever added to a series, since the server was started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Total {
    /// How many samples.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The newest one.
    pub last: f64,
    /// How many are at most each bound of a histogram, the ones in lower buckets not included.
    pub buckets: Vec<u64>,
    /// When the newest one was, in seconds since 1970.
    pub at: i64,
}

impl Total {
    fn add(&mut self, second: i64, values: &Values, instrument: Instrument) {
        let (count, sum, last) = match values {
            Values::One(value) => (1, *value, Some(*value)),
            Values::Many(sketch) => (sketch.count(), sketch.sum(), sketch.average()),
        };
        self.count += count;
        self.sum += sum;
        if let Some(last) = last
            && second >= self.at
        {
            (self.last, self.at) = (last, second);
        }
        if let (Instrument::Histogram(bounds), Values::One(value)) = (instrument, values) {
            self.buckets.resize(bounds.len(), 0);
            if let Some(bucket) = bounds.iter().position(|bound| value <= bound) {
                self.buckets[bucket] += 1;
            }
        }
    }

    /// Adds another series'.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        if other.at > self.at {
            (self.last, self.at) = (other.last, other.at);
        }
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
    }
}

/// How a tenant's metrics are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RollupStats {
    /// Metrics.
    pub metrics: usize,
    /// Series.
    pub series: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// Samples that were counted without most of their dimensions, or not at all, because there
    /// were too many series.
    pub overflowed: u64,
    /// Samples that were too old.
    pub late: u64,
    /// Samples of the future that were counted as of now.
    pub clamped: u64,
    /// From when on minutes are held; none if all that came is.
    pub kept_from: Option<Timestamp>,
}

/// A metric that there is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// UCUM unit.
    pub unit: String,
    /// What it is shown as.
    pub instrument: Instrument,
    /// What it tells, if it is one of ours.
    pub help: &'static str,
    /// How many series it has.
    pub series: usize,
    /// The names of its dimensions.
    pub dimensions: Vec<String>,
    /// When the newest sample was, to ten seconds.
    pub newest: Option<Timestamp>,
}

/// One series, or several summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPoints {
    /// What its samples have in common.
    pub dimensions: Dimensions,
    /// One number for each period.
    pub datapoints: Vec<Datapoint>,
}

/// One series as it is shown to Prometheus.
#[derive(Debug, Clone)]
pub struct SeriesTotal {
    /// Its dimensions.
    pub dimensions: Arc<Dimensions>,
    /// What was ever added to it.
    pub total: Total,
}

/// One metric as it is shown to Prometheus.
#[derive(Debug, Clone)]
pub struct MetricTotals {
    /// Its name.
    pub name: String,
    /// UCUM unit.
    pub unit: String,
    /// What it is shown as.
    pub instrument: Instrument,
    /// Its series.
    pub series: Vec<SeriesTotal>,
}

/// Every tenant's metrics.
#[derive(Debug)]
pub struct Rollups {
    limits: RollupLimits,
    started: Timestamp,
    tenants: RwLock<HashMap<TenantId, Arc<Mutex<Tenant>>>>,
}

impl Rollups {
    /// No metrics yet. Counters that began after `started` count from zero.
    pub fn new(limits: RollupLimits, started: Timestamp) -> Self {
        Self { limits, started, tenants: RwLock::default() }
    }

    /// Since when totals are counted.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Every tenant that has metrics.
    pub fn tenants(&self) -> Vec<TenantId> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let mut tenants: Vec<_> = tenants.keys().cloned().collect();
        tenants.sort();
        tenants
    }

    /// Counts what a batch tells, as it is received at `now`.
    pub fn observe(&self, tenant: &TenantId, batch: &Batch, now: Timestamp) {
        self.with(tenant, |tenant| {
            tenant.observe(batch, (self.started, now), &self.limits);
        });
    }

    /// What was counted since this was last called, as rows of kind `rollup`: one for each series
    /// and minute. They add up with those of other calls.
    pub fn drain(&self, tenant: &TenantId) -> Vec<MetricPoint> {
        self.with(tenant, Tenant::drain)
    }

    /// Puts back what was drained before a restart. Rows of other kinds are passed over.
    pub fn restore(&self, tenant: &TenantId, rows: &[MetricPoint], now: Timestamp) {
        self.with(tenant, |tenant| {
            tenant.restore(rows, now.as_second(), &self.limits);
        });
    }

    /// One number for each period from the one that `from` is in to the last one that begins before
    /// `to`. A period without samples has none.
    pub fn datapoints(
        &self,
        tenant: &TenantId,
        asked: &MetricStat,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Datapoint> {
        let mut series = self.series(tenant, asked, &[], (from, to));
        match series.pop() {
            Some(all) => all.datapoints,
            None => points(&BTreeMap::new(), asked, periods(asked, from, to)),
        }
    }

    /// The same for each combination of values of the dimensions `by`; those without any samples
    /// are left out.
    pub fn series(
        &self,
        tenant: &TenantId,
        asked: &MetricStat,
        by: &[String],
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<SeriesPoints> {
        let periods = periods(asked, from, to);
        let merged = self.with(tenant, |tenant| tenant.merged(asked, by, periods));
        let series = merged.into_iter().map(|(dimensions, merged)| SeriesPoints {
            dimensions,
            datapoints: points(&merged, asked, periods),
        });
        series.collect()
    }

    /// The metrics that there are, by name.
    pub fn describe(&self, tenant: &TenantId) -> Vec<Described> {
        self.with(tenant, |tenant| tenant.describe())
    }

    /// How a tenant's metrics are.
    pub fn stats(&self, tenant: &TenantId) -> RollupStats {
        self.with(tenant, |tenant| tenant.stats())
    }

    /// All that was ever counted since the start, by name.
    pub fn totals(&self, tenant: &TenantId) -> Vec<MetricTotals> {
        self.with(tenant, |tenant| tenant.totals())
    }

    fn with<T>(&self, tenant: &TenantId, work: impl FnOnce(&mut Tenant) -> T) -> T {
        let known = {
            let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
            tenants.get(tenant).cloned()
        };
        let known = known.unwrap_or_else(|| {
            let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tenants.entry(tenant.clone()).or_default())
        });
        // A panic elsewhere cannot leave a series half counted in a way that matters.
        let mut tenant = known.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut tenant)
    }
}

/// When the first period begins, and the end of the last one that begins before `to`.
fn periods(asked: &MetricStat, from: Timestamp, to: Timestamp) -> (i64, i64) {
    let period = i64::from(asked.period.max(1));
    let begin = |second: i64| second.div_euclid(period) * period;
    let last = to.as_second() + i64::from(to.subsec_nanosecond() > 0);
    let end = begin(last - 1) + period;
    (begin(from.as_second()).max(end - MAX_PERIODS * period), end)
}

fn points(
    merged: &BTreeMap<i64, Sketch>,
    asked: &MetricStat,
    (first, end): (i64, i64),
) -> Vec<Datapoint> {
    let starts = (first..end).step_by(asked.period.max(1) as usize);
    let points = starts.map(|start| {
        let sketch = merged.get(&start).filter(|sketch| sketch.count() > 0);
        Datapoint {
            at: Timestamp::from_second(start).unwrap_or_default(),
            value: sketch.and_then(|sketch| statistic(sketch, asked.statistic)),
            samples: Some(sketch.map_or(0, Sketch::count)),
        }
    });
    points.collect()
}

fn statistic(sketch: &Sketch, statistic: Statistic) -> Option<f64> {
    match statistic {
        Statistic::Average => sketch.average(),
        Statistic::Sum => Some(sketch.sum()),
        Statistic::Minimum => sketch.min(),
        Statistic::Maximum => sketch.max(),
        Statistic::SampleCount => Some(sketch.count() as f64),
        Statistic::Percentile(hundredths) => sketch.quantile(f64::from(hundredths) / 10_000.0),
    }
}

#[cfg(test)]
mod tests;
