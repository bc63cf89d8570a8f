//! A deterministic value that satisfies a JSON Schema: what the model "fills in".

use serde_json::{Map, Value, json};

/// Deeper than this, only what is required is filled in, and `$ref` cycles end.
const DEPTH_LIMIT: usize = 12;

/// An example of `schema`: the first `enum` value or alternative, every property, one item per
/// array, `example NAME` for a string in the property NAME. Patterns are not honoured.
pub(super) fn example(schema: &Value) -> Value {
    Place { root: schema, depth: 0 }.example(schema, "value")
}

#[derive(Clone, Copy)]
struct Place<'a> {
    root: &'a Value,
    depth: usize,
}

impl Place<'_> {
    fn example(self, schema: &Value, name: &str) -> Value {
        let inner = Self { depth: self.depth + 1, ..self };
        if self.depth > 2 * DEPTH_LIMIT {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const").or_else(|| schema.get("default")) {
            return fixed.clone();
        }
        if let Some(first) = schema.pointer("/enum/0") {
            return first.clone();
        }
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
            let target = pointer.strip_prefix('#').and_then(|path| self.root.pointer(path));
            return target.map_or(Value::Null, |target| inner.example(target, name));
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(alternatives) = schema.get(keyword).and_then(Value::as_array) {
                let scalar =
                    alternatives.iter().find(|one| self.depth > DEPTH_LIMIT && is_null(one));
                if let Some(chosen) = scalar.or(alternatives.first()) {
                    return inner.example(chosen, name);
                }
            }
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return inner.all_of(parts, name);
        }
        match kind(schema) {
            "object" => inner.object(schema),
            "array" => inner.array(schema, name),
            "string" => Value::String(string(schema, name)),
            "integer" => json!(number(schema).ceil() as i64),
            "number" => json!(number(schema)),
            "boolean" => Value::Bool(true),
            _ => Value::Null,
        }
    }

    fn object(self, schema: &Value) -> Value {
        let required = |name: &String| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)))
        };
        let mut object = Map::new();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                if self.depth <= DEPTH_LIMIT || required(name) {
                    object.insert(name.clone(), self.example(property, name));
                }
            }
        }
        Value::Object(object)
    }

    fn array(self, schema: &Value, name: &str) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(100);
        let wanted = if self.depth <= DEPTH_LIMIT { least.max(1) } else { least };
        let Some(items) = schema.get("items") else { return json!([]) };
        (0..wanted).map(|_| self.example(items, name)).collect()
    }

    fn all_of(self, parts: &[Value], name: &str) -> Value {
        let mut whole = Value::Null;
        for part in parts {
            match (&mut whole, self.example(part, name)) {
                (Value::Object(whole), Value::Object(part)) => whole.extend(part),
                (whole @ Value::Null, part) => *whole = part,
                _ => {}
            }
        }
        whole
    }
}

/// The schema's type; of several the first. Without one, what its keywords suggest.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        Some(_) => "null",
        None => "string",
    }
}

fn is_null(schema: &Value) -> bool {
    kind(schema) == "null"
}

fn string(schema: &Value, name: &str) -> String {
    let bound = |keyword: &str| {
        let bound = schema.get(keyword).and_then(Value::as_u64)?;
        usize::try_from(bound.min(10_000)).ok()
    };
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-01-01".to_owned(),
        Some("time") => "12:00:00Z".to_owned(),
        Some("date-time") => "2026-01-01T12:00:00Z".to_owned(),
        Some("email") => "someone@example.com".to_owned(),
        Some("uri") => "https://example.com/".to_owned(),
        Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
        _ => format!("example {name}"),
    };
    let text: String = text.chars().take(bound("maxLength").unwrap_or(usize::MAX)).collect();
    let missing = bound("minLength").unwrap_or(0).saturating_sub(text.chars().count());
    text + &"x".repeat(missing)
}

/// One, moved into the schema's bounds.
fn number(schema: &Value) -> f64 {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let mut number: f64 = 1.0;
    if let Some(most) = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - 1.0)) {
        number = number.min(most);
    }
    if let Some(least) = bound("minimum").or(bound("exclusiveMinimum").map(|least| least + 1.0)) {
        number = number.max(least);
    }
    number
}

#[cfg(test)]
mod tests;
