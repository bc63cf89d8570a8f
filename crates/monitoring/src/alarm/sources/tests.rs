//! What a query gives, as numbers.

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};

use super::*;

fn read(columns: Vec<(&str, ArrayRef)>) -> Result<BTreeMap<String, Option<f64>>, String> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    numbers(&[batch])
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

#[test]
fn a_single_number_has_no_name_and_others_have() {
    let one: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    assert_eq!(read(vec![("n", one)]), Ok([(String::new(), Some(7.0))].into()));
    let none: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN), Some(1.5)]));
    let named = read(vec![
        ("app", texts(&[Some("a"), Some("b"), None])),
        ("model", texts(&[Some("x"), Some("x"), Some("y")])),
        ("n", none),
    ]);
    let expected = [("a, x", None), ("b, x", None), ("-, y", Some(1.5))];
    assert_eq!(named, Ok(expected.map(|(name, value)| (name.to_owned(), value)).into()));
    let empty: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    assert_eq!(read(vec![("n", empty)]), Ok(BTreeMap::new()));
}

#[test]
fn what_is_no_number_or_not_one_is_told() {
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    assert!(read(vec![("n", Arc::clone(&two))]).unwrap_err().contains("several numbers"));
    let twice = read(vec![("app", texts(&[Some("a"), Some("a")])), ("n", two)]);
    assert!(twice.unwrap_err().contains("`a`"));
}
