use release::Draw;
use serde_json::{Map, Value, json};

use super::{Language, Template, View};
use crate::weight::Allowance;

fn evaluate(template: &Value, language: Language) -> Result<Value, String> {
    let input = json!({"a": {"b": 1}, "list": [1, 2]});
    let states = json!({"input": input, "context": {}});
    let mut variables = Map::new();
    variables.insert("limit".to_owned(), json!(7));
    let mut view = View {
        input: &input,
        context: &json!({"State": {"Name": "S"}}),
        variables: &variables,
        states: &states,
        now: release::Timestamp::UNIX_EPOCH,
        draw: &mut Draw::seeded(1),
        allowance: Allowance::default(),
    };
    let template = Template::parse(template, language, "").map_err(|wrong| format!("{wrong:?}"))?;
    template.evaluate(&mut view, "Output").map_err(|error| error.cause)
}

#[test]
fn fields_with_a_dollar_are_computed_at_any_depth() {
    let template = json!({"x.$": "$.a.b", "deep": [{"y.$": "States.MathAdd($.a.b, $limit)"}],
        "plain": "$.a", "name.$": "$$.State.Name"});
    let expected = json!({"x": 1, "deep": [{"y": 8}], "plain": "$.a", "name": "S"});
    assert_eq!(evaluate(&template, Language::JsonPath), Ok(expected));
}

#[test]
fn marked_strings_are_expressions_and_others_are_not() {
    let template =
        json!({"x": "{% $states.input.a.b + $limit %}", "y": [" {% 1 %}", "{% [1..3] %}"]});
    let expected = json!({"x": 8, "y": [" {% 1 %}", [1, 2, 3]]});
    assert_eq!(evaluate(&template, Language::Jsonata), Ok(expected));
}

#[test]
fn errors_name_the_path_and_the_field() {
    let wrong = evaluate(&json!({"x.$": "$.none"}), Language::JsonPath).unwrap_err();
    assert!(wrong.starts_with("The JSONPath '$.none' specified for the field 'x.$'"), "{wrong}");
    let wrong = evaluate(&json!({"x": {"y": "{% $none %}"}}), Language::Jsonata).unwrap_err();
    assert!(wrong.contains("the field 'Output/x/y' returned nothing"), "{wrong}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let template = json!({"a.$": "b", "c": {"d.$": 1}, "e.$": "States.None()"});
    let wrong = Template::parse(&template, Language::JsonPath, "/P").unwrap_err();
    let places: Vec<_> = wrong.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(places, ["/P/a.$", "/P/c/d.$", "/P/e.$"]);
}
