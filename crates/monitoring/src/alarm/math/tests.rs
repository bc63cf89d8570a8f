//! Expressions, and what they give.

use super::*;

fn series(text: &str) -> Series {
    text.split_whitespace().map(|number| number.parse().ok()).collect()
}

fn evaluate(text: &str) -> Result<Value, MathError> {
    let known = [("m1", "1 2 - 4"), ("m2", "10 - 30 40"), ("zero", "0 1 0 1"), ("e1", "5 5 5 5")];
    let known = known.map(|(id, text)| (id.to_owned(), series(text)));
    let metrics = ["m1", "m2", "zero"].map(str::to_owned);
    let environment =
        Environment { length: 4, period: 60, series: &known.into(), metrics: &metrics };
    Expression::parse(text)?.evaluate(&environment)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let shown = |series: &Series| {
        let number =
            |number: &Option<f64>| number.map_or("-".to_owned(), crate::alarm::evaluate::number);
        series.iter().map(number).collect::<Vec<_>>().join(" ")
    };
    let told = match evaluate(text).unwrap() {
        Value::Scalar(number) => format!("= {}", shown(&vec![number])),
        Value::Series(series) => shown(&series),
        Value::List(list) => list.iter().map(shown).collect::<Vec<_>>().join(" | "),
        Value::Band { of, width } => format!("band {of} {width}"),
    };
    assert_eq!(told, expected, "{text}");
}

#[test]
fn missing_stays_missing() {
    check("m1 + m2", "11 - - 44");
    check("m2 / m1 * 100", "1000 - - 1000");
    check("m1 / zero", "- 2 - 4");
    check("-m1 ^ 2", "-1 -4 - -16");
    check("2 + 3 * 4 - 10 / 5", "= 12");
    check("(2 + 3) * 4", "= 20");
    check("2 ^ 3 ^ 2", "= 512");
    check("1e3 + .5", "= 1000.5");
    check("1 / 0", "= -");
}

#[test]
fn conditions_are_one_and_zero() {
    check("m1 >= 2", "0 1 - 1");
    check("m1 > 1 AND zero", "0 1 - 1");
    check("m1 == 1 || zero == 1", "1 1 - 1");
    check("IF(zero, m1, 7)", "7 2 7 4");
    check("IF(m1 > 1, m1)", "- 2 - 4");
    check("IF(1 < 2, 3, 4)", "= 3");
}

#[test]
fn series_are_joined() {
    check("SUM(METRICS())", "11 3 30 45");
    check("AVG([m1, m2])", "5.5 2 30 22");
    check("MAX(METRICS(\"m\"))", "10 2 30 40");
    check("MIN(METRICS())", "0 1 0 1");
    check("SUM(m1)", "= 7");
    check("AVG(m1)", "= 2.33333");
    check("m1 / SUM(m1) * 7", "1 2 - 4");
    check("DATAPOINT_COUNT(METRICS())", "3 2 2 3");
    check("METRICS() * 2", "2 4 - 8 | 20 - 60 80 | 0 2 0 2");
    check("STDDEV(m2)", "= 12.4722");
}

#[test]
fn gaps_are_filled_as_it_is_said() {
    check("FILL(m1, 0)", "1 2 0 4");
    check("FILL(m1, REPEAT)", "1 2 2 4");
    check("FILL(m2, LINEAR)", "10 20 30 40");
    check("FILL(m1, e1)", "1 2 5 4");
    check("SUM(FILL(METRICS(\"m\"), 0))", "11 2 30 44");
}

#[test]
fn changes_are_from_the_number_before() {
    check("RATE(m1)", "- 0.0166667 - 0.0166667");
    check("DIFF(m1)", "- 1 - 2");
    check("DIFF_TIME(m1)", "- 60 - 120");
    check("RUNNING_SUM(m1)", "1 3 - 7");
    check("m1 / PERIOD(m1)", "0.0166667 0.0333333 - 0.0666667");
    check("ABS(0 - m1)", "1 2 - 4");
    check("CEIL(m1 / 2) + FLOOR(m1 / 2)", "1 2 - 4");
    check("ANOMALY_DETECTION_BAND(m1, 3)", "band m1 3");
    check("TIME_SERIES(3)", "3 3 3 3");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let told = [
        "m1 +",
        "m1 + m9",
        "m1 m2",
        "SUMM(m1)",
        "IF(m1)",
        "(m1",
        "m1 + \"a\"",
        "METRICS(m1)",
        "METRICS() / METRICS()",
        "1.2.3",
        "\"a",
        "RATE(5)",
        "ANOMALY_DETECTION_BAND(5)",
        "ANOMALY_DETECTION_BAND(m1) + 1",
        "ANOMALY_DETECTION_BAND(m1, 0)",
        "m1 $ 2",
        "",
    ];
    let told = told.map(|text| format!("{text:32} {}", evaluate(text).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
    assert!(evaluate(&"(".repeat(1_000)).unwrap_err().message.contains("nested"));
    assert!(evaluate(&"-".repeat(1_000)).unwrap_err().message.contains("nested"));
    assert!(evaluate(&"1^".repeat(400)).unwrap_err().message.contains("nested"));
    assert!(evaluate(&"1+".repeat(2_000)).unwrap_err().message.contains("characters"));
}

#[test]
fn names_are_what_must_be_there() {
    let expression = Expression::parse("FILL(m1, REPEAT) + IF(m2, 1)").unwrap();
    assert_eq!(expression.names(), [("m1", 6), ("m2", 23)].into());
}
