//! A schedule with everything that decides its moments.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use release::Draw;

use super::{CatchUp, Schedule};

/// The most moments that are told at once.
pub const MAX_DUE: usize = 100;

/// How late something may be and still be on time.
const ON_TIME: SignedDuration = SignedDuration::from_secs(60);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const INSTANT: SignedDuration = SignedDuration::from_nanos(1);

/// When something is due, in which zone, from when to when.
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {
    /// When it is due.
    pub(super) schedule: Schedule,
    /// Where its times are read.
    pub(super) zone: TimeZone,
    /// Not before this moment.
    pub(super) start: Option<Timestamp>,
    /// Not after this moment.
    pub(super) end: Option<Timestamp>,
    /// How many minutes later it may begin.
    pub(super) window_minutes: u32,
}

impl Timetable {
    /// The first moment after `after` when it is due. A rate counts from the start, if there is
    /// one, else from `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.next_from(self.start.unwrap_or(after), after)
    }

    /// When what is due at `moment` begins: within the window, at a place that `seed` decides and
    /// that differs from moment to moment.
    pub fn begins(&self, moment: Timestamp, seed: u64) -> Timestamp {
        let window = u64::from(self.window_minutes) * 60;
        let mut draw = Draw::seeded(seed.wrapping_add(moment.as_second().unsigned_abs()));
        let wait = draw.bits().checked_rem(window).unwrap_or(0);
        // The end of time is no place to wait at.
        moment.checked_add(SignedDuration::from_secs(wait as i64)).unwrap_or(moment)
    }

    fn next_from(&self, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
        // The start itself counts.
        let before = self
            .start
            .map_or(Timestamp::MIN, |start| start.saturating_sub(INSTANT).unwrap_or(start));
        let next = self.schedule.next_from(anchor, after.max(before), &self.zone)?;
        self.end.is_none_or(|end| next <= end).then_some(next)
    }

    /// The last moment after `last` up to `now`. Moments are a minute apart at least, so halving
    /// the time down to a second finds it, however many were missed.
    fn latest(&self, anchor: Timestamp, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let next = |at| self.next_from(anchor, at).filter(|next| *next <= now);
        let (mut found, mut early, mut late) = (next(last)?, last, now);
        while late.duration_since(early) > SECOND {
            let middle = early.checked_add(late.duration_since(early) / 2).ok()?;
            match next(middle) {
                Some(later) => (found, early) = (later, middle),
                None => late = middle,
            }
        }
        Some(found)
    }
}

/// What is due at `now`, if `last_fired` was the last moment that was dealt with (at first, when
/// the schedule was made): the oldest first, and at most [`MAX_DUE`]; the next call, with the last
/// of them, tells the rest. A rate without a start counts from `last_fired`.
pub fn due(
    timetable: &Timetable,
    last_fired: Timestamp,
    now: Timestamp,
    policy: CatchUp,
) -> Vec<Timestamp> {
    let anchor = timetable.start.unwrap_or(last_fired);
    let next = |at: &Timestamp| timetable.next_from(anchor, *at);
    let latest = || timetable.latest(anchor, last_fired, now);
    match policy {
        CatchUp::All => std::iter::successors(next(&last_fired), next)
            .take_while(|at| *at <= now)
            .take(MAX_DUE)
            .collect(),
        CatchUp::Latest => latest().into_iter().collect(),
        CatchUp::Skip => {
            let window = SignedDuration::from_mins(timetable.window_minutes.into());
            let on_time = |at: &Timestamp| now.duration_since(*at) < ON_TIME + window;
            latest().filter(on_time).into_iter().collect()
        }
    }
}
