//! `cron(minutes hours day-of-month month day-of-week year)`.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The last year in which anything is due.
pub const LAST_YEAR: i16 = 2199;

const YEARS: (u16, u16) = (1970, LAST_YEAR as u16);
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The six fields; numbers are kept sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<u16>,
    hours: Vec<u16>,
    days: Days,
    months: Vec<u16>,
    years: Vec<u16>,
}

/// Which days: of the month or of the week, never both.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<MonthDay>),
    OfWeek(Vec<WeekDay>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MonthDay {
    Number(u16),
    /// `L`: the last.
    Last,
    /// `LW`: the last that is a weekday.
    LastWeekday,
    /// `15W`: the weekday nearest to it, within the month.
    Nearest(u16),
}

/// Days of the week count from Sunday, 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WeekDay {
    Number(u16),
    /// `6L`: the month's last.
    Last(u16),
    /// `6#3`: the month's third.
    Nth(u16, u16),
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, month_days, months, week_days, years] = fields.as_slice() else {
            return Err(format!("it has six fields, not {}", fields.len()));
        };
        let days = match (*month_days, *week_days) {
            ("?", "?") => return Err("one of its day fields must say which days".to_owned()),
            (month_days, "?") => Days::OfMonth(each(month_days, month_day)?),
            ("?", week_days) if week_days.contains('#') && week_days.contains(',') => {
                return Err("a `#` stands alone in its field".to_owned());
            }
            ("?", week_days) => Days::OfWeek(each(week_days, week_day)?),
            _ => return Err("one of its two day fields must be `?`".to_owned()),
        };
        Ok(Self {
            minutes: numbers(minutes, (0, 59), &[])?,
            hours: numbers(hours, (0, 23), &[])?,
            days,
            months: numbers(months, (1, 12), &MONTHS)?,
            years: numbers(years, YEARS, &[])?,
        })
    }
}

impl Cron {
    /// The first moment after `after`.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        // A clock set back may bring the hours before `local` once more; those are taken already.
        let first_year = u16::try_from(local.year()).ok()?;
        for year in self.years.iter().filter(|year| **year >= first_year) {
            for month in &self.months {
                let year = i16::try_from(*year).ok()?;
                let month = i8::try_from(*month).ok()?;
                if (year, month) < (local.year(), local.month()) {
                    continue;
                }
                for day in self.days_in(year, month) {
                    if day < local.date() {
                        continue;
                    }
                    if let Some(found) = self.on(day, (after, local), zone) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }

    /// The first moment of a day after `after`, which is `local` in the zone.
    fn on(
        &self,
        day: Date,
        (after, local): (Timestamp, DateTime),
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        for hour in &self.hours {
            for minute in &self.minutes {
                let time = Time::new(*hour as i8, *minute as i8, 0, 0).ok()?;
                let wanted = DateTime::from_parts(day, time);
                if wanted < local {
                    continue;
                }
                if let Some(moment) = moment(wanted, zone).filter(|moment| *moment > after) {
                    return Some(moment);
                }
            }
        }
        None
    }

    /// The days of a month, sorted.
    fn days_in(&self, year: i16, month: i8) -> Vec<Date> {
        let Ok(first) = Date::new(year, month, 1) else { return Vec::new() };
        let length = u16::try_from(first.days_in_month()).unwrap_or(0);
        let date = |day: u16| Date::new(year, month, i8::try_from(day).ok()?).ok();
        let weekday = |day: u16| date(day).map(weekday);
        let mut days: Vec<u16> = match &self.days {
            Days::OfMonth(days) => {
                let day = |day: &MonthDay| match *day {
                    MonthDay::Number(day) => Some(day).filter(|day| *day <= length),
                    MonthDay::Last => Some(length),
                    MonthDay::LastWeekday => nearest(length, length, weekday),
                    MonthDay::Nearest(day) if day <= length => nearest(day, length, weekday),
                    MonthDay::Nearest(_) => None,
                };
                days.iter().filter_map(day).collect()
            }
            Days::OfWeek(days) => {
                let fits = |day: u16| {
                    days.iter().any(|wanted| match *wanted {
                        WeekDay::Number(number) => weekday(day) == Some(number),
                        WeekDay::Last(number) => weekday(day) == Some(number) && day + 7 > length,
                        WeekDay::Nth(number, nth) => {
                            weekday(day) == Some(number) && (day - 1) / 7 + 1 == nth
                        }
                    })
                };
                (1..=length).filter(|day| fits(*day)).collect()
            }
        };
        days.sort_unstable();
        days.dedup();
        days.into_iter().filter_map(date).collect()
    }
}

/// A local time as a moment; none if a change of clocks skips it.
fn moment(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => None,
        _ => ambiguous.earlier().ok(),
    }
}

/// The day of the week, from Sunday, 1.
fn weekday(date: Date) -> u16 {
    u16::try_from(date.weekday().to_sunday_one_offset()).unwrap_or(1)
}

/// The weekday (Monday to Friday) nearest to a day, within its month.
fn nearest(day: u16, length: u16, weekday: impl Fn(u16) -> Option<u16>) -> Option<u16> {
    match weekday(day)? {
        1 if day < length => Some(day + 1),
        1 => day.checked_sub(2),
        7 if day > 1 => Some(day - 1),
        7 => Some(day + 2),
        _ => Some(day),
    }
}

fn each<T>(
    field: &str,
    read: impl Fn(&str, &mut Vec<T>) -> Result<(), String>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for part in field.split(',') {
        read(part, &mut all)?;
    }
    Ok(all)
}

fn month_day(part: &str, all: &mut Vec<MonthDay>) -> Result<(), String> {
    match part {
        "L" => all.push(MonthDay::Last),
        "LW" => all.push(MonthDay::LastWeekday),
        part => match part.strip_suffix('W') {
            Some(day) => all.push(MonthDay::Nearest(number(day, (1, 31), &[])?)),
            None => all.extend(range(part, (1, 31), &[])?.into_iter().map(MonthDay::Number)),
        },
    }
    Ok(())
}

fn week_day(part: &str, all: &mut Vec<WeekDay>) -> Result<(), String> {
    let day = |text: &str| number(text, (1, 7), &WEEKDAYS);
    if part == "L" {
        all.push(WeekDay::Number(7));
    } else if let Some((weekday, nth)) = part.split_once('#') {
        all.push(WeekDay::Nth(day(weekday)?, number(nth, (1, 5), &[])?));
    } else if let Some(weekday) = part.strip_suffix('L') {
        all.push(WeekDay::Last(day(weekday)?));
    } else {
        all.extend(range(part, (1, 7), &WEEKDAYS)?.into_iter().map(WeekDay::Number));
    }
    Ok(())
}

fn numbers(field: &str, bounds: (u16, u16), names: &[&str]) -> Result<Vec<u16>, String> {
    let mut all = Vec::new();
    for part in field.split(',') {
        all.extend(range(part, bounds, names)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// `*`, `5`, `1-5`, `0/15`, `1-9/2` or `*/5`. A range of names or weekdays may run over the end.
fn range(part: &str, bounds: (u16, u16), names: &[&str]) -> Result<Vec<u16>, String> {
    let (low, high) = bounds;
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(number(step, (1, high.max(1)), &[])?)),
        None => (part, None),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => bounds,
        Some((first, last)) => (number(first, bounds, names)?, number(last, bounds, names)?),
        None => {
            let first = number(range, bounds, names)?;
            (first, if step.is_some() { high } else { first })
        }
    };
    let step = usize::from(step.unwrap_or(1));
    if first <= last {
        return Ok((first..=last).step_by(step).collect());
    }
    if names.is_empty() {
        return Err(format!("the range `{range}` runs backwards"));
    }
    Ok((first..=high).chain(low..=last).step_by(step).collect())
}

fn number(text: &str, (low, high): (u16, u16), names: &[&str]) -> Result<u16, String> {
    if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(low + u16::try_from(at).unwrap_or(0));
    }
    let number = text.parse().ok().filter(|_| text.chars().all(|c| c.is_ascii_digit()));
    let number = number.filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a number from {low} to {high}"))
}
