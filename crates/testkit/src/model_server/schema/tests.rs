use super::*;

#[test]
fn every_property_is_filled_in_by_its_type() {
    let schema = json!({
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 2.5},
            "ratio": {"type": "number", "exclusiveMaximum": 1},
            "tags": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 2},
            "when": {"type": "string", "format": "date"},
            "exact": {"const": 7},
            "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "code": {"type": "string", "minLength": 14, "maxLength": 20},
            "place": {"$ref": "#/$defs/place"}
        },
        "$defs": {"place": {"properties": {"x": {"type": "number"}}}}
    });
    let expected = json!({
        "city": "example city",
        "unit": "celsius",
        "days": 3,
        "ratio": 0.0,
        "tags": ["example tags", "example tags"],
        "when": "2026-01-01",
        "exact": 7,
        "maybe": true,
        "code": "example codexx",
        "place": {"x": 1.0}
    });
    assert_eq!(example(&schema), expected);
}

#[test]
fn a_schema_that_contains_itself_ends() {
    let schema = json!({
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"]
    });
    let text = example(&schema).to_string();
    assert!(text.ends_with("null}}}}}") || text.contains("null"), "{text}");
    assert!(text.len() < 1_000);
}
