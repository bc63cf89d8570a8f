use serde_json::{Map, Value, json};

use super::{Path, Scope};
use crate::weight::Allowance;

fn select(path: &str, input: &Value) -> Option<Value> {
    let context = json!({"State": {"Name": "here"}});
    let mut variables = Map::new();
    variables.insert("limit".to_owned(), json!({"price": 9}));
    let path: Path = path.parse().unwrap();
    let allowance = Allowance::default();
    path.select(Scope { input, context: &context, variables: &variables, allowance: &allowance })
        .unwrap()
}

fn shop() -> Value {
    json!({"a-b": {"c d": 1}, "list": [10, 20, 30, 40], "empty": [],
        "books": [{"title": "x", "price": 8, "tags": ["old"]}, {"title": "y", "price": 12}],
        "deep": {"price": 3, "more": [{"price": 4}]}})
}

#[test]
fn definite_paths_give_a_value_or_nothing() {
    for (path, expected) in [
        ("$.a-b['c d']", Some(json!(1))),
        ("$['list'][0]", Some(json!(10))),
        ("$.list[-1]", Some(json!(40))),
        ("$.list[9]", None),
        ("$.none", None),
        ("$.list.length()", Some(json!(4))),
        ("$$.State.Name", Some(json!("here"))),
        ("$limit.price", Some(json!(9))),
        ("$unknown", None),
    ] {
        assert_eq!(select(path, &shop()), expected, "{path}");
    }
    assert_eq!(select("$", &json!(7)), Some(json!(7)));
}

#[test]
fn indefinite_paths_give_arrays_and_a_last_index_unwraps_one_value() {
    for (path, expected) in [
        ("$.list[*]", json!([10, 20, 30, 40])),
        ("$.list[1:3]", json!([20, 30])),
        ("$.list[-2:]", json!([30, 40])),
        ("$.list[:1]", json!([10])),
        ("$.list[0,2]", json!([10, 30])),
        ("$.books[*].title", json!(["x", "y"])),
        ("$.books[?(@.price < 10)].title", json!(["x"])),
        ("$.books[?(@.price < $limit.price)].title", json!(["x"])),
        ("$.books[?(@.tags)].title", json!(["x"])),
        ("$.books[?(!@.tags && @.title == 'y')].title", json!(["y"])),
        ("$.books[?(@.price in [12, 13])].title", json!(["y"])),
        ("$.books[?(@.price > 100)]", json!([])),
        ("$.books[?(@.price > 10)].title[0]", json!([])),
        ("$.books[?(@.tags)].tags[0]", json!("old")),
        ("$..price", json!([8, 12, 3, 4])),
        ("$.empty[*]", json!([])),
    ] {
        assert_eq!(select(path, &shop()), Some(expected), "{path}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for text in ["", "a", "$.", "$.a..", "$[", "$['a", "$[a]", "$.a b", "$[?(@.a]", "$[0:1:0]"] {
        assert!(text.parse::<Path>().is_err(), "{text}");
    }
    let deep = format!("$[?({}@.a{})]", "(".repeat(5_000), ")".repeat(5_000));
    assert!(deep.parse::<Path>().is_err());
}

#[test]
fn reference_paths_put_values_and_make_objects_on_the_way() {
    let put = |path: &str, target: Value| {
        let path: Path = path.parse().unwrap();
        assert!(path.is_reference());
        path.put(target, json!(1))
    };
    assert_eq!(put("$", json!({"a": 2})), Some(json!(1)));
    assert_eq!(put("$.a.b", json!({"c": 2})), Some(json!({"c": 2, "a": {"b": 1}})));
    assert_eq!(put("$.a[1]", json!({"a": [0, 0]})), Some(json!({"a": [0, 1]})));
    assert_eq!(put("$.a[2]", json!({"a": [0, 0]})), None);
    assert_eq!(put("$.a", json!([])), None);
    assert!(!"$.a[*]".parse::<Path>().unwrap().is_reference());
    assert!(!"$$.a".parse::<Path>().unwrap().is_reference());
}
