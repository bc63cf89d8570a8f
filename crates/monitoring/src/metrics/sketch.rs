//! A sketch of numbers: how many, their sum, and any percentile within 1 %.
//!
//! The bins are DDSketch's (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile
//! sketch", VLDB 2019) with the mapping of `sketches_ddsketch`. Its own store takes at least 128
//! bins; most of ours hold a few numbers and there are many of them, so only bins that hold
//! something are kept.

use std::sync::LazyLock;

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, HistogramDataPoint};
use prost::Message;
use sketches_ddsketch::Config;

/// The greatest relative error of a percentile.
pub const RELATIVE_ERROR: f64 = 0.01;
/// The most bins of one sign. Beyond, the bins of the smallest magnitudes become one.
const MAX_BINS: usize = 2048;
/// Magnitudes below count as zero.
const MIN_MAGNITUDE: f64 = 1e-9;
/// The first byte of the binary form: no protobuf message begins with it.
const VERSION: u8 = 1;

static MAPPING: LazyLock<Config> =
    LazyLock::new(|| Config::new(RELATIVE_ERROR, MAX_BINS as u32, MIN_MAGNITUDE));

/// A mergeable sketch of numbers.
///
/// Its binary form is a version byte and a protobuf message; fields may be added, never changed.
#[derive(Clone, PartialEq, Message)]
pub struct Sketch {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(double, tag = "3")]
    min: f64,
    #[prost(double, tag = "4")]
    max: f64,
    #[prost(uint64, tag = "5")]
    zeros: u64,
    #[prost(message, optional, tag = "6")]
    positive: Option<Bins>,
    #[prost(message, optional, tag = "7")]
    negative: Option<Bins>,
}

/// The bins of one sign: ascending keys, and how many numbers are in each.
#[derive(Clone, PartialEq, Message)]
struct Bins {
    #[prost(sint32, repeated, tag = "1")]
    keys: Vec<i32>,
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
}

impl Bins {
    fn add(&mut self, key: i32, count: u64) {
        // Numbers of a series are alike, so it often is the last bin.
        let at = match self.keys.last() {
            Some(last) if *last < key => Err(self.keys.len()),
            _ => self.keys.binary_search(&key),
        };
        match at {
            Ok(at) => self.counts[at] = self.counts[at].saturating_add(count),
            Err(at) => {
                self.keys.insert(at, key);
                self.counts.insert(at, count);
                if self.keys.len() > MAX_BINS {
                    self.keys.remove(0);
                    let lowest = self.counts.remove(0);
                    self.counts[0] = self.counts[0].saturating_add(lowest);
                }
            }
        }
    }

    fn pairs(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        self.keys.iter().copied().zip(self.counts.iter().copied())
    }

    fn is_sound(&self) -> bool {
        self.keys.len() == self.counts.len()
            && self.keys.len() <= MAX_BINS
            && self.keys.is_sorted_by(|one, next| one < next)
    }
}

impl Sketch {
    /// A sketch of one number.
    pub fn of(value: f64) -> Self {
        let mut sketch = Self::default();
        sketch.add(value, 1);
        sketch
    }

    /// Adds a number `count` times. What is no number (NaN, infinite) is passed over.
    pub fn add(&mut self, value: f64, count: u64) {
        if count == 0 || !value.is_finite() {
            return;
        }
        self.bin(value, count);
        (self.min, self.max) = match self.count {
            0 => (value, value),
            _ => (self.min.min(value), self.max.max(value)),
        };
        self.count = self.count.saturating_add(count);
        self.sum += value * count as f64;
    }

    fn bin(&mut self, value: f64, count: u64) {
        let side = match value {
            _ if value > MIN_MAGNITUDE => &mut self.positive,
            _ if value < -MIN_MAGNITUDE => &mut self.negative,
            _ => {
                self.zeros = self.zeros.saturating_add(count);
                return;
            }
        };
        side.get_or_insert_default().add(MAPPING.key(value.abs()), count);
    }

    /// Adds all that `other` is of.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        for (side, from) in
            [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)]
        {
            for (key, count) in from.iter().flat_map(Bins::pairs) {
                side.get_or_insert_default().add(key, count);
            }
        }
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// What was added since `earlier`, a state of the same sketch; `None` if it is no earlier
    /// state of it, as after a restart of whoever counts. The least and the greatest number are
    /// then known within the relative error.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut fresh = Self {
            count: self.count.checked_sub(earlier.count)?,
            sum: self.sum - earlier.sum,
            zeros: self.zeros.checked_sub(earlier.zeros)?,
            ..Self::default()
        };
        for (side, now, before) in [
            (&mut fresh.positive, &self.positive, &earlier.positive),
            (&mut fresh.negative, &self.negative, &earlier.negative),
        ] {
            *side = subtract(now.as_ref(), before.as_ref())?;
        }
        let mut values = fresh.values().map(|(value, _)| self.within(value));
        let least = values.next();
        let greatest = values.last().or(least);
        if let (Some(least), Some(greatest)) = (least, greatest) {
            (fresh.min, fresh.max) = (least, greatest);
        }
        Some(fresh)
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The least; none if there is none.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest; none if there is none.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// Their mean; none if there are none.
    pub fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The number below which a share of `quantile` (0 to 1) lies, within [`RELATIVE_ERROR`]; none
    /// if there are none.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let binned = self.values().fold(0u64, |sum, (_, count)| sum.saturating_add(count));
        if binned == 0 {
            return self.average();
        }
        match quantile {
            _ if quantile <= 0.0 => return Some(self.min),
            _ if quantile >= 1.0 => return Some(self.max),
            _ => {}
        }
        let rank = (quantile * (binned - 1) as f64) as u64;
        let mut seen = 0u64;
        let found = self.values().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen > rank
        });
        found.map(|(value, _)| self.within(value))
    }

    /// A bin's middle may lie beyond what was ever added.
    fn within(&self, value: f64) -> f64 {
        value.max(self.min).min(self.max)
    }

    /// The bins' middles, ascending, and how many numbers are in each.
    fn values(&self) -> impl Iterator<Item = (f64, u64)> {
        let negative = self.negative.iter().flat_map(|bins| bins.pairs().rev());
        let positive = self.positive.iter().flat_map(Bins::pairs);
        negative
            .map(|(key, count)| (-MAPPING.value(key), count))
            .chain((self.zeros > 0).then_some((0.0, self.zeros)))
            .chain(positive.map(|(key, count)| (MAPPING.value(key), count)))
    }

    /// The stable binary form, about 40 bytes and 3 for each bin.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.encoded_len());
        bytes.push(VERSION);
        // A vector takes whatever is written to it.
        let _fits = self.encode(&mut bytes);
        bytes
    }

    /// The sketch of a binary form, or of an OTLP data point of a histogram, explicit or
    /// exponential, in protobuf; `None` if it is neither.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Some((&VERSION, rest)) = bytes.split_first() {
            let sketch = Self::decode(rest).ok()?;
            let sides = [&sketch.positive, &sketch.negative];
            let sound = sides.into_iter().flatten().all(Bins::is_sound);
            return sound.then_some(sketch);
        }
        // The fields of the two differ in their wire types wherever they have the same number.
        if let Ok(point) = HistogramDataPoint::decode(bytes) {
            let (counts, bounds) = (point.bucket_counts.len(), point.explicit_bounds.len());
            if counts == bounds + 1 || (counts, bounds) == (0, 0) {
                return Some(Self::from_histogram(&point));
            }
        }
        ExponentialHistogramDataPoint::decode(bytes)
            .ok()
            .map(|point| Self::from_exponential(&point))
    }

    /// The sketch of an explicit histogram: each bucket's samples stand at its middle, so that
    /// percentiles are as exact as the buckets.
    pub fn from_histogram(point: &HistogramDataPoint) -> Self {
        let bounds = &point.explicit_bounds;
        let mut sketch = Self::default();
        for (at, count) in point.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let lower = at.checked_sub(1).and_then(|below| bounds.get(below)).copied();
            let middle = match (lower, bounds.get(at).copied()) {
                (Some(lower), Some(upper)) => f64::midpoint(lower, upper),
                (None, Some(upper)) if upper > 0.0 => upper / 2.0,
                (None, Some(bound)) | (Some(bound), None) => bound,
                // One bucket of everything.
                (None, None) => point.sum.map_or(0.0, |sum| sum / *count as f64),
            };
            sketch.add(middle, *count);
        }
        sketch.told(point.count, point.sum, (point.min, point.max))
    }

    /// The sketch of an exponential histogram.
    pub fn from_exponential(point: &ExponentialHistogramDataPoint) -> Self {
        let mut sketch = Self::default();
        sketch.add(0.0, point.zero_count);
        for (buckets, sign) in [(&point.positive, 1.0), (&point.negative, -1.0)] {
            for (value, count) in buckets.iter().flat_map(|it| exponential(it, point.scale)) {
                sketch.add(sign * value, count);
            }
        }
        sketch.told(point.count, point.sum, (point.min, point.max))
    }

    /// What a sender knows exactly counts more than what its buckets say.
    fn told(
        mut self,
        count: u64,
        sum: Option<f64>,
        (min, max): (Option<f64>, Option<f64>),
    ) -> Self {
        if self.count == 0 && count > 0 {
            // No buckets: all that is known is the mean.
            self.add(sum.unwrap_or(0.0) / count as f64, count);
        }
        let finite = |value: Option<f64>, known| value.filter(|it| it.is_finite()).unwrap_or(known);
        self.sum = finite(sum, self.sum);
        self.min = finite(min, self.min);
        self.max = finite(max, self.max).max(self.min);
        self
    }

    /// The bytes that it takes in memory.
    pub fn memory(&self) -> usize {
        let bins = [&self.positive, &self.negative].into_iter().flatten();
        let bins = bins.map(|it| it.keys.capacity() * 4 + it.counts.capacity() * 8);
        size_of::<Self>() + bins.sum::<usize>()
    }
}

fn subtract(now: Option<&Bins>, before: Option<&Bins>) -> Option<Option<Bins>> {
    let Some(before) = before else { return Some(now.cloned()) };
    let mut left = now?.clone();
    for (key, count) in before.pairs() {
        let at = left.keys.binary_search(&key).ok()?;
        left.counts[at] = left.counts[at].checked_sub(count)?;
    }
    let pairs = left.pairs().filter(|(_, count)| *count > 0);
    let (keys, counts) = pairs.unzip();
    Some(Some(Bins { keys, counts }))
}

/// The buckets' geometric middles: bucket `i` holds what is above `base^i` and at most
/// `base^(i+1)`, where `base` is 2 to the power of 2 to the power of minus the scale.
fn exponential(buckets: &Buckets, scale: i32) -> impl Iterator<Item = (f64, u64)> {
    let step = 2f64.powi(-scale);
    let offset = f64::from(buckets.offset);
    let counts = buckets.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0);
    counts.map(move |(at, count)| {
        let value = ((offset + at as f64 + 0.5) * step).exp2();
        (value.clamp(MIN_MAGNITUDE, f64::MAX), *count)
    })
}

#[cfg(test)]
mod tests;
