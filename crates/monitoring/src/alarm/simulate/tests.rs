//! Given datapoints, replayed.

use serde_json::json;

use super::*;
use crate::alarm::spec::AlarmFile;

fn alarm(text: &str) -> Alarm {
    let value: Value = toml::from_str(text).unwrap();
    AlarmFile::from_value(value).unwrap().compile().unwrap()
}

const THREE: &str = "metric = \"m\"\nstatistic = \"Sum\"\ncomparison_operator = \"GreaterThanThreshold\"\n\
                     threshold = 5\nevaluation_periods = 3\n";

fn states(alarm: &Alarm, datapoints: &Value) -> String {
    let told = simulate(alarm, datapoints, Beginning::default()).unwrap();
    let letter = |evaluation: &Evaluation| match evaluation.state {
        State::Ok => 'O',
        State::Alarm => 'A',
        State::InsufficientData => 'I',
    };
    told.iter().map(letter).collect()
}

fn fault(alarm: &Alarm, datapoints: &Value) -> String {
    simulate(alarm, datapoints, Beginning::default()).unwrap_err().to_string()
}

#[test]
fn each_period_is_an_evaluation() {
    let alarm = alarm(THREE);
    assert_eq!(states(&alarm, &json!([1, 6, 7, 8, 1, null, null, null, null, null])), "OOOAOOOOOI");
    assert_eq!(states(&alarm, &json!([])), "");
}

#[test]
fn all_forms_are_the_same_datapoints() {
    let alarm = alarm(THREE);
    let forms = [
        json!([6, null, 7, 8]),
        json!([{"value": 6}, {"value": null}, {"value": 7, "samples": 3}, {"value": 8}]),
        json!([
            {"timestamp": "2026-01-01T00:03:10Z", "value": 8},
            {"timestamp": "2026-01-01T00:00:00Z", "value": 6},
            {"timestamp": "2026-01-01T00:02:59Z", "value": 7}
        ]),
        json!([[1767225600, 6], [1767225720, 3], [1767225721, 4], [1767225780000_i64, 8]]),
        json!({"m1": [6, null, 7, 8]}),
        json!({"datapoints": ["6", "-", "7", "8"]}),
        json!({"Label": "m", "Datapoints": [
            {"Timestamp": "2026-01-01T00:00:00Z", "Sum": 6.0, "SampleCount": 2.0, "Unit": "None"},
            {"Timestamp": "2026-01-01T00:02:00+00:00", "Sum": 7.0},
            {"Timestamp": "2026-01-01T00:03:00Z", "Sum": 8.0}
        ]}),
        json!({"MetricDataResults": [{"Id": "m1", "Label": "m", "StatusCode": "Complete",
            "Timestamps": ["2026-01-01T00:03:00Z", "2026-01-01T00:02:00Z", "2026-01-01T00:00:00Z"],
            "Values": [8, 7, 6]}], "Messages": []}),
    ];
    let first = simulate(&alarm, &forms[0], Beginning::default()).unwrap();
    for form in &forms {
        assert_eq!(simulate(&alarm, form, Beginning::default()).unwrap(), first, "{form}");
    }
    insta::assert_json_snapshot!(first);
}

#[test]
fn expressions_have_a_list_for_each_metric() {
    let alarm = alarm(
        "comparison_operator = \"GreaterThanThreshold\"\nthreshold = 10\n\
         [[metrics]]\nid = \"all\"\nmetric = \"r\"\nstatistic = \"Sum\"\n\
         [[metrics]]\nid = \"bad\"\nmetric = \"e\"\nstatistic = \"Sum\"\n\
         [[metrics]]\nid = \"share\"\nexpression = \"FILL(bad, 0) / all * 100\"\n",
    );
    let given = json!({"all": [10, 10, 10, 0, null], "bad": [null, 1, 2, 0, null]});
    assert_eq!(states(&alarm, &given), "OOAAA");
    assert!(fault(&alarm, &json!([1, 2])).contains("`all`, `bad`"));
    assert!(fault(&alarm, &json!({"worse": [1]})).contains("no metric `worse`"));
}

#[test]
fn samples_of_a_percentile_count() {
    let alarm = alarm(
        "metric = \"m\"\nstatistic = \"p90\"\ncomparison_operator = \"GreaterThanThreshold\"\nthreshold = 5\n\
         evaluate_low_sample_count_percentile = \"ignore\"\n",
    );
    let given = json!([{"value": 1, "samples": 100}, {"value": 9, "samples": 99}, {"value": 9, "samples": 100}]);
    assert_eq!(states(&alarm, &given), "OOA");
}

#[test]
fn a_band_is_learned_on_the_way() {
    let alarm = alarm("metric = \"m\"\n[band]\nwidth = 3\n");
    let mut values: Vec<f64> = (0..100).map(|index| f64::from(index % 7)).collect();
    values[80] = 100.0;
    let told = states(&alarm, &json!(values));
    assert!(told.starts_with("IIIIIIII"), "{told}");
    assert_eq!(told.match_indices('A').map(|(at, _)| at).collect::<Vec<_>>(), [80], "{told}");
}

#[test]
fn several_series_of_a_query_are_judged_by_themselves() {
    let alarm = alarm(
        "query = \"SELECT 1\"\ncomparison_operator = \"GreaterThanThreshold\"\nthreshold = 5\ntreat_missing_data = \"breaching\"\n",
    );
    let given = json!([
        {"label": "a", "datapoints": [1, 9, null, null, null]},
        {"label": "b", "datapoints": [1, 1, 1, 1, 1]}
    ]);
    assert_eq!(states(&alarm, &given), "OAAAO");
    assert_eq!(states(&alarm, &json!([1, 9, null, null, null])), "OAAAA");
}

#[test]
fn a_rule_is_over_the_states_of_others() {
    let alarm = alarm(
        "rule = \"ALARM(errors) AND NOT ALARM(rollout)\"\n\
         [suppressor]\nalarm = \"night\"\nwait_seconds = 60\nextension_seconds = 120\n",
    );
    let given = json!({
        "errors": ["OK", "ALARM", "ALARM", "ALARM", "ALARM", "ALARM", "OK"],
        "rollout": ["OK", null, null],
        "night": ["OK", "OK", "ALARM", "OK", "OK", "OK", "OK"]
    });
    let told = simulate(&alarm, &given, Beginning::default()).unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|it| format!("{} {} {}", it.state, it.reason, it.held.as_deref().unwrap_or("-")))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(fault(&alarm, &json!({"other": []})).contains("`other`"));
    assert!(fault(&alarm, &json!({"errors": ["BAD"]})).contains("BAD"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let alarm = alarm(THREE);
    let all = [
        json!(5),
        json!([1, true]),
        json!([{"timestamp": "yesterday", "value": 1}]),
        json!([{"timestamp": 0, "value": 1}, {"value": 2}]),
        json!([{"v": 1}]),
        json!({"m1": 5}),
        json!([1, "x"]),
        json!([{"timestamp": 0, "value": 1}, {"timestamp": 1e10, "value": 1}]),
        json!({"MetricDataResults": [{"Id": "m1", "Timestamps": [], "Values": [1]}]}),
    ];
    insta::assert_snapshot!(all.map(|given| fault(&alarm, &given)).join("\n"));
}
