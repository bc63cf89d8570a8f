use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CatchUp, MAX_DUE, Overlap, Schedule, ScheduleSpec, Timetable, due};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next(expression: &str, after: &str, zone: &str) -> Option<String> {
    let zone = TimeZone::get(zone).unwrap();
    let schedule: Schedule = expression.parse().unwrap_or_else(|e| panic!("{e}"));
    let next = schedule.next_after(at(after), &zone)?;
    Some(zone.to_datetime(next).strftime("%Y-%m-%d %H:%M %a").to_string())
}

fn timetable(expression: &str, more: Value) -> Timetable {
    let mut spec = json!({"expression": expression});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value::<ScheduleSpec>(spec).unwrap().compile().unwrap()
}

#[test]
fn the_next_time_is_found_in_the_zone() {
    let (utc, berlin) = ("UTC", "Europe/Berlin");
    for (expression, after, zone, expected) in [
        ("cron(0 10 * * ? *)", "2026-11-26T09:00:00Z", utc, "2026-11-26 10:00 Thu"),
        ("cron(0 10 * * ? *)", "2026-11-26T10:00:00Z", utc, "2026-11-27 10:00 Fri"),
        ("cron(0 10 * * ? *)", "2026-11-26T09:59:59.999Z", utc, "2026-11-26 10:00 Thu"),
        ("cron(0 10 * * ? *)", "2026-11-26T09:30:00Z", berlin, "2026-11-27 10:00 Fri"),
        ("cron(0 0 * * ? *)", "2026-11-26T12:00:00Z", "Asia/Kathmandu", "2026-11-27 00:00 Fri"),
        ("cron(* * * * ? *)", "2026-12-31T23:59:30Z", utc, "2027-01-01 00:00 Fri"),
        ("cron(0/15 * * * ? *)", "2026-11-26T09:16:00Z", utc, "2026-11-26 09:30 Thu"),
        ("cron(*/15 * * * ? *)", "2026-11-26T09:46:00Z", utc, "2026-11-26 10:00 Thu"),
        ("cron(5/15 * * * ? *)", "2026-11-26T09:51:00Z", utc, "2026-11-26 10:05 Thu"),
        ("cron(10-20/5 * * * ? *)", "2026-11-26T09:16:00Z", utc, "2026-11-26 09:20 Thu"),
        ("cron(5,35 14 * * ? *)", "2026-11-26T14:05:00Z", utc, "2026-11-26 14:35 Thu"),
        ("cron(0 07/12 ? * * *)", "2026-11-26T08:00:00Z", utc, "2026-11-26 19:00 Thu"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-27T19:00:00Z", utc, "2026-11-30 18:00 Mon"),
        ("cron(0 18 ? * mon-fri *)", "2026-11-27T19:00:00Z", utc, "2026-11-30 18:00 Mon"),
        ("cron(0 0 ? * 1 *)", "2026-11-26T00:00:00Z", utc, "2026-11-29 00:00 Sun"),
        ("cron(0 0 ? * 7 *)", "2026-11-26T00:00:00Z", utc, "2026-11-28 00:00 Sat"),
        ("cron(0 0 ? * L *)", "2026-11-26T00:00:00Z", utc, "2026-11-28 00:00 Sat"),
        ("cron(0 0 ? * TUE,THU *)", "2026-11-26T00:00:00Z", utc, "2026-12-01 00:00 Tue"),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-24T00:00:00Z", utc, "2026-11-27 00:00 Fri"),
        ("cron(0 0 L * ? *)", "2026-02-01T00:00:00Z", utc, "2026-02-28 00:00 Sat"),
        ("cron(0 0 L 2 ? *)", "2026-03-01T00:00:00Z", utc, "2027-02-28 00:00 Sun"),
        ("cron(0 0 L 2 ? *)", "2028-02-01T00:00:00Z", utc, "2028-02-29 00:00 Tue"),
        ("cron(0 0 LW * ? *)", "2026-02-01T00:00:00Z", utc, "2026-02-27 00:00 Fri"),
        ("cron(0 0 1W * ? *)", "2026-07-31T12:00:00Z", utc, "2026-08-03 00:00 Mon"),
        ("cron(0 0 1W * ? *)", "2026-10-31T12:00:00Z", utc, "2026-11-02 00:00 Mon"),
        ("cron(0 0 15W * ? *)", "2026-11-02T00:00:00Z", utc, "2026-11-16 00:00 Mon"),
        ("cron(0 0 14W * ? *)", "2026-11-02T00:00:00Z", utc, "2026-11-13 00:00 Fri"),
        ("cron(0 0 31W * ? *)", "2026-04-01T00:00:00Z", utc, "2026-05-29 00:00 Fri"),
        ("cron(0 0 31 * ? *)", "2026-04-01T00:00:00Z", utc, "2026-05-31 00:00 Sun"),
        ("cron(15 10 ? * 6L *)", "2026-11-01T00:00:00Z", utc, "2026-11-27 10:15 Fri"),
        ("cron(0 2 ? * SAT#3 *)", "2026-11-01T00:00:00Z", utc, "2026-11-21 02:00 Sat"),
        ("cron(0 2 ? * 3#5 *)", "2026-11-01T00:00:00Z", utc, "2026-12-29 02:00 Tue"),
        ("cron(0 0 29 2 ? *)", "2026-01-01T00:00:00Z", utc, "2028-02-29 00:00 Tue"),
        ("cron(0 0 29 2 ? *)", "2096-03-01T00:00:00Z", utc, "2104-02-29 00:00 Fri"),
        ("cron(0 0 1 JAN,JUL ? *)", "2026-02-01T00:00:00Z", utc, "2026-07-01 00:00 Wed"),
        ("cron(0 0 1 1/3 ? *)", "2026-02-01T00:00:00Z", utc, "2026-04-01 00:00 Wed"),
        ("cron(0 0 1 1 ? 2027/2)", "2027-02-01T00:00:00Z", utc, "2029-01-01 00:00 Mon"),
        ("cron(59 23 31 12 ? 2199)", "2026-01-01T00:00:00Z", utc, "2199-12-31 23:59 Tue"),
        ("rate(1 minute)", "2026-11-26T09:16:00Z", utc, "2026-11-26 09:17 Thu"),
        ("rate(5 minutes)", "2026-11-26T09:16:00Z", utc, "2026-11-26 09:21 Thu"),
        ("rate(1 hour)", "2026-11-26T09:16:00Z", utc, "2026-11-26 10:16 Thu"),
        ("rate(7 days)", "2026-11-26T09:16:00Z", utc, "2026-12-03 09:16 Thu"),
        // Rates count real time: the day that the clocks change has 23 hours on them.
        ("rate(1 day)", "2026-03-28T11:00:00Z", berlin, "2026-03-29 13:00 Sun"),
        ("at(2026-12-24T18:00:00)", "2026-11-26T00:00:00Z", berlin, "2026-12-24 18:00 Thu"),
        // Skipped by the clocks, and moved on as they were.
        ("at(2026-03-29T02:30:00)", "2026-03-01T00:00:00Z", berlin, "2026-03-29 03:30 Sun"),
    ] {
        assert_eq!(next(expression, after, zone).as_deref(), Some(expected), "{expression}");
    }
    for (expression, after) in [
        ("at(2026-01-01T00:00:00)", "2026-11-26T00:00:00Z"),
        ("at(2026-01-01T00:00:00)", "2026-01-01T00:00:00Z"),
        ("at(2200-01-01T00:00:00)", "2026-01-01T00:00:00Z"),
        ("rate(1 minute)", "2199-12-31T23:59:00Z"),
        ("cron(0 0 1 1 ? 2025)", "2026-11-26T00:00:00Z"),
        ("cron(15 10 ? * 6L 2002-2005)", "2026-11-26T00:00:00Z"),
        ("cron(0 0 31 2 ? *)", "2026-11-26T00:00:00Z"),
        ("cron(0 0 ? 2 MON#5 2026-2027)", "2026-11-26T00:00:00Z"),
        ("cron(* * * * ? *)", "2199-12-31T23:59:00Z"),
    ] {
        assert_eq!(next(expression, after, "UTC"), None, "{expression}");
    }
}

#[test]
fn at_the_edges_of_daylight_saving_time_nothing_comes_twice() {
    let all = |expression: &str, zone: &str, from: &str, until: &str| -> Vec<String> {
        let timetable = timetable(expression, json!({"time_zone": zone}));
        let due = due(&timetable, at(from), at(until), CatchUp::All);
        due.iter().map(Timestamp::to_string).collect()
    };
    let berlin = "Europe/Berlin";
    // 02:30 does not exist on 29 March 2026, and comes twice on 25 October.
    assert_eq!(
        all("cron(30 2 * * ? *)", berlin, "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"),
        ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]
    );
    assert_eq!(
        all("cron(30 2 * * ? *)", berlin, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // The hour before, the hour that comes twice, the hour after.
    assert_eq!(
        all("cron(0/30 1-3 25 10 ? *)", berlin, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
        [
            "2026-10-24T23:00:00Z",
            "2026-10-24T23:30:00Z",
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z"
        ]
    );
    // Asked within the hour that comes again, what it repeats is not told again.
    assert_eq!(
        next("cron(30 2 * * ? *)", "2026-10-25T01:10:00Z", berlin).as_deref(),
        Some("2026-10-26 02:30 Mon")
    );
    // Lord Howe's clocks move by half an hour.
    assert_eq!(
        all(
            "cron(15 2 4 10 ? 2026)",
            "Australia/Lord_Howe",
            "2026-10-01T00:00:00Z",
            "2026-10-09T00:00:00Z"
        ),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_no_schedule_is_refused_with_what_is_wrong() {
    for (text, part) in [
        ("", "it must be rate(…), cron(…) or at(…)"),
        ("every day", "it must be rate"),
        ("rate(5 minutes", "it must be rate"),
        (" rate(5 minutes)", "it must be rate"),
        ("RATE(5 minutes)", "it must be rate"),
        ("rate()", "a number and a unit"),
        ("rate(1)", "a number and a unit"),
        ("rate(0 minutes)", "a whole number above 0"),
        ("rate(-1 minutes)", "a whole number above 0"),
        ("rate(+5 minutes)", "a whole number above 0"),
        ("rate(1.5 hours)", "a whole number above 0"),
        ("rate(1 minutes)", "without an `s` for 1"),
        ("rate(2 minute)", "with an `s` beyond 1"),
        ("rate(5 seconds)", "no unit `seconds`"),
        ("rate(5 weeks)", "no unit `weeks`"),
        ("rate(5  minutes)", "no unit ` minutes`"),
        ("rate(99999999999 days)", "too long"),
        ("cron()", "six fields, not 0"),
        ("cron(* * * * *)", "six fields, not 5"),
        ("cron(0 * * * * ? *)", "six fields, not 7"),
        ("cron(* * * * * *)", "one of its two day fields must be `?`"),
        ("cron(* * 1 * MON *)", "one of its two day fields must be `?`"),
        ("cron(* * ? * ? *)", "must say which days"),
        ("cron(? * * * ? *)", "`?` is not a number from 0 to 59"),
        ("cron(60 * * * ? *)", "`60` is not a number from 0 to 59"),
        ("cron(* 24 * * ? *)", "`24` is not a number from 0 to 23"),
        ("cron(* * 0 * ? *)", "`0` is not a number from 1 to 31"),
        ("cron(* * 32 * ? *)", "`32` is not a number from 1 to 31"),
        ("cron(* * 32W * ? *)", "`32` is not a number from 1 to 31"),
        ("cron(* * * 13 ? *)", "`13` is not a number from 1 to 12"),
        ("cron(* * * FOO ? *)", "`FOO` is not a number from 1 to 12"),
        ("cron(* * ? * 8 *)", "`8` is not a number from 1 to 7"),
        ("cron(* * ? * 0 *)", "`0` is not a number from 1 to 7"),
        ("cron(* * ? * MON#6 *)", "`6` is not a number from 1 to 5"),
        ("cron(* * ? * 3#1,6#3 *)", "a `#` stands alone"),
        ("cron(* * * * ? 1969)", "`1969` is not a number from 1970 to 2199"),
        ("cron(* * * * ? 2200)", "`2200` is not a number from 1970 to 2199"),
        ("cron(5-1 * * * ? *)", "the range `5-1` runs backwards"),
        ("cron(*/0 * * * ? *)", "`0` is not a number from 1 to 59"),
        ("cron(1,,2 * * * ? *)", "`` is not a number"),
        ("cron(1--2 * * * ? *)", "`-2` is not a number"),
        ("cron(L * * * ? *)", "`L` is not a number"),
        ("at(tomorrow)", "not a date and time"),
        ("at(2026-11-26)", "not a date and time"),
        ("at(2026-11-26 08:00:00)", "not a date and time"),
        ("at(2026-11-26T08:00)", "not a date and time"),
        ("at(2026-11-26T08:00:00Z)", "not a date and time"),
        ("at(2026-02-29T08:00:00)", "not a date and time"),
    ] {
        let wrong = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(wrong.contains(part), "{text}: {wrong}");
    }
}

#[test]
fn a_schedule_keeps_to_its_start_and_end() {
    let (start, end) = ("2026-11-26T08:10:00Z", "2026-11-26T09:00:00Z");
    let bounds = json!({"start": start, "end": end});
    let rate = timetable("rate(20 minutes)", bounds.clone());
    let told = |timetable: &Timetable, last: &str, now: &str| -> Vec<String> {
        let due = due(timetable, at(last), at(now), CatchUp::All);
        due.iter().map(Timestamp::to_string).collect()
    };
    let expected = ["2026-11-26T08:10:00Z", "2026-11-26T08:30:00Z", "2026-11-26T08:50:00Z"];
    assert_eq!(told(&rate, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), expected);
    assert_eq!(rate.next_after(at("2026-11-26T08:31:00Z")), Some(at("2026-11-26T08:50:00Z")));
    assert_eq!(rate.next_after(at("2026-11-26T08:50:00Z")), None);
    let cron = timetable("cron(10,0 * * * ? *)", bounds);
    let expected = ["2026-11-26T08:10:00Z", "2026-11-26T09:00:00Z"];
    assert_eq!(told(&cron, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), expected);
}

#[test]
fn what_was_missed_is_caught_up_with_as_the_policy_says() {
    let minutely = timetable("rate(1 minute)", json!({}));
    let yearly = timetable("cron(0 0 1 1 ? *)", json!({}));
    let window = timetable("cron(0 0 1 1 ? *)", json!({"flexible_window_minutes": 30}));
    let once = timetable("at(2026-06-01T00:00:00)", json!({}));
    let (last, now) = ("2026-01-01T00:00:00Z", "2027-01-01T00:10:30Z");
    for (timetable, policy, last, expected) in [
        (&minutely, CatchUp::Latest, last, vec!["2027-01-01T00:10:00Z"]),
        (&minutely, CatchUp::Skip, last, vec!["2027-01-01T00:10:00Z"]),
        (&minutely, CatchUp::Latest, "2027-01-01T00:10:00Z", vec![]),
        // Without a start, a rate counts from the last.
        (&minutely, CatchUp::Latest, "2027-01-01T00:09:31Z", vec![]),
        (&minutely, CatchUp::Latest, "2027-01-01T00:09:30Z", vec!["2027-01-01T00:10:30Z"]),
        (&yearly, CatchUp::Latest, last, vec!["2027-01-01T00:00:00Z"]),
        (&yearly, CatchUp::Skip, last, vec![]),
        (&window, CatchUp::Skip, last, vec!["2027-01-01T00:00:00Z"]),
        (
            &yearly,
            CatchUp::All,
            "2024-06-01T00:00:00Z",
            vec!["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
        ),
        (&once, CatchUp::Latest, last, vec!["2026-06-01T00:00:00Z"]),
        (&once, CatchUp::All, "2026-06-01T00:00:00Z", vec![]),
        // The clock went backwards.
        (&minutely, CatchUp::All, "2028-01-01T00:00:00Z", vec![]),
        (&minutely, CatchUp::Latest, "2028-01-01T00:00:00Z", vec![]),
    ] {
        let expected: Vec<Timestamp> = expected.into_iter().map(at).collect();
        let schedule = &timetable.schedule;
        assert_eq!(due(timetable, at(last), at(now), policy), expected, "{schedule} {policy:?}");
    }
}

#[test]
fn what_was_missed_is_told_in_pieces_up_to_a_bound() {
    let minutely = timetable("rate(1 minute)", json!({}));
    let (mut last, now) = (at("2026-11-26T00:00:00Z"), at("2026-11-26T04:10:00Z"));
    let mut pieces = Vec::new();
    loop {
        let due = due(&minutely, last, now, CatchUp::All);
        let Some(latest) = due.last() else { break };
        last = *latest;
        pieces.push(due.len());
    }
    assert_eq!(pieces, [MAX_DUE, MAX_DUE, 50]);
    assert_eq!(last, now);
}

#[test]
fn a_window_spreads_beginnings_the_same_way_each_time() {
    let spread = timetable("rate(1 hour)", json!({"flexible_window_minutes": 10}));
    let exact = timetable("rate(1 hour)", json!({}));
    let moments =
        (0..200).map(|hour| at("2026-11-26T00:00:00Z") + SignedDuration::from_hours(hour));
    let waits: Vec<i64> = moments
        .map(|moment| {
            assert_eq!(exact.begins(moment, 7), moment);
            let begins = spread.begins(moment, 7);
            assert_eq!(begins, spread.begins(moment, 7));
            begins.duration_since(moment).as_secs()
        })
        .collect();
    assert!(waits.iter().all(|wait| (0..600).contains(wait)));
    assert!(waits.iter().any(|wait| *wait < 60) && waits.iter().any(|wait| *wait >= 540));
    let first = at("2026-11-26T00:00:00Z");
    assert_ne!(spread.begins(first, 7), spread.begins(first, 8));
}

#[test]
fn a_project_file_has_defaults_and_is_read_strictly() {
    let read = |spec: Value| serde_json::from_value::<ScheduleSpec>(spec);
    let spec = read(json!({"expression": "rate(1 hour)"})).unwrap();
    assert_eq!(
        (spec.time_zone.as_str(), spec.catch_up, spec.overlap),
        ("UTC", CatchUp::Latest, Overlap::Skip)
    );
    assert!(read(json!({"expression": "rate(1 hour)", "timezone": "UTC"})).is_err());
    assert!(read(json!({})).is_err());
    let wrong = read(json!({
        "expression": "rate(1 hours)", "time_zone": "Europe/Atlantis",
        "start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z",
        "flexible_window_minutes": 1_441,
    }));
    let wrong = wrong.unwrap().compile().unwrap_err();
    let told: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`rate(1 hours)` is no schedule expression: the unit is written without an `s` for 1",
            "there is no time zone `Europe/Atlantis`",
            "the schedule ends at 2026-01-01T00:00:00Z, before its start at 2026-02-01T00:00:00Z",
            "`flexible_window_minutes` is at most 1440, not 1441",
        ]
    );
}

/// Which days an expression means, told apart from how it is read.
#[derive(Debug, Clone)]
enum Days {
    Every,
    OfMonth(Vec<i8>),
    LastOfMonth,
    OfWeek(i8, i8),
    LastOfWeek(i8),
    Nth(i8, i8),
}

impl Days {
    fn fields(&self) -> (String, String) {
        let any = "?".to_owned();
        match self {
            Self::Every => ("*".to_owned(), any),
            Self::OfMonth(days) => (list(days), any),
            Self::LastOfMonth => ("L".to_owned(), any),
            Self::OfWeek(first, last) => (any, format!("{first}-{last}")),
            Self::LastOfWeek(day) => (any, format!("{day}L")),
            Self::Nth(day, nth) => (any, format!("{day}#{nth}")),
        }
    }

    fn hold(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_one_offset();
        let last = date.last_of_month();
        match self {
            Self::Every => true,
            Self::OfMonth(days) => days.contains(&date.day()),
            Self::LastOfMonth => date == last,
            Self::OfWeek(first, last) => (*first..=*last).contains(&weekday),
            Self::LastOfWeek(day) => weekday == *day && last.day() - date.day() < 7,
            Self::Nth(day, nth) => weekday == *day && (date.day() + 6) / 7 == *nth,
        }
    }
}

fn list(numbers: &[i8]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn days() -> impl Strategy<Value = Days> {
    prop_oneof![
        Just(Days::Every),
        prop::collection::vec(24_i8..=31, 1..4).prop_map(Days::OfMonth),
        Just(Days::LastOfMonth),
        (1_i8..=7, 1_i8..=7).prop_map(|(a, b)| Days::OfWeek(a.min(b), a.max(b))),
        (1_i8..=7).prop_map(Days::LastOfWeek),
        (1_i8..=7, 1_i8..=5).prop_map(|(day, nth)| Days::Nth(day, nth)),
    ]
}

proptest! {
    #[test]
    fn reading_never_fails_otherwise_than_with_an_error(
        text in "(cron|rate|at)?\\(?[-0-9*?/#,LWSATMON: ]{0,40}\\)?|\\PC{0,40}",
    ) {
        let _read = text.parse::<Schedule>();
    }

    #[test]
    fn the_next_times_are_those_that_a_scan_of_every_minute_finds(
        minutes in prop::collection::vec(0_i8..60, 1..4), hours in prop::collection::vec(0_i8..5, 1..4),
        days in days(), edge in prop::sample::select(vec![
            ("Europe/Berlin", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "2026-10-25T01:00:00Z"),
            ("America/New_York", "2026-11-01T06:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
            ("America/Santiago", "2026-09-06T04:00:00Z"),
            ("UTC", "2028-02-29T00:00:00Z"),
        ]),
        before in 0_i64..172_800,
    ) {
        let (zone, edge) = (TimeZone::get(edge.0).unwrap(), at(edge.1));
        let (month_days, week_days) = days.fields();
        let text = format!("cron({} {} {month_days} * {week_days} *)", list(&minutes), list(&hours));
        let schedule: Schedule = text.parse().unwrap();
        let from = edge - SignedDuration::from_secs(before);
        let until = edge + SignedDuration::from_hours(40);
        let fits = |moment: &Timestamp| {
            let local: DateTime = zone.to_datetime(*moment);
            minutes.contains(&local.minute()) && hours.contains(&local.hour()) && days.hold(local.date())
                // Not the second of two.
                && zone.to_ambiguous_timestamp(local).earlier().unwrap() == *moment
        };
        let whole = from.as_second().div_euclid(60) + 1;
        let scanned: Vec<Timestamp> = (whole..=until.as_second() / 60)
            .map(|minute| Timestamp::from_second(minute * 60).unwrap())
            .filter(fits)
            .collect();
        let next = |moment: &Timestamp| schedule.next_after(*moment, &zone);
        let found: Vec<Timestamp> =
            std::iter::successors(next(&from), next).take_while(|moment| *moment <= until).collect();
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(found, scanned, "{}", text);
    }

    #[test]
    fn the_latest_is_the_last_of_all(
        step in 5_u8..30, hour in 0_u8..24, last in 0_i64..200_000, passed in 0_i64..200_000,
    ) {
        let timetable = timetable(&format!("cron(0/{step} {hour} * * ? *)"), json!({"time_zone": "Europe/Berlin"}));
        let last = at("2026-03-27T00:00:00Z") + SignedDuration::from_secs(last);
        let now = last + SignedDuration::from_secs(passed);
        let all = due(&timetable, last, now, CatchUp::All);
        prop_assert_eq!(due(&timetable, last, now, CatchUp::Latest), all.last().copied().into_iter().collect::<Vec<_>>());
    }
}
