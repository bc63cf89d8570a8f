//! Files of alarms, ours and AWS's.

use serde_json::json;

use super::*;

fn read(text: &str) -> AlarmFile {
    let value: Value = toml::from_str(text).unwrap();
    AlarmFile::from_value(value).unwrap()
}

fn wrong(text: &str) -> String {
    let told: Vec<_> = read(text).compile().unwrap_err().iter().map(ToString::to_string).collect();
    told.join("\n")
}

const LATENCY: &str = r#"
    metric = "groundcrew.request.duration"
    statistic = "p95"
    dimensions = { app = "support", environment = "prod" }
    comparison_operator = "GreaterThanThreshold"
    threshold = 2
    evaluation_periods = 5
    datapoints_to_alarm = 3
    treat_missing_data = "notBreaching"
    evaluate_low_sample_count_percentile = "ignore"
    [[actions]]
    kind = "slack"
    connection = "team"
"#;

#[test]
fn a_metric_alarm_is_read() {
    let file = read(LATENCY);
    let alarm = file.compile().unwrap();
    let Watch::Metrics(watched, judge) = &alarm.watch else { panic!() };
    assert_eq!(alarm.period, 60);
    assert_eq!((judge.periods, judge.to_alarm, judge.missing), (5, 3, Missing::NotBreaching));
    assert_eq!(judge.samples.map(f64::round), Some(200.0));
    assert_eq!(watched.inputs[0].1.statistic.to_string(), "p95");
    assert!(file.actions[0].tells(State::Alarm) && !file.actions[0].tells(State::InsufficientData));
}

#[test]
fn an_expression_is_judged_and_others_are_in_order() {
    let file = read(
        r#"
        comparison_operator = "GreaterThanThreshold"
        threshold = 5
        [[metrics]]
        id = "rate"
        expression = "share * 100"
        [[metrics]]
        id = "share"
        expression = "errors / requests"
        return_data = false
        [[metrics]]
        id = "errors"
        metric = "groundcrew.errors"
        statistic = "Sum"
        [[metrics]]
        id = "requests"
        metric = "groundcrew.requests"
        statistic = "Sum"
        "#,
    );
    let Watch::Metrics(watched, _) = file.compile().unwrap().watch else { panic!() };
    let ids: Vec<_> = watched.expressions.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!((ids.as_slice(), watched.returned.as_str()), (&["share", "rate"][..], "rate"));
    let inputs = [("errors", vec![Some(1.0), None]), ("requests", vec![Some(20.0), Some(10.0)])];
    let inputs = inputs.map(|(id, series)| (id.to_owned(), series)).into();
    assert_eq!(watched.judged(inputs, (2, 60)), Ok(vec![Some(5.0), None]));
}

#[test]
fn a_band_is_a_table_or_an_expression() {
    let table =
        read("metric = \"m\"\nevaluation_periods = 2\n[band]\nwidth = 3\n").compile().unwrap();
    let Watch::Metrics(watched, judge) = table.watch else { panic!() };
    assert_eq!(watched.band.map(|band| band.width), Some(3.0));
    assert_eq!(judge.comparison, Comparison::LessThanLowerOrGreaterThanUpperThreshold);
    let file = read(
        r#"
        comparison_operator = "GreaterThanUpperThreshold"
        [[metrics]]
        id = "m1"
        metric = "groundcrew.cost"
        [[metrics]]
        id = "ad1"
        expression = "ANOMALY_DETECTION_BAND(m1, 2.5)"
        "#,
    );
    let Watch::Metrics(watched, judge) = file.compile().unwrap().watch else { panic!() };
    assert_eq!((watched.returned.as_str(), watched.band.unwrap().width), ("m1", 2.5));
    assert_eq!((watched.expressions.len(), judge.threshold), (0, None));
}

#[test]
fn mistakes_are_told_all_at_once() {
    let all = [
        "",
        "metric = \"m\"\nquery = \"SELECT 1\"\n",
        "metric = \"m\"\n",
        "metric = \"m\"\nstatistic = \"Mean\"\nperiod = 15\ncomparison_operator = \"GreaterThanThreshold\"\nthreshold = 1\nevaluation_periods = 2\ndatapoints_to_alarm = 3\n",
        "metric = \"m\"\ncomparison_operator = \"GreaterThanUpperThreshold\"\nthreshold = 1\n",
        "metric = \"m\"\ncomparison_operator = \"GreaterThanThreshold\"\n[band]\nwidth = 0\n",
        "rule = \"ALARM(a\"\nthreshold = 1\n",
        "metric = \"m\"\nperiod = 3600\nevaluation_periods = 200\ncomparison_operator = \"LessThanThreshold\"\nthreshold = 1\n",
        "comparison_operator = \"LessThanThreshold\"\nthreshold = 1\n[[metrics]]\nid = \"M\"\nmetric = \"m\"\n[[metrics]]\nid = \"a\"\n[[metrics]]\nid = \"a\"\nexpression = \"1 +\"\n",
        "comparison_operator = \"LessThanThreshold\"\nthreshold = 1\n[[metrics]]\nid = \"m1\"\nmetric = \"m\"\n[[metrics]]\nid = \"a\"\nexpression = \"b + m1\"\n[[metrics]]\nid = \"b\"\nexpression = \"a + m1\"\n",
        "comparison_operator = \"LessThanThreshold\"\nthreshold = 1\n[[metrics]]\nid = \"m1\"\nmetric = \"m\"\n[[metrics]]\nid = \"a\"\nexpression = \"m2 + m1\"\n[[metrics]]\nid = \"b\"\nexpression = \"METRICS()\"\n",
        "comparison_operator = \"LessThanThreshold\"\nthreshold = 1\n[[metrics]]\nid = \"m1\"\nmetric = \"m\"\n[[metrics]]\nid = \"m2\"\nmetric = \"m\"\nperiod = 300\n",
        "comparison_operator = \"LessThanThreshold\"\nthreshold = 1\n[[metrics]]\nid = \"m1\"\nmetric = \"m\"\n[[metrics]]\nid = \"m2\"\nmetric = \"m\"\n",
        "metric = \"m\"\ncomparison_operator = \"LessThanThreshold\"\nthreshold = 1\n[[actions]]\nkind = \"email\"\nto = [\"ada\"]\n",
    ];
    insta::assert_snapshot!(all.map(|text| format!("{text}--\n{}", wrong(text))).join("\n\n"));
}

#[test]
fn awss_forms_are_the_same_alarm() {
    let given = json!({
        "AlarmName": "latency",
        "AlarmDescription": "slow",
        "Namespace": "Groundcrew",
        "MetricName": "groundcrew.request.duration",
        "ExtendedStatistic": "p95",
        "Dimensions": [{"Name": "app", "Value": "support"}],
        "Period": 60,
        "EvaluationPeriods": 5,
        "DatapointsToAlarm": 3,
        "Threshold": 2.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "EvaluateLowSampleCountPercentile": "ignore",
        "ActionsEnabled": true,
        "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:team"],
        "OKActions": [],
        "StateValue": "OK"
    });
    let ours = read(
        r#"
        description = "slow"
        metric = "groundcrew.request.duration"
        statistic = "p95"
        dimensions = { app = "support" }
        period = 60
        comparison_operator = "GreaterThanThreshold"
        threshold = 2
        evaluation_periods = 5
        datapoints_to_alarm = 3
        treat_missing_data = "notBreaching"
        evaluate_low_sample_count_percentile = "ignore"
        "#,
    );
    assert_eq!(AlarmFile::from_value(given.clone()).unwrap(), ours);
    assert_eq!(AlarmFile::from_value(json!({"MetricAlarms": [given]})).unwrap(), ours);
    let terraform = r#"
        alarm_name = "latency"
        alarm_description = "slow"
        metric_name = "groundcrew.request.duration"
        namespace = "Groundcrew"
        extended_statistic = "p95"
        dimensions = { app = "support" }
        period = 60
        comparison_operator = "GreaterThanThreshold"
        threshold = 2
        evaluation_periods = 5
        datapoints_to_alarm = 3
        treat_missing_data = "notBreaching"
        evaluate_low_sample_count_percentiles = "ignore"
    "#;
    assert_eq!(read(terraform), ours);
    assert_eq!(read(&format!("[alarm]\n{terraform}")), ours);
}

#[test]
fn awss_metric_math_and_composites_are_read() {
    let math = json!({
        "AlarmName": "errors", "EvaluationPeriods": 1, "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "Metrics": [
            {"Id": "e1", "Expression": "m2 / m1 * 100", "Label": "share", "ReturnData": true},
            {"Id": "m1", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "G",
                "MetricName": "groundcrew.requests", "Dimensions": [{"Name": "app", "Value": "s"}]},
                "Period": 300, "Stat": "Sum", "Unit": "Count"}},
            {"Id": "m2", "ReturnData": false, "MetricStat": {"Metric": {"MetricName": "groundcrew.errors"},
                "Period": 300, "Stat": "Sum"}}
        ]
    });
    let alarm = AlarmFile::from_value(math).unwrap().compile().unwrap();
    let Watch::Metrics(watched, _) = &alarm.watch else { panic!() };
    assert_eq!((alarm.period, watched.returned.as_str()), (300, "e1"));
    assert_eq!(watched.inputs[0].1.dimensions, [("app".to_owned(), "s".to_owned())].into());
    let composite = json!({
        "AlarmName": "bad", "AlarmRule": "ALARM(errors)",
        "ActionsSuppressor": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:rollout",
        "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 120
    });
    let alarm = AlarmFile::from_value(composite).unwrap().compile().unwrap();
    let Watch::Composite(_, Some(suppressor)) = alarm.watch else { panic!() };
    assert_eq!(
        (suppressor.alarm.as_str(), suppressor.wait_seconds, suppressor.extension_seconds),
        ("rollout", 60, 120)
    );
}

#[test]
fn unknown_keys_are_told() {
    let error = AlarmFile::from_value(json!({"metrik": "m"})).unwrap_err().to_string();
    assert!(error.contains("metrik"), "{error}");
    let error =
        AlarmFile::from_value(json!({"MetricName": "m", "Colour": 1})).unwrap_err().to_string();
    assert!(error.contains("colour"), "{error}");
}
