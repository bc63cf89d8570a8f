use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, MapBuilder, StringArray,
    StringBuilder, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::Int64Type;

use super::*;

const MINUTE: i64 = 60_000_000_000;
/// 2026-11-27T05:00:00Z.
const START: i64 = 1_795_755_600_000_000_000;

fn results(columns: Vec<(&str, ArrayRef)>) -> Results {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Results::new(batch.schema(), vec![batch])
}

fn times(minutes: &[i64]) -> ArrayRef {
    let times = minutes.iter().map(|minute| START + minute * MINUTE);
    Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))
}

fn mixed() -> Results {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("http.route");
    map.values().append_value("/ask");
    map.append(true).unwrap();
    map.append(false).unwrap();
    let lists = [Some(vec![Some(1), None]), None];
    results(vec![
        ("timestamp", times(&[0, 1])),
        ("body", Arc::new(StringArray::from(vec![Some("say \"hi\",\nworld 世界"), None]))),
        ("tokens", Arc::new(Int64Array::from(vec![Some(120), None]))),
        ("cost", Arc::new(Float64Array::from(vec![0.25, 3.0]))),
        ("cached", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ("attributes", Arc::new(map.finish())),
    ])
}

#[test]
fn rows_are_told_as_a_table_and_cut_to_the_width() {
    insta::assert_snapshot!(mixed().table(120));
}

#[test]
fn a_narrow_terminal_gets_lists() {
    insta::assert_snapshot!(mixed().table(50));
}

#[test]
fn rows_are_told_as_json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&mixed().json()).unwrap());
}

#[test]
fn rows_are_told_as_csv() {
    insta::assert_snapshot!(mixed().csv());
}

#[test]
fn arrow_comes_back_as_it_was() {
    let written = mixed();
    let read = Results::read(&written.arrow().unwrap()).unwrap();
    assert_eq!(read.batches, written.batches);
    assert_eq!(read.columns(), written.columns());
    assert!(Results::read(b"").is_err());
}

#[test]
fn infinite_numbers_are_missing() {
    let infinite = results(vec![("x", Arc::new(Float64Array::from(vec![1.0 / 0.0, f64::NAN])))]);
    assert_eq!(serde_json::to_string(&infinite.json()).unwrap(), r#"[{"x":null},{"x":null}]"#);
}

#[test]
fn numbers_over_time_are_a_chart_with_its_gaps() {
    let minutes: Vec<_> = (0..30).filter(|minute| !(10..14).contains(minute)).collect();
    let values = minutes.iter().map(|minute| (minute * minute) as f64);
    let plotted = results(vec![
        ("bin(1m)", times(&minutes)),
        ("count(*)", Arc::new(Float64Array::from_iter_values(values))),
    ]);
    insta::assert_snapshot!(plotted.plot(72, 8).unwrap());
}

#[test]
fn more_points_than_columns_are_averaged() {
    let minutes: Vec<_> = (0..1_000).collect();
    let values = minutes.iter().map(|minute| 50.0 * (*minute as f64 / 80.0).sin());
    let plotted = results(vec![
        ("time", times(&minutes)),
        ("latency", Arc::new(Float64Array::from_iter_values(values))),
    ]);
    insta::assert_snapshot!(plotted.plot(72, 8).unwrap());
}

#[test]
fn each_label_has_a_chart_of_its_own() {
    let plotted = results(vec![
        ("time", times(&[0, 1, 2, 0, 1, 2])),
        ("model", Arc::new(StringArray::from(vec!["a", "a", "a", "b", "b", "b"]))),
        ("errors", Arc::new(Int64Array::from(vec![1, 2, 3, 3_000, 0, 1_500]))),
    ]);
    insta::assert_snapshot!(plotted.plot(60, 8).unwrap());
}

#[test]
fn categories_are_bars() {
    let plotted = results(vec![
        ("model", Arc::new(StringArray::from(vec![Some("gpt"), Some("claude, the long"), None]))),
        ("env", Arc::new(StringArray::from(vec!["prod", "prod", "dev"]))),
        ("count(*)", Arc::new(Int64Array::from(vec![1_234, 617, 0]))),
    ]);
    insta::assert_snapshot!(plotted.plot(60, 8).unwrap());
}

#[test]
fn without_numbers_or_rows_there_is_no_plot() {
    let texts = results(vec![("a", Arc::new(StringArray::from(vec!["x"])))]);
    assert_eq!(texts.plot(60, 8), Err(NoPlot));
    let empty = results(vec![("a", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(empty.plot(60, 8), Err(NoPlot));
    assert_eq!(empty.table(60), "no rows");
}

proptest::proptest! {
    /// Whatever the size, nothing is wider than asked for where that is possible, or panics.
    #[test]
    fn plots_and_tables_take_any_size(
        width in 0_usize..200,
        height in 0_usize..40,
        points in proptest::collection::vec((0_i64..10_000, -1e12_f64..1e12), 1..60),
    ) {
        let minutes: Vec<_> = points.iter().map(|(minute, _)| *minute).collect();
        let values = points.iter().map(|(_, value)| *value);
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        let plotted = results(vec![("time", times(&minutes)), ("value", numbers.clone())]);
        for line in plotted.plot(width, height).unwrap().lines().skip(1) {
            proptest::prop_assert!(line.chars().count() <= width.max(30), "{line}");
        }
        let table = plotted.table(width);
        proptest::prop_assert!(table.lines().all(|line| line.chars().count() <= width.max(40)));
        results(vec![("value", numbers)]).plot(width, height).unwrap();
    }
}
