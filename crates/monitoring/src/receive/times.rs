//! Times that senders claim.
//!
//! A clock that is far off would put rows where nobody looks, and days into the future keep them
//! beyond their time. So what cannot be is taken as the moment of arrival, and the row says so.

use release::Timestamp;

use super::collect::Marks;

/// What lies before 2000-01-01 is no clock's time.
const EARLIEST: u64 = 946_684_800 * 1_000_000_000;
/// How far a clock may be ahead: an hour, in nanoseconds.
const AHEAD: u64 = 3_600 * 1_000_000_000;

/// A moment as OTLP writes it, or that of the arrival.
pub fn moment(
    name: &str,
    nanoseconds: u64,
    received_at: Timestamp,
    marks: &mut Marks,
) -> Timestamp {
    let possible = EARLIEST..=unix(received_at).saturating_add(AHEAD);
    match timestamp(nanoseconds).filter(|_| possible.contains(&nanoseconds)) {
        Some(at) => at,
        None => {
            marks.clock(format!("{name} {nanoseconds}"));
            received_at
        }
    }
}

/// A moment that may be left out: then another one counts.
pub fn optional(
    name: &str,
    nanoseconds: u64,
    (received_at, instead): (Timestamp, Timestamp),
    marks: &mut Marks,
) -> Timestamp {
    if nanoseconds == 0 { instead } else { moment(name, nanoseconds, received_at, marks) }
}

/// When a span began and how long it took.
pub fn interval(
    (start, end): (u64, u64),
    received_at: Timestamp,
    marks: &mut Marks,
) -> (Timestamp, i64) {
    let began = moment("start", start, received_at, marks);
    let latest = unix(received_at).saturating_add(AHEAD);
    // With a beginning that was corrected, the difference still tells how long it took.
    let duration = end.checked_sub(start).filter(|_| end <= latest && start >= EARLIEST);
    let duration = duration.and_then(|length| i64::try_from(length).ok());
    (
        began,
        duration.unwrap_or_else(|| {
            marks.clock(format!("end {end}"));
            0
        }),
    )
}

fn unix(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond().max(0)).unwrap_or(u64::MAX)
}

fn timestamp(nanoseconds: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()
}

/// A moment as OTLP writes it, in RFC 3339, as it stands in a span's events.
pub fn written(nanoseconds: u64) -> String {
    timestamp(nanoseconds).map(|at| at.to_string()).unwrap_or_default()
}
