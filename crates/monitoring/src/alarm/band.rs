//! The band in which a series is expected: what was usual at this hour and on this day.
//!
//! The series is taken apart by medians, which single outliers do not move: a level, a profile of
//! the week's days, one of the day's hours and one of the hour's parts, each only if the training
//! is long enough to show it twice. What is left over is noise; its spread (1.4826 times the median
//! absolute deviation, which is the standard deviation of what is normally distributed) times the
//! width is half the band.

use release::Timestamp;

use super::spec::Window;
use crate::robust::{NORMAL, median};

/// The longest time that is learned from, in seconds: two weeks.
pub const TRAINING: i64 = 14 * DAY;
/// The fewest numbers that are learned from.
const LEAST: usize = 8;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A cycle and the length of its parts, in seconds; the epoch was a Thursday.
const CYCLES: [(i64, i64); 3] = [(7 * DAY, DAY), (DAY, HOUR), (HOUR, 5 * MINUTE)];

/// What was learned of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    level: f64,
    /// Of each cycle that is known, what its parts add.
    profiles: Vec<(i64, i64, Vec<f64>)>,
    deviation: f64,
}

impl Model {
    /// Learns from the two weeks before `until`, without what lies in `excluded`. `None` if there
    /// are too few numbers.
    pub fn train(
        series: &[(Timestamp, f64)],
        excluded: &[Window],
        until: Timestamp,
    ) -> Option<Self> {
        let until = until.as_second();
        let learned = |(at, _): &&(Timestamp, f64)| {
            (until - TRAINING..until).contains(&at.as_second())
                && !excluded.iter().any(|window| window.holds(*at))
        };
        let points: Vec<_> = series.iter().filter(learned).collect();
        if points.len() < LEAST {
            return None;
        }
        let (first, last) = (points.first()?.0.as_second(), points.last()?.0.as_second());
        let step = (last - first) / (points.len() as i64 - 1).max(1);
        let level = median(points.iter().map(|(_, value)| *value).collect())?;
        let mut left: Vec<_> = points.iter().map(|(at, it)| (at.as_second(), it - level)).collect();
        let mut profiles = Vec::new();
        for (cycle, part) in CYCLES {
            // It must have been seen twice, and have more than one number in a part.
            if last - first + step < 2 * cycle || step >= cycle {
                continue;
            }
            let profile: Vec<f64> = (0..cycle / part)
                .map(|index| {
                    let of = left.iter().filter(|(at, _)| at.rem_euclid(cycle) / part == index);
                    median(of.map(|(_, rest)| *rest).collect()).unwrap_or_default()
                })
                .collect();
            for (at, rest) in &mut left {
                *rest -= profile[(at.rem_euclid(cycle) / part) as usize];
            }
            profiles.push((cycle, part, profile));
        }
        let spread = median(left.iter().map(|(_, rest)| rest.abs()).collect())? * NORMAL;
        // Where most numbers are equal, the rare others tell how it spreads.
        let squares: f64 = left.iter().map(|(_, rest)| rest * rest).sum();
        let deviation = if spread > 0.0 { spread } else { (squares / left.len() as f64).sqrt() };
        Some(Self { level, profiles, deviation })
    }

    /// What is expected at a moment.
    pub fn expected(&self, at: Timestamp) -> f64 {
        let at = at.as_second();
        let add = |(cycle, part, profile): &(i64, i64, Vec<f64>)| {
            profile[(at.rem_euclid(*cycle) / part) as usize]
        };
        self.level + self.profiles.iter().map(add).sum::<f64>()
    }

    /// The band at a moment, `width` standard deviations to each side.
    pub fn band(&self, at: Timestamp, width: f64) -> (f64, f64) {
        let (expected, half) = (self.expected(at), self.deviation * width);
        (expected - half, expected + half)
    }
}

#[cfg(test)]
mod tests;
