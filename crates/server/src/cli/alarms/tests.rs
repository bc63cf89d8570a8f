//! What a simulation tells.

use super::*;

#[test]
fn a_simulation_tells_each_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alarm.toml");
    fs::write(
        &file,
        "metric = \"m\"\ncomparison_operator = \"GreaterThanThreshold\"\nthreshold = 5\n\
         evaluation_periods = 2\n",
    )
    .unwrap();
    let alarm = alarm(&file).unwrap();
    let told = simulate(&alarm, &json!([1, 6, null, 7, 1]), Beginning::default()).unwrap();
    insta::assert_snapshot!(evaluations(&told));
}

#[test]
fn mistakes_are_told_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alarm.toml");
    let told = |text: &str| {
        fs::write(&file, text).unwrap();
        let told = alarm(&file).unwrap_err().to_string();
        told.replace(&file.display().to_string(), "alarm.toml")
    };
    let good = "comparison_operator = \"GreaterThanThreshold\"\nthreshold = 5\n";
    let all = [
        told("metric = \n"),
        told("metrik = \"m\"\n"),
        told("metric = \"m\"\ncomparison_operator = \"GreaterThan\"\nthreshold = \"5\"\n"),
        told(&format!("{good}metric = \"m\"\nperiod = 7\nevaluation_periods = 0\n")),
        told(&format!("{good}[[metrics]]\nid = \"m1\"\nexpression = \"m2 +\"\n")),
        told("MetricName = \"m\"\nThreshold = 5\n"),
        told("{\"MetricName\": 5}"),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}
