use proptest::prelude::*;
use release::Draw;

use super::*;
use crate::statistics::{Interval, Scale};

fn json(text: &str) -> Report {
    Analysis::parse_json(text).unwrap().report()
}

fn csv(text: &str) -> Report {
    Analysis::parse_csv(text).unwrap().report()
}

/// What is wrong with a file, in two lines.
#[track_caller]
fn wrong(result: Result<Analysis, InputError>) -> String {
    let error = result.unwrap_err();
    format!("{error}\n{}", error.hint)
}

/// A table of `arm,unit,value` with `count` units for each arm, whose means differ by `shift`.
fn values(count: usize, shift: f64) -> String {
    let mut draw = Draw::seeded(11);
    let mut text = "arm,unit,value\n".to_owned();
    for unit in 0..count {
        text += &format!("control,c{unit},{}\n", draw.unit());
        text += &format!("new,n{unit},{}\n", draw.unit() + shift);
    }
    text
}

#[test]
fn counts_per_arm_win() {
    let report = json(
        r#"{"metric": "resolved", "arms": [
            {"name": "control", "units": 3000, "successes": 1396, "share": 0.5},
            {"name": "new prompt", "units": 3090, "successes": 2162, "share": 0.5}]}"#,
    );
    assert_eq!(report.verdict, Conclusion::Win);
    insta::assert_snapshot!(report, @r#"
resolved: counts per arm, higher is better, alpha 0.05

ARM                  N          MEAN
control           3000        0.4653
new prompt        3090        0.6997

new prompt against control
  difference: 0.2343 (0.197 to 0.2717)
  relative: 50.36 % (39.93 % to 60.79 %)
  test: anytime-valid (AsympCS)
  e-value: 10^71
  p-value: 8.205e-72
  verdict: win, better: the improvement is 0.197 to 0.2717, all of it above 0

split of units: as planned (chi-squared 1.33, p 0.2488)
verdict: win, better: the improvement is 0.197 to 0.2717, all of it above 0
"#);
}

#[test]
fn counts_of_failures_harm() {
    let report = csv("name,units,failures\nold,9000,90\ncontrol,9000,90\nnew,9000,500\n");
    insta::assert_snapshot!(report, @r#"
counts per arm, lower is better, alpha 0.05

ARM               N          MEAN
control        9000          0.01
old            9000          0.01
new            9000       0.05556

old against control
  difference: 0 (-0.004977 to 0.004977)
  relative: 0.00 % (-49.77 % to 49.77 %)
  test: anytime-valid (AsympCS)
  e-value: 0.17
  p-value: 1
  verdict: inconclusive, too little to tell: the improvement is -0.004977 to 0.004977, on both sides of 0

new against control
  difference: 0.04556 (0.03672 to 0.05439)
  relative: 455.56 % (243.92 % to 667.19 %)
  test: anytime-valid (AsympCS)
  e-value: 10^62
  p-value: 3.897e-63
  verdict: harm, worse: the improvement is -0.05439 to -0.03672, all of it below 0

note: the split of units is not checked: no planned shares are given
note: the treatments share alpha: each is judged at 0.025
verdict: inconclusive, old: too little to tell: the improvement is -0.004977 to 0.004977, on both sides of 0
"#);
    assert_eq!(report.comparisons[0].control.name, "control");
    assert_eq!(report.comparisons[1].verdict, Conclusion::Harm);
}

#[test]
fn a_split_that_was_not_planned_is_invalid() {
    let report = json(
        r#"{"arms": [{"name": "a", "units": 600, "successes": 90, "share": 0.5},
                     {"name": "b", "units": 400, "successes": 70, "share": 0.5}]}"#,
    );
    assert_eq!(report.verdict, Conclusion::Invalid);
    assert!(report.reason.contains("2.540e-10"), "{}", report.reason);
    let planned = json(
        r#"{"arms": [{"name": "a", "units": 600, "successes": 90},
                     {"name": "b", "units": 400, "successes": 70}],
            "shares": {"a": 6, "b": 4}}"#,
    );
    assert_eq!(planned.verdict, Conclusion::Inconclusive);
    assert!(planned.split.is_some());
}

#[test]
fn values_per_unit_are_flat_within_a_margin() {
    let mut analysis = Analysis::parse_csv(&values(5_000, 0.0)).unwrap();
    assert_eq!(analysis.report().verdict, Conclusion::Inconclusive);
    analysis.settings.margin = 0.1;
    analysis.settings.scale = Scale::Relative;
    analysis.check().unwrap();
    insta::assert_snapshot!(analysis.report(), @r#"
values per unit, higher is better, alpha 0.05, margin 0.1 of the control's mean

ARM               N          MEAN
control        5000        0.4941
new            5000        0.4918

new against control
  difference: -0.002301 (-0.01996 to 0.01535)
  relative: -0.47 % (-4.03 % to 3.10 %)
  test: anytime-valid (AsympCS)
  e-value: 0.26
  p-value: 1
  verdict: flat, no difference: the improvement is -0.0403 to 0.03099, within ±0.1

note: the split of units is not checked: no planned shares are given
verdict: flat, no difference: the improvement is -0.0403 to 0.03099, within ±0.1
"#);
}

#[test]
fn values_per_unit_win_in_json_too() {
    let rows: Vec<String> = (0..200)
        .map(|unit| {
            let arm = if unit % 2 == 0 { "control" } else { "new" };
            let value = f64::from(unit % 7) + if unit % 2 == 0 { 0.0 } else { 5.0 };
            format!(r#"{{"arm": "{arm}", "unit": {unit}, "value": {value}}}"#)
        })
        .collect();
    let rows = rows.join(",");
    assert_eq!(json(&format!(r#"{{"rows": [{rows}]}}"#)).verdict, Conclusion::Win);
    let lower = format!(r#"{{"direction": "lower_is_better", "rows": [{rows}]}}"#);
    assert_eq!(json(&lower).verdict, Conclusion::Harm);
}

#[test]
fn two_samples_are_told_apart_by_ranks() {
    let report = json(
        r#"{"control": [1.15, 0.88, 0.90, 0.74, 1.21],
            "treatment": [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]}"#,
    );
    assert_eq!(report.verdict, Conclusion::Inconclusive);
    insta::assert_snapshot!(report, @r#"
two samples, higher is better, alpha 0.05

ARM                 N          MEAN
control             5         0.976
treatment          10         1.313

treatment against control
  difference: 0.337 (0.041 to 0.641)
  relative: 34.53 %
  test: Mann-Whitney, two-sided
  p-value: 0.2544
  W of the treatment: 35
  Cohen's d: 0.8797
  chance that a treatment value is greater: 0.7
  verdict: inconclusive, too little to tell: p 0.2544 of the test is above 0.05

verdict: inconclusive, too little to tell: p 0.2544 of the test is above 0.05
"#);
    let apart =
        csv("arm,value\nb,1\nb,2\nb,3\nb,4\nb,5\ncontrol,11\ncontrol,12\ncontrol,13\ncontrol,14\n");
    assert_eq!(apart.verdict, Conclusion::Harm);
}

#[test]
fn outcomes_in_pairs_win() {
    let mut text = "case,before,after\n".to_owned();
    for case in 0..100 {
        let (before, after) = (case % 2 == 0, case % 5 != 0 || case % 2 == 0);
        text += &format!("{case},{before},{after}\n");
    }
    let report = csv(&text);
    assert_eq!(report.verdict, Conclusion::Win);
    insta::assert_snapshot!(report, @r#"
outcomes in pairs, higher is better, alpha 0.05

ARM              N          MEAN
before         100           0.5
after          100           0.9

after against before
  difference: 0.4 (0.2784 to 0.5061)
  relative: 80.00 %
  test: McNemar, exact
  p-value: 1.819e-12
  cases lost: 0
  cases gained: 40
  verdict: win, better: the improvement is 0.2784 to 0.5061, all of it above 0

verdict: win, better: the improvement is 0.2784 to 0.5061, all of it above 0
"#);
}

#[test]
fn scores_in_pairs_win_and_a_few_say_nothing() {
    let pairs: Vec<String> = (0..60)
        .map(|case| format!("[0.{}, 0.{}]", case % 7 + 2, case % 7 + 2 + case * 3 % 2))
        .collect();
    let pairs = pairs.join(",");
    let report = json(&format!(r#"{{"margin": 0.02, "pairs": [{pairs}]}}"#));
    insta::assert_snapshot!(report, @r#"
scores in pairs, higher is better, alpha 0.05, margin 0.02 absolute

ARM              N          MEAN
before          60          0.49
after           60          0.54

after against before
  difference: 0.05 (0.03667 to 0.06333)
  relative: 10.20 %
  test: bootstrap by case
  verdict: win, better: the improvement is 0.03667 to 0.06333, all of it above 0

verdict: win, better: the improvement is 0.03667 to 0.06333, all of it above 0
"#);
    let few = json(r#"{"margin": 0.02, "pairs": [[0.2, 0.9], [0.3, 0.9], [0.1, 0.8]]}"#);
    assert_eq!(few.verdict, Conclusion::Inconclusive);
    insta::assert_snapshot!(few.reason, @"too little to tell: fewer than 20 cases");
}

#[test]
fn outcomes_in_pairs_do_no_harm_within_a_margin() {
    let pair = |case: usize| match case {
        0..20 => "[0, 1]",
        20..30 => "[1, 0]",
        _ => "[true, true]",
    };
    let pairs: Vec<&str> = (0..1_000).map(pair).collect();
    let pairs = pairs.join(",");
    let of = |margin: f64| json(&format!(r#"{{"margin": {margin}, "pairs": [{pairs}]}}"#)).verdict;
    assert_eq!(of(0.0), Conclusion::Inconclusive);
    assert_eq!(of(0.02), Conclusion::NoHarm);
    assert_eq!(of(0.1), Conclusion::Flat);
}

#[test]
fn repeats_of_a_case_are_one_case() {
    let text = r#"{"pairs": [["a", 0, 1], ["a", 1, 1], ["b", 0, 0],
                   {"case": "b", "before": 1, "after": 1}]}"#;
    let Data::Scores(cases) = Analysis::parse_json(text).unwrap().data else {
        panic!("repeated outcomes are averaged");
    };
    assert_eq!(cases.len(), 2);
    assert_eq!((cases[0].before, cases[0].after), (0.5, 1.0));
}

#[test]
fn a_report_is_json_too() {
    let report = json(
        r#"{"arms": [{"name": "a", "units": 0, "successes": 0},
                     {"name": "b", "units": 4, "successes": 4}]}"#,
    );
    insta::assert_snapshot!(serde_json::to_string(&report).unwrap(), @"{\"shape\":\"counts per arm\",\"metric\":null,\"direction\":\"higher_is_better\",\"alpha\":0.05,\"margin\":0.0,\"scale\":\"absolute\",\"comparisons\":[{\"control\":{\"name\":\"a\",\"n\":0,\"mean\":0.0},\"treatment\":{\"name\":\"b\",\"n\":4,\"mean\":1.0},\"absolute\":null,\"relative\":null,\"test\":null,\"ln_e\":null,\"p\":null,\"figures\":[],\"verdict\":\"inconclusive\",\"reason\":\"too little to tell: fewer than 30 units in an arm\"}],\"split\":null,\"notes\":[\"the split of units is not checked: no planned shares are given\"],\"verdict\":\"inconclusive\",\"reason\":\"too little to tell: fewer than 30 units in an arm\"}");
}

#[test]
fn what_never_varies_is_inconclusive() {
    let clean = "name,units,failures\ncontrol,100,0\nnew,100,0\n";
    assert_eq!(csv(clean).verdict, Conclusion::Inconclusive);
    let rows: String = (0..80).map(|unit| format!("{},{unit},3\n", unit % 2)).collect();
    let report = csv(&format!("arm,unit,value\n{rows}"));
    assert_eq!(report.verdict, Conclusion::Inconclusive);
    assert!(report.reason.contains("all units of an arm are equal"), "{}", report.reason);
}

#[test]
fn each_verdict_is_an_interval_and_a_margin() {
    let of = |lower, upper, margin| Conclusion::of(Interval { lower, upper }, margin);
    assert_eq!(of(0.01, 0.05, 0.02), Conclusion::Win);
    assert_eq!(of(-0.05, -0.01, 0.0), Conclusion::Harm);
    assert_eq!(of(-0.05, -0.03, 0.02), Conclusion::Harm);
    assert_eq!(of(-0.05, -0.01, 0.02), Conclusion::Inconclusive);
    assert_eq!(of(-0.01, 0.01, 0.02), Conclusion::Flat);
    assert_eq!(of(-0.01, 0.05, 0.02), Conclusion::NoHarm);
    assert_eq!(of(-0.01, 0.05, 0.0), Conclusion::Inconclusive);
    assert_eq!(of(f64::NAN, f64::NAN, 0.02), Conclusion::Inconclusive);
}

#[test]
fn equal_arms_that_are_looked_at_again_and_again_rarely_differ() {
    for (rate, share) in [(0.1, 0.03), (0.03, 0.1), (0.5, 0.01), (0.5, 0.5)] {
        let differs = |seed: &u64| {
            let mut draw = Draw::seeded(*seed);
            let mut arms = ["control", "new"].map(|name| ArmCount {
                name: name.to_owned(),
                units: 0,
                count: 0,
            });
            (0..6_000).any(|unit| {
                let arm = &mut arms[usize::from(draw.unit() < share)];
                arm.units += 1;
                arm.count += u64::from(draw.unit() < rate);
                let data = || Data::Counts { counted: Counted::Failures, arms: arms.to_vec() };
                unit % 100 == 99
                    && matches!(
                        analyse(&data(), &Settings::default()).verdict,
                        Conclusion::Win | Conclusion::Harm
                    )
            })
        };
        let wrong = (0..500).filter(differs).count();
        assert!(wrong <= 25, "{wrong} of 500 at rate {rate} and share {share}");
    }
}

#[test]
fn many_rows_are_read() {
    let mut text = "arm,unit,value\n".to_owned();
    for unit in 0..100_000_u32 {
        text +=
            &format!("{},{unit},{}\n", if unit % 2 == 0 { "control" } else { "new" }, unit % 10);
    }
    let report = csv(&text);
    assert_eq!(report.comparisons[0].control.n, 50_000);
}

#[test]
fn bad_json_is_told_with_place_and_remedy() {
    let of = |text: &str| wrong(Analysis::parse_json(text));
    insta::assert_snapshot!(of(""), @r#"
line 1, column 0: EOF while parsing a value
it must be JSON: no comments, no NaN, no commas at the end
"#);
    insta::assert_snapshot!(of("{}"), @r#"
the file: it has no results
give one of `arms`, `rows`, `control` with `treatment`, and `pairs`; docs/analysing-experiments.md has examples
"#);
    insta::assert_snapshot!(of(r#"{"arms": [], "pairs": []}"#), @r#"
the file: it has `arms`, `pairs` at once
give one of `arms`, `rows`, `control` with `treatment`, and `pairs`; docs/analysing-experiments.md has examples
"#);
    insta::assert_snapshot!(of(r#"{"arms": []}"#), @r#"
`arms`: there is no arm
an experiment compares at least two arms, one of them the control
"#);
    insta::assert_snapshot!(of(r#"{"arsm": []}"#), @r#"
line 1, column 7: unknown field `arsm`, expected one of `arms`, `rows`, `control`, `treatment`, `pairs`, `metric`, `alpha`, `direction`, `margin`, `scale`, `shares`, `n_star`, `seed`
docs/analysing-experiments.md has the keys and an example of each shape
"#);
    insta::assert_snapshot!(of(r#"{"control": [1, NaN], "treatment": [1]}"#), @r#"
line 1, column 17: expected value
it must be JSON: no comments, no NaN, no commas at the end
"#);
    insta::assert_snapshot!(of(r#"{"control": [1, 1e999], "treatment": [1]}"#), @r#"
line 1, column 21: number out of range
it must be JSON: no comments, no NaN, no commas at the end
"#);
    insta::assert_snapshot!(of(r#"{"control": [1, 1e300], "treatment": [1]}"#), @r#"
`control[1]`: 1e300 is no usable number
give a finite number up to 1e100, or leave the row out and say how many were
"#);
    insta::assert_snapshot!(of(r#"{"control": [], "treatment": [1]}"#), @r#"
`control`: the sample is empty
give at least two values for each of both samples
"#);
    insta::assert_snapshot!(of(r#"{"control": [1]}"#), @r#"
the file: `treatment` is missing
give one of `arms`, `rows`, `control` with `treatment`, and `pairs`; docs/analysing-experiments.md has examples
"#);
    insta::assert_snapshot!(of(r#"{"pairs": []}"#), @r#"
`pairs`: there are no pairs
give at least one case, before and after
"#);
    insta::assert_snapshot!(of(r#"{"pairs": [[1, 0], [1]]}"#), @r#"
line 1, column 23: expected a pair: [before, after], or `case`, `before` and `after`, each score a number, true or false
docs/analysing-experiments.md has the keys and an example of each shape
"#);
    insta::assert_snapshot!(of(r#"{"pairs": [[0.5, 0.7], [true, 0.1]]}"#), @r#"
`pairs[1].before`: an outcome stands among scores
write all as true and false, or all as numbers
"#);
    insta::assert_snapshot!(of(r#"{"rows": [["a", "u", 1], ["b", "u", 2]]}"#), @r#"
`rows[1]`: the unit `u` was there already, at `rows[0]`
a unit belongs to one arm: leave out those that saw both
"#);
    insta::assert_snapshot!(of(r#"{"rows": [["a", "u", 1], ["a", "u", 2]]}"#), @r#"
`rows[1]`: the unit `u` was there already, at `rows[0]`
give one value for each unit: sum up or average what belongs to it first
"#);
    insta::assert_snapshot!(of(r#"{"rows": [["a", "u", 1]]}"#), @r#"
`rows`: there is only one arm
an experiment compares at least two arms, one of them the control
"#);
}

#[test]
fn bad_counts_are_told_with_place_and_remedy() {
    let of = |first: &str, second: &str, rest: &str| {
        let text = format!(r#"{{"arms": [{{"name": "a", {first}}}, {{{second}}}]{rest}}}"#);
        wrong(Analysis::parse_json(&text))
    };
    let good = r#""units": 10, "successes": 5"#;
    let b = |rest: &str| format!(r#""name": "b", {rest}"#);
    insta::assert_snapshot!(of(good, &b(r#""units": -10, "successes": 5"#), ""), @r#"
line 1, column 80: invalid value: integer `-10`, expected a whole number, 0 or more
docs/analysing-experiments.md has the keys and an example of each shape
"#);
    insta::assert_snapshot!(of(good, &b(r#""units": 10, "successes": 12"#), ""), @r#"
`arms[1].successes`: 12 successes of 10 units
count units, not requests: each at most once
"#);
    insta::assert_snapshot!(of(good, &b(r#""units": 10, "failures": 2"#), ""), @r#"
`arms[1]`: it must have `successes` or `failures`, the same as the first arm
count the same in each arm, and one of both only
"#);
    insta::assert_snapshot!(of(good, &format!(r#""name": "a", {good}"#), ""), @r#"
`arms[1]`: the arm `a` is there twice
add its counts up
"#);
    insta::assert_snapshot!(of(good, &format!(r#""name": " ", {good}"#), ""), @r#"
`arms[1].name`: the name is empty
give it a name
"#);
    insta::assert_snapshot!(of(good, &b(&format!(r#"{good}, "share": 0.5"#)), ""), @r#"
`arms[0].share`: the share is missing
give the planned share of each arm, above 0, or of none
"#);
    insta::assert_snapshot!(of(good, &b(good), r#", "shares": {"a": 1, "c": 1}"#), @r#"
`shares`: there is no arm `c`
give a share for each of the arms: a, b
"#);
    insta::assert_snapshot!(of(good, &b(good), r#", "shares": {"a": 1, "b": 0}"#), @r#"
`shares.b`: the share is 0
give it above 0
"#);
    insta::assert_snapshot!(of(good, &b(good), r#", "alpha": 1.5"#), @r#"
`alpha`: `alpha` is 1.5, but must be between 0 and 0.5
leave it out for 0.05
"#);
    insta::assert_snapshot!(of(good, &b(good), r#", "margin": -1"#), @r#"
`margin`: the margin is -1
give a number, 0 or more
"#);
    insta::assert_snapshot!(of(good, &b(good), r#", "direction": "lower_is_better""#), @r#"
`direction`: the direction contradicts what was counted
leave it out: more successes are better, more failures are worse; count the other of both if it is the other way
"#);
}

#[test]
fn bad_tables_are_told_with_line_and_remedy() {
    let of = |text: &str| wrong(Analysis::parse_csv(text));
    insta::assert_snapshot!(of(""), @r#"
the file: it is empty
the columns must be `case,before,after`, `arm,unit,value`, `arm,value`, `name,units,successes` or `name,units,failures`, the last two perhaps with `share`; docs/analysing-experiments.md has examples
"#);
    insta::assert_snapshot!(of("arm,unit,value\n"), @r#"
the file: it has no rows
give at least one row below the names of the columns
"#);
    insta::assert_snapshot!(of("arm,unit,valeu\na,u,1\n"), @r#"
line 1: the columns are `arm`, `unit`, `valeu`
the columns must be `case,before,after`, `arm,unit,value`, `arm,value`, `name,units,successes` or `name,units,failures`, the last two perhaps with `share`; docs/analysing-experiments.md has examples
"#);
    insta::assert_snapshot!(of("arm,unit,value\na,u,1\nb,v\n"), @r#"
line 3: 2 fields, where 3 are named
give a field for each column, and quote fields that hold a comma
"#);
    insta::assert_snapshot!(of("arm,unit,value\na,u,1\n\nb,v,NaN\n"), @r#"
line 4, column `value`: NaN is no usable number
give a finite number up to 1e100, or leave the row out and say how many were
"#);
    insta::assert_snapshot!(of("arm,unit,value\na,u,1\nb,v,-inf\n"), @r#"
line 3, column `value`: -inf is no usable number
give a finite number up to 1e100, or leave the row out and say how many were
"#);
    insta::assert_snapshot!(of("arm,unit,value\na,u,1\nb,v,much\n"), @r#"
line 3, column `value`: the field is no number
give a number, with a point
"#);
    insta::assert_snapshot!(of("arm,unit,value\na,u,1\nb,u,2\n"), @r#"
line 3: the unit `u` was there already, at line 2
a unit belongs to one arm: leave out those that saw both
"#);
    insta::assert_snapshot!(of("arm,value\na,1\nb,2\nc,3\n"), @r#"
line 4, column `arm`: `c` is a third arm
two samples have two arms; with more give `arm,unit,value`
"#);
    insta::assert_snapshot!(of("arm,value\na,1\na,2\n"), @r#"
the table: there is only one arm
two samples have two arms, one of them the control
"#);
    insta::assert_snapshot!(of("name,units,failures\na,10,-1\nb,10,1\n"), @r#"
line 2, column `failures`: the field is no count
give a whole number, 0 or more
"#);
    insta::assert_snapshot!(of("name,units,failures\na,10,11\nb,10,1\n"), @r#"
line 2, column `failures`: 11 failures of 10 units
count units, not requests: each at most once
"#);
    insta::assert_snapshot!(of("case,before,after\n1,yes,no\n"), @r#"
line 2, column `before`: the field is no score
give a number, true or false
"#);
    insta::assert_snapshot!(of("arm,arm,value\na,u,1\n"), @r#"
line 1: the columns are `arm`, `arm`, `value`
the columns must be `case,before,after`, `arm,unit,value`, `arm,value`, `name,units,successes` or `name,units,failures`, the last two perhaps with `share`; docs/analysing-experiments.md has examples
"#);
}

#[test]
fn a_table_may_have_a_mark_other_case_spaces_and_other_line_ends() {
    let report =
        csv("\u{feff}Name, Units ,Failures\r\ncontrol, 1000, 20\r\n\"new, bold\",1000,30\r\n");
    assert_eq!(report.comparisons[0].treatment.name, "new, bold");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _read = Analysis::parse_json(&text).map(|analysis| analysis.report().to_string());
        let _read = Analysis::parse_csv(&text).map(|analysis| analysis.report().to_string());
    }

    #[test]
    fn any_counts_make_a_report(
        counts in prop::collection::vec((0_u64..=u64::MAX, 0.0..=1.0_f64), 2..5),
    ) {
        let mut text = "name,units,successes\n".to_owned();
        for (arm, (units, part)) in counts.iter().enumerate() {
            let successes = ((*units as f64 * part) as u64).min(*units);
            text += &format!("{arm},{units},{successes}\n");
        }
        let report = csv(&text);
        prop_assert_eq!(report.comparisons.len(), counts.len() - 1);
        prop_assert!(!report.to_string().contains("NaN"), "{}", report);
    }

    #[test]
    fn any_pairs_make_a_report(
        pairs in prop::collection::vec((-1e100..1e100_f64, -1e100..1e100_f64), 1..30),
    ) {
        let mut text = "case,before,after\n".to_owned();
        for (case, (before, after)) in pairs.iter().enumerate() {
            text += &format!("{case},{before},{after}\n");
        }
        let report = csv(&text);
        prop_assert!(!report.to_string().contains("NaN"), "{}", report);
    }
}
