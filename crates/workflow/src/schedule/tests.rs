use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::Schedule;

fn next(expression: &str, after: &str, zone: &str) -> Option<String> {
    let zone = TimeZone::get(zone).unwrap();
    let schedule: Schedule = expression.parse().unwrap();
    let start = Timestamp::UNIX_EPOCH;
    let next = schedule.next_after(after.parse().unwrap(), start, &zone)?;
    Some(zone.to_datetime(next).strftime("%Y-%m-%d %H:%M %a").to_string())
}

#[test]
fn the_next_time_is_found_in_the_zone() {
    for (expression, after, zone, expected) in [
        ("cron(0 10 * * ? *)", "2026-11-26T09:00:00Z", "UTC", "2026-11-26 10:00 Thu"),
        ("cron(0 10 * * ? *)", "2026-11-26T10:00:00Z", "UTC", "2026-11-27 10:00 Fri"),
        ("cron(0 10 * * ? *)", "2026-11-26T09:30:00Z", "Europe/Berlin", "2026-11-27 10:00 Fri"),
        ("cron(0/15 * * * ? *)", "2026-11-26T09:16:00Z", "UTC", "2026-11-26 09:30 Thu"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-27T19:00:00Z", "UTC", "2026-11-30 18:00 Mon"),
        ("cron(0 0 L * ? *)", "2026-02-01T00:00:00Z", "UTC", "2026-02-28 00:00 Sat"),
        ("cron(0 0 LW * ? *)", "2026-02-01T00:00:00Z", "UTC", "2026-02-27 00:00 Fri"),
        ("cron(0 0 1W * ? *)", "2026-07-31T12:00:00Z", "UTC", "2026-08-03 00:00 Mon"),
        ("cron(0 0 15W * ? *)", "2026-11-02T00:00:00Z", "UTC", "2026-11-16 00:00 Mon"),
        ("cron(15 10 ? * 6L *)", "2026-11-01T00:00:00Z", "UTC", "2026-11-27 10:15 Fri"),
        ("cron(0 2 ? * SAT#3 *)", "2026-11-01T00:00:00Z", "UTC", "2026-11-21 02:00 Sat"),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-24T00:00:00Z", "UTC", "2026-11-27 00:00 Fri"),
        ("cron(0 0 29 2 ? *)", "2026-01-01T00:00:00Z", "UTC", "2028-02-29 00:00 Tue"),
        ("cron(0 0 1 JAN,JUL ? *)", "2026-02-01T00:00:00Z", "UTC", "2026-07-01 00:00 Wed"),
        ("rate(1 hour)", "2026-11-26T09:16:00Z", "UTC", "2026-11-26 10:00 Thu"),
        ("rate(5 minutes)", "2026-11-26T09:15:00Z", "UTC", "2026-11-26 09:20 Thu"),
        (
            "at(2026-12-24T18:00:00)",
            "2026-11-26T00:00:00Z",
            "Europe/Berlin",
            "2026-12-24 18:00 Thu",
        ),
    ] {
        assert_eq!(next(expression, after, zone).as_deref(), Some(expected), "{expression}");
    }
    assert_eq!(next("at(2026-01-01T00:00:00)", "2026-11-26T00:00:00Z", "UTC"), None);
    assert_eq!(next("cron(0 0 1 1 ? 2025)", "2026-11-26T00:00:00Z", "UTC"), None);
    assert_eq!(next("cron(0 0 31 2 ? *)", "2026-11-26T00:00:00Z", "UTC"), None);
}

#[test]
fn at_the_edges_of_daylight_saving_time_nothing_comes_twice() {
    let berlin = "Europe/Berlin";
    // 02:30 does not exist on 29 March 2026, and comes twice on 25 October.
    let daily = "cron(30 2 * * ? *)";
    let spring = next(daily, "2026-03-28T12:00:00Z", berlin);
    assert_eq!(spring.as_deref(), Some("2026-03-30 02:30 Mon"));
    let zone = TimeZone::get(berlin).unwrap();
    let schedule: Schedule = daily.parse().unwrap();
    let autumn = ("2026-10-24T12:00:00Z".parse().unwrap(), "2026-10-26T00:00:00Z".parse().unwrap());
    let due = schedule.due(autumn, Timestamp::UNIX_EPOCH, &zone, 10);
    assert_eq!(due, ["2026-10-25T00:30:00Z".parse().unwrap()]);
}

#[test]
fn what_was_missed_is_told_up_to_a_bound() {
    let schedule: Schedule = "rate(1 minute)".parse().unwrap();
    let (last, now) =
        ("2026-11-26T00:00:00Z".parse().unwrap(), "2026-11-26T01:00:00Z".parse().unwrap());
    assert_eq!(schedule.due((last, now), last, &TimeZone::UTC, 5).len(), 5);
    assert_eq!(schedule.due((last, now), last, &TimeZone::UTC, 500).len(), 60);
}

#[test]
fn what_is_no_schedule_is_refused() {
    for text in [
        "",
        "rate()",
        "rate(1)",
        "rate(0 minutes)",
        "rate(-1 minutes)",
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(5 seconds)",
        "rate(5  minutes)",
        "rate(1.5 hours)",
        "rate(5 minutes",
        "cron(* * * * *)",
        "cron(* * * * * *)",
        "cron(* * ? * ? *)",
        "cron(60 * * * ? *)",
        "cron(* 24 * * ? *)",
        "cron(* * 32 * ? *)",
        "cron(* * * 13 ? *)",
        "cron(* * ? * 8 *)",
        "cron(* * ? * 0 *)",
        "cron(* * ? * MON#6 *)",
        "cron(* * * * ? 1969)",
        "cron(5-1 * * * ? *)",
        "cron(*/0 * * * ? *)",
        "cron(a * * * ? *)",
        "at(tomorrow)",
        "every day",
    ] {
        assert!(text.parse::<Schedule>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn reading_never_fails_otherwise_than_with_an_error(text in "(cron|rate|at)?\\(?.{0,40}\\)?") {
        let _read = text.parse::<Schedule>();
    }

    #[test]
    fn the_next_time_is_later_and_nothing_is_left_out(
        minute in 0_u8..60, step in 1_u8..30, hour in 0_u8..24, after in 1_700_000_000_i64..1_800_000_000,
    ) {
        let schedule: Schedule = format!("cron({minute}/{step} {hour} * * ? *)").parse().unwrap();
        let after = Timestamp::from_second(after).unwrap();
        let found = schedule.next_after(after, Timestamp::UNIX_EPOCH, &TimeZone::UTC).unwrap();
        prop_assert!(found > after);
        // Minute by minute, up to a day.
        let fits = |second: i64| {
            let (minutes, hours) = (second / 60 % 60, second / 3_600 % 24);
            second % 60 == 0 && hours == i64::from(hour) && minutes >= i64::from(minute)
                && (minutes - i64::from(minute)) % i64::from(step) == 0
        };
        let first = (after.as_second() + 1..=after.as_second() + 86_400).find(|second| fits(*second));
        prop_assert_eq!(Some(found.as_second()), first);
    }
}
