use release::Draw;
use serde_json::{Map, Value, json};

use super::Intrinsic;
use crate::path::Scope;
use crate::weight::Allowance;

fn value(call: &str) -> Result<Value, String> {
    let input =
        json!({"name": "Foo", "list": [1, 2, 3, 4], "o": {"Id": 1, "Name": "x"}, "n": null});
    let (context, variables) = (json!({"Execution": {"Name": "run"}}), Map::new());
    let allowance = Allowance::default();
    let scope =
        Scope { input: &input, context: &context, variables: &variables, allowance: &allowance };
    let call = Intrinsic::parse(call)?;
    call.evaluate(scope, &mut Draw::seeded(1)).map_err(|error| format!("{error:?}"))
}

#[test]
fn every_function_has_its_value() {
    for (call, expected) in [
        ("States.Format('Hi {}, {}', $.name, 7)", json!("Hi Foo, 7")),
        ("States.Format('\\{\\} \\'{}\\'', $.o)", json!("{} '{Id=1, Name=x}'")),
        ("States.Format('{}{}', $.n, true)", json!("nulltrue")),
        ("States.Format('{}', $.list)", json!("[1, 2, 3, 4]")),
        ("States.Format($$.Execution.Name)", json!("run")),
        ("States.StringToJson('\\{\"a\": \"\\\"b\\\"\"\\}')", json!({"a": "\"b\""})),
        ("States.Base64Decode(States.Base64Encode('it\\'s'))", json!("it's")),
        ("States.MathAdd(1.5, -1.5)", json!(1)),
        ("States.StringToJson('{\"a\": [1]}')", json!({"a": [1]})),
        ("States.JsonToString($.o)", json!("{\"Id\":1,\"Name\":\"x\"}")),
        ("States.Array('a', 1, $.o, null)", json!(["a", 1, {"Id": 1, "Name": "x"}, null])),
        ("States.Array()", json!([])),
        ("States.ArrayPartition($.list, 3)", json!([[1, 2, 3], [4]])),
        ("States.ArrayContains($.list, 3)", json!(true)),
        ("States.ArrayRange(1, 9, 2)", json!([1, 3, 5, 7, 9])),
        ("States.ArrayRange(3, 1, -1)", json!([3, 2, 1])),
        ("States.ArrayGetItem($.list, 2)", json!(3)),
        ("States.ArrayLength($.list)", json!(4)),
        ("States.ArrayUnique(States.Array(1, 1, 2))", json!([1, 2])),
        ("States.Base64Encode('Data')", json!("RGF0YQ==")),
        ("States.Base64Decode('RGF0YQ==')", json!("Data")),
        ("States.Hash('abc', 'SHA-1')", json!("a9993e364706816aba3e25717850c26c9cd0d89d")),
        (
            "States.JsonMerge($.o, States.StringToJson('{\"Id\":2}'), false)",
            json!({"Id": 2, "Name": "x"}),
        ),
        ("States.MathAdd(111, -1)", json!(110)),
        ("States.StringSplit('1.2,3', '.,')", json!(["1", "2", "3"])),
    ] {
        assert_eq!(value(call), Ok(expected), "{call}");
    }
    assert_eq!(value("States.UUID()").unwrap().as_str().unwrap().len(), 36);
    let drawn = value("States.MathRandom(1, 10)").unwrap().as_i64().unwrap();
    assert!((1..10).contains(&drawn));
    assert_eq!(value("States.MathRandom(1, 999, 5)"), value("States.MathRandom(1, 999, 5)"));
}

#[test]
fn what_is_wrong_is_refused() {
    for call in [
        "States.Nothing()",
        "States.Format('{}')",
        "States.Format('', 1)",
        "States.ArrayRange(0, 5000, 1)",
        "States.ArrayRange(0, 5, 0)",
        "States.ArrayPartition($.list, 0)",
        "States.ArrayGetItem($.list, 4)",
        "States.Format($.missing)",
        "States.JsonMerge($.o, $.o, true)",
        "States.MathAdd(2147483647, 1)",
        "States.Format('open",
        "States.Array(1",
        "States.Array(1) 2",
        "States.Array({})",
    ] {
        assert!(value(call).is_err(), "{call}");
    }
    let nested = |depth| format!("{}1{}", "States.Array(".repeat(depth), ")".repeat(depth));
    assert!(value(&nested(10)).is_ok());
    assert!(value(&nested(11)).is_err());
}
