//! One tenant's metrics.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use release::Timestamp;

use super::{
    Described, Dimensions, Instrument, MetricTotals, OVERFLOW, RollupLimits, RollupStats,
    SeriesTotal, Total,
};
use crate::metrics::derive::{self, Derived};
use crate::metrics::points::Streams;
use crate::metrics::sketch::Sketch;
use crate::metrics::slots::{COARSE, COARSE_KEPT, Slots};
use crate::metrics::{MetricStat, declared};
use crate::rows::{Batch, MetricPoint, Origin};

/// One number or several that a sample is of.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    One(f64),
    Many(Sketch),
}

/// What is added to a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    pub metric: &'a str,
    pub unit: &'a str,
    pub instrument: Instrument,
    pub dimensions: Arc<Dimensions>,
    pub at: Timestamp,
    pub values: Values,
}

#[derive(Debug, Default)]
struct Series {
    slots: Slots,
    total: Total,
}

#[derive(Debug)]
struct Metric {
    unit: String,
    instrument: Instrument,
    series: HashMap<Arc<Dimensions>, Series>,
}

/// A tenant's metrics.
#[derive(Debug, Default)]
pub struct Tenant {
    metrics: HashMap<String, Metric>,
    streams: Streams,
    stats: RollupStats,
    /// How many series there are.
    series: usize,
    /// From when on minutes are kept, where bytes are short.
    floor: i64,
    /// The minute in which old slots were last folded.
    folded: i64,
}

impl Tenant {
    /// Counts what a batch tells, as it is received at `now` by a server that was started at
    /// `started`.
    pub fn observe(
        &mut self,
        batch: &Batch,
        (started, now): (Timestamp, Timestamp),
        limits: &RollupLimits,
    ) {
        derive::derive(batch, &mut |derived| self.add(&sample(&derived), now, limits));
        for point in &batch.metrics {
            if let Some(sample) = self.streams.sample(point, started, limits.streams) {
                self.add(&sample, now, limits);
            }
        }
        self.keep(now.as_second(), limits);
    }

    /// How they are.
    pub fn stats(&self) -> RollupStats {
        RollupStats {
            metrics: self.metrics.len(),
            series: self.metrics.values().map(|metric| metric.series.len()).sum(),
            bytes: self.memory(),
            ..self.stats
        }
    }

    fn add(&mut self, sample: &Sample<'_>, now: Timestamp, limits: &RollupLimits) {
        let now = now.as_second();
        let second = sample.at.as_second();
        if second < (now - COARSE_KEPT).max(self.floor) {
            self.stats.late += 1;
            return;
        }
        // Clocks differ a little; a second is no news.
        self.stats.clamped += u64::from(second > now + 1);
        let second = second.min(now);
        let Some((series, instrument)) = self.entry(sample, limits) else {
            self.stats.overflowed += 1;
            return;
        };
        series.total.add(second, &sample.values, instrument);
        match &sample.values {
            Values::One(value) => series.slots.add(second, now, |sketch| sketch.add(*value, 1)),
            Values::Many(many) => series.slots.add(second, now, |sketch| sketch.merge(many)),
        }
    }

    /// The series of a sample, or the one that takes what is beyond the bounds.
    fn entry(
        &mut self,
        sample: &Sample<'_>,
        limits: &RollupLimits,
    ) -> Option<(&mut Series, Instrument)> {
        if !self.metrics.contains_key(sample.metric) {
            if self.metrics.len() >= limits.metrics {
                return None;
            }
            let (unit, instrument) = (sample.unit.to_owned(), sample.instrument);
            let metric = Metric { unit, instrument, series: HashMap::new() };
            self.metrics.insert(sample.metric.to_owned(), metric);
        }
        let metric = self.metrics.get_mut(sample.metric)?;
        let instrument = metric.instrument;
        let full = metric.series.len() >= limits.series || self.series >= limits.all_series;
        if !full || metric.series.contains_key(&sample.dimensions) {
            let series = metric.series.entry(Arc::clone(&sample.dimensions));
            self.series += usize::from(matches!(series, Entry::Vacant(_)));
            return Some((series.or_default(), instrument));
        }
        self.stats.overflowed += 1;
        let mut dimensions = (*sample.dimensions).clone();
        dimensions.retain(|name, _| ["app", "service", "environment"].contains(&name.as_str()));
        dimensions.insert(OVERFLOW.to_owned(), "true".to_owned());
        // Too many apps, even.
        let room = limits.series + limits.series.div_ceil(10);
        let full = metric.series.len() >= room || self.series >= limits.all_series;
        if full && !metric.series.contains_key(&dimensions) {
            dimensions.retain(|name, _| name == OVERFLOW);
        }
        Some((metric.series.entry(Arc::new(dimensions)).or_default(), instrument))
    }

    /// Once in a minute: folds and forgets, and sees to the bytes.
    fn keep(&mut self, now: i64, limits: &RollupLimits) {
        let minute = now.div_euclid(COARSE);
        if self.folded == minute {
            return;
        }
        self.folded = minute;
        self.fold(now);
        let bytes = self.memory();
        if bytes <= limits.bytes {
            return;
        }
        // A tenth more than needed, so that this is not done every minute.
        let mut excess = bytes - limits.bytes + limits.bytes / 10;
        let mut minutes = BTreeMap::new();
        for series in self.metrics.values().flat_map(|metric| metric.series.values()) {
            series.slots.weigh(&mut minutes);
        }
        for (start, weight) in minutes {
            self.floor = self.floor.max(start + COARSE);
            excess = excess.saturating_sub(weight);
            if excess == 0 {
                break;
            }
        }
        self.stats.kept_from = Timestamp::from_second(self.floor).ok();
        self.fold(now);
    }

    fn fold(&mut self, now: i64) {
        let from = (now - COARSE_KEPT).max(self.floor);
        for metric in self.metrics.values_mut() {
            for series in metric.series.values_mut() {
                series.slots.fold(now, from);
            }
            metric.series.retain(|_, series| !series.slots.is_empty());
        }
        self.metrics.retain(|_, metric| !metric.series.is_empty());
        self.series = self.metrics.values().map(|metric| metric.series.len()).sum();
        self.streams.forget(now);
    }

    fn memory(&self) -> usize {
        let each = |series: &Series| size_of::<Series>() + 200 + series.slots.memory();
        self.metrics.values().flat_map(|metric| metric.series.values()).map(each).sum()
    }

    /// What was counted since this was last called.
    pub fn drain(&mut self) -> Vec<MetricPoint> {
        let mut rows = Vec::new();
        for (name, Metric { unit, series, .. }) in &mut self.metrics {
            for (dimensions, series) in series {
                for (minute, sketch) in series.slots.drain() {
                    rows.push(row((name, unit), dimensions, (minute, &sketch)));
                }
            }
        }
        rows
    }

    /// Puts drained minutes back.
    pub fn restore(&mut self, rows: &[MetricPoint], now: i64, limits: &RollupLimits) {
        for row in rows.iter().filter(|row| row.kind == "rollup") {
            self.restore_row(row, now, limits);
        }
        self.keep(now, limits);
    }

    fn restore_row(&mut self, row: &MetricPoint, now: i64, limits: &RollupLimits) {
        let minute = row.at.as_second();
        let Some(values) = Sketch::from_bytes(&row.sketch) else { return };
        if minute < now - COARSE_KEPT || values.count() == 0 {
            return;
        }
        let known = declared::find(&row.name).map(|declared| declared.instrument);
        let mut dimensions = derive::of_origin(&row.origin);
        dimensions.extend(row.attributes.iter().cloned());
        let sample = Sample {
            metric: &row.name,
            unit: &row.unit,
            instrument: known.unwrap_or(Instrument::Summary),
            dimensions: Arc::new(dimensions),
            at: row.at,
            values: Values::One(0.0),
        };
        if let Some((series, _)) = self.entry(&sample, limits) {
            series.slots.restore(minute, &values);
        }
    }

    /// What was counted in each period, by the values of the dimensions `by`.
    pub fn merged(
        &self,
        asked: &MetricStat,
        by: &[String],
        (first, end): (i64, i64),
    ) -> BTreeMap<Dimensions, BTreeMap<i64, Sketch>> {
        let mut merged: BTreeMap<Dimensions, BTreeMap<i64, Sketch>> = BTreeMap::new();
        let period = i64::from(asked.period.max(1));
        let series = self.metrics.get(&asked.metric).into_iter().flat_map(|it| &it.series);
        for (dimensions, series) in series {
            let fits = asked.dimensions.iter().all(|(name, value)| {
                dimensions.get(name).map_or("", String::as_str) == value.as_str()
            });
            if !fits {
                continue;
            }
            let group = by.iter().filter_map(|name| dimensions.get_key_value(name));
            let group: Dimensions =
                group.map(|(name, value)| (name.clone(), value.clone())).collect();
            let coarse = period % COARSE == 0;
            series.slots.read((first, end), coarse, |start, merge| {
                let periods = merged.entry(group.clone()).or_default();
                merge(periods.entry(start.div_euclid(period) * period).or_default());
            });
        }
        merged
    }

    /// What there is, by name.
    pub fn describe(&self) -> Vec<Described> {
        let described = self.metrics.iter().map(|(name, metric)| {
            let mut dimensions: Vec<String> =
                metric.series.keys().flat_map(|dimensions| dimensions.keys().cloned()).collect();
            dimensions.sort();
            dimensions.dedup();
            let newest = metric.series.values().filter_map(|series| series.slots.newest()).max();
            Described {
                name: name.clone(),
                unit: metric.unit.clone(),
                instrument: metric.instrument,
                help: declared::find(name).map_or("", |declared| declared.help),
                series: metric.series.len(),
                dimensions,
                newest: newest.and_then(|second| Timestamp::from_second(second).ok()),
            }
        });
        let mut described: Vec<_> = described.collect();
        described.sort_by(|one, other| one.name.cmp(&other.name));
        described
    }

    /// All that was ever counted, by name.
    pub fn totals(&self) -> Vec<MetricTotals> {
        let totals = self.metrics.iter().map(|(name, metric)| {
            // What was only restored was counted by the server before.
            let counted = metric.series.iter().filter(|(_, series)| series.total.count > 0);
            let series = counted.map(|(dimensions, series)| SeriesTotal {
                dimensions: Arc::clone(dimensions),
                total: series.total.clone(),
            });
            let mut series: Vec<_> = series.collect();
            series.sort_by(|one, other| one.dimensions.cmp(&other.dimensions));
            let (unit, instrument) = (metric.unit.clone(), metric.instrument);
            MetricTotals { name: name.clone(), unit, instrument, series }
        });
        let mut totals: Vec<_> = totals.filter(|metric| !metric.series.is_empty()).collect();
        totals.sort_by(|one, other| one.name.cmp(&other.name));
        totals
    }
}

fn sample(derived: &Derived) -> Sample<'static> {
    Sample {
        metric: derived.metric.name,
        unit: derived.metric.unit,
        instrument: derived.metric.instrument,
        dimensions: Arc::clone(&derived.dimensions),
        at: derived.at,
        values: Values::One(derived.value),
    }
}

/// A drained minute as a row: dimensions that a column holds are in it, all others are attributes.
fn row(
    (name, unit): (&str, &str),
    dimensions: &Dimensions,
    (minute, sketch): (i64, &Sketch),
) -> MetricPoint {
    let mut attributes = dimensions.clone();
    let mut take = |name: &str| attributes.remove(name).unwrap_or_default();
    let origin = Origin {
        service: take("service"),
        app: take("app"),
        environment: take("environment"),
        release: take("release"),
    };
    MetricPoint {
        name: name.to_owned(),
        kind: "rollup".to_owned(),
        unit: unit.to_owned(),
        at: Timestamp::from_second(minute).unwrap_or_default(),
        origin,
        value: None,
        count: Some(i64::try_from(sketch.count()).unwrap_or(i64::MAX)),
        sum: Some(sketch.sum()),
        min: sketch.min(),
        max: sketch.max(),
        sketch: sketch.to_bytes(),
        attributes: attributes.into_iter().collect(),
    }
}
