//! `window`: whether the calendar allows a release to enter now.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Verdict;
use super::file::{Day, WindowGate};

/// How many days are looked ahead for the next opening.
const AHEAD: i64 = 400;

/// A window's times, read.
#[derive(Debug)]
pub(crate) struct Calendar {
    days: Vec<Day>,
    from: Time,
    until: Time,
    zone: TimeZone,
    freezes: Vec<(DateTime, DateTime, String)>,
}

impl Calendar {
    /// Reads the times of a gate.
    ///
    /// # Errors
    /// The first that cannot be read: its key, and what is wrong.
    pub(crate) fn read(gate: &WindowGate) -> Result<Self, (&'static str, String)> {
        let time = |key, text: &str| {
            let time = Time::strptime("%H:%M", text);
            time.map_err(|_| (key, format!("`{text}` is not a time such as `09:00`")))
        };
        let zone = TimeZone::get(&gate.zone)
            .map_err(|_| ("zone", format!("there is no time zone `{}`", gate.zone)))?;
        let mut freezes = Vec::new();
        for freeze in &gate.except {
            let wrong = |text: &str| {
                let why = "is not a day such as `2026-12-20`, or a time such as `2026-12-20T18:00`";
                ("except", format!("`{text}` {why}"))
            };
            let begin = moment(&freeze.from, false).ok_or_else(|| wrong(&freeze.from))?;
            let end = moment(&freeze.until, true).ok_or_else(|| wrong(&freeze.until))?;
            if end <= begin {
                let why = format!("`{}` is not before `{}`", freeze.from, freeze.until);
                return Err(("except", why));
            }
            freezes.push((begin, end, freeze.reason.clone()));
        }
        let (from, until) = (time("from", &gate.from)?, time("until", &gate.until)?);
        Ok(Self { days: gate.days.clone(), from, until, zone, freezes })
    }

    /// What the calendar says of a moment.
    pub(crate) fn decide(&self, now: Timestamp) -> Verdict {
        let local = self.zone.to_datetime(now);
        let opens = || match self.next(now) {
            Some(next) => {
                let next = next.to_zoned_datetime(self.zone.clone());
                format!("; it opens {}", next.strftime("%a %Y-%m-%d %H:%M %Z"))
            }
            None => "; it does not open in the next 400 days".to_owned(),
        };
        if let Some((_, _, reason)) = self.frozen(local) {
            return Verdict::pending(format!("nothing enters now ({reason}){}", opens()));
        }
        match self.is_open(local) {
            true => {
                let closes = if self.from == self.until {
                    "open".to_owned()
                } else {
                    format!("open until {}", self.until.strftime("%H:%M"))
                };
                Verdict::passed(closes)
            }
            false => Verdict::pending(format!("the window is closed{}", opens())),
        }
    }

    fn frozen(&self, local: DateTime) -> Option<&(DateTime, DateTime, String)> {
        self.freezes.iter().find(|(from, until, _)| (*from..*until).contains(&local))
    }

    /// Whether it is open at a local time, freezes aside: it belongs to the day on which it opens.
    fn is_open(&self, local: DateTime) -> bool {
        let (day, time) = (local.date(), local.time());
        let crosses = self.until <= self.from;
        let today = self.opens_on(day) && time >= self.from && (crosses || time < self.until);
        let yesterday = || day.yesterday().is_ok_and(|day| self.opens_on(day));
        today || (crosses && time < self.until && yesterday())
    }

    fn opens_on(&self, date: Date) -> bool {
        let day = match date.weekday() {
            Weekday::Monday => Day::Mon,
            Weekday::Tuesday => Day::Tue,
            Weekday::Wednesday => Day::Wed,
            Weekday::Thursday => Day::Thu,
            Weekday::Friday => Day::Fri,
            Weekday::Saturday => Day::Sat,
            Weekday::Sunday => Day::Sun,
        };
        self.days.is_empty() || self.days.contains(&day)
    }

    /// When it opens next: at one of its openings, or when a freeze ends.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        let days = (0..AHEAD).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        let openings = days.map(|day| day.to_datetime(self.from));
        let ends = self.freezes.iter().map(|(_, until, _)| *until);
        let moments = openings.chain(ends).filter_map(|local| {
            // A time that a clock leaves out is the one it is put forward to.
            let moment = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
            let shown = self.zone.to_datetime(moment);
            let opens = self.is_open(shown) && self.frozen(shown).is_none();
            opens.then_some(moment)
        });
        moments.filter(|moment| *moment > now).min()
    }
}

/// A day or a moment of a freeze. The end of a freeze that is a day is the end of that day.
fn moment(text: &str, is_end: bool) -> Option<DateTime> {
    if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
        let date = if is_end { date.tomorrow().ok()? } else { date };
        return Some(date.to_datetime(Time::midnight()));
    }
    DateTime::strptime("%Y-%m-%dT%H:%M", text)
        .or_else(|_| DateTime::strptime("%Y-%m-%dT%H:%M:%S", text))
        .ok()
}

/// What a window says of a moment.
pub(crate) fn decide(gate: &WindowGate, now: Timestamp) -> Verdict {
    match Calendar::read(gate) {
        Ok(calendar) => calendar.decide(now),
        Err((key, why)) => Verdict::error(format!("`{key}`: {why}")),
    }
}

#[cfg(test)]
mod tests;
