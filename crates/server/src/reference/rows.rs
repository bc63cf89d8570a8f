//! The keys of a schema, as rows of a table.

use serde_json::{Map, Value};

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The key, dotted; `NAME` stands for a name of the user's, `[]` for each item of a list.
    pub key: String,
    /// What it must be.
    pub kind: String,
    /// What it is where it is absent.
    pub default: String,
    /// What it means.
    pub meaning: String,
}

/// The keys of `schema`, in the order of its type.
pub fn rows(schema: &Value) -> Vec<Row> {
    Walk { definitions: &schema["$defs"] }.table(schema, &schema["default"], "")
}

struct Walk<'a> {
    definitions: &'a Value,
}

impl<'a> Walk<'a> {
    /// The rows of an object's keys. `defaults` is what the object is where it is absent.
    fn table(&self, schema: &'a Value, defaults: &Value, prefix: &str) -> Vec<Row> {
        let required = schema["required"].as_array();
        let required = |key: &str| required.is_some_and(|keys| keys.iter().any(|k| k == key));
        // A constant tells variants apart and has a row already.
        let keys = schema["properties"].as_object().into_iter().flatten();
        let keys = keys.filter(|(_, property)| property["const"].is_null());
        let rows = keys.map(|(key, property)| {
            let below = match &property["default"] {
                Value::Null => &defaults[key],
                default => default,
            };
            let default = match below {
                Value::Null if required(key) => "*required*".to_owned(),
                default => shown(default),
            };
            self.key(property, below, default, &format!("{prefix}{key}"))
        });
        rows.flatten().collect()
    }

    /// The rows of one key. `below` is what it is where it is absent, `default` how that reads.
    fn key(&self, property: &'a Value, below: &Value, default: String, key: &str) -> Vec<Row> {
        let schema = self.resolve(property);
        let meaning = [property, schema].into_iter().find_map(|s| s["description"].as_str());
        let meaning = meaning.unwrap_or_default().replace('\n', " ");
        let items = self.resolve(&schema["items"]);
        let values = self.resolve(&schema["additionalProperties"]);
        let places = [(schema, ""), (items, "[]"), (values, ".NAME")];
        let tagged = places.iter().find_map(|(schema, end)| Some((self.tagged(schema)?, end)));
        if let Some((variants, end)) = tagged {
            let key = format!("{key}{end}");
            let kinds = variants.iter().map(|(_, name, _)| format!("`\"{name}\"`"));
            let kind = kinds.collect::<Vec<_>>().join(" or ");
            let tag = variants.first().map_or("kind", |(tag, ..)| tag);
            let default = below[tag].as_str().map_or(default, |name| format!("`\"{name}\"`"));
            let mut rows = vec![Row { key: format!("{key}.{tag}"), kind, default, meaning }];
            let inner = |variant| self.table(variant, &Value::Null, &format!("{key}."));
            let tables: Vec<_> = variants.iter().map(|(_, name, of)| (name, inner(of))).collect();
            // What every variant has alike is told once.
            let common = |row: &Row| tables.iter().all(|(_, table)| table.contains(row));
            for (at, (name, table)) in tables.iter().enumerate() {
                for row in table {
                    let Row { key, kind, default, meaning } = row;
                    let meaning = match common(row) && tables.len() > 1 {
                        true if at > 0 => continue,
                        true => meaning.clone(),
                        false => format!("Of `\"{name}\"`: {meaning}"),
                    };
                    let (key, kind, default) = (key.clone(), kind.clone(), default.clone());
                    rows.push(Row { key, kind, default, meaning });
                }
            }
            return rows;
        }
        if schema["properties"].is_object() {
            self.table(schema, below, &format!("{key}."))
        } else if items["properties"].is_object() {
            self.table(items, &Value::Null, &format!("{key}[]."))
        } else if values["properties"].is_object() {
            self.table(values, &Value::Null, &format!("{key}.NAME."))
        } else {
            let kind = self.kind(schema, values);
            vec![Row { key: key.to_owned(), kind, default, meaning }]
        }
    }

    /// Follows references and drops the `null` of what may be absent.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            return self.resolve(&self.definitions[name]);
        }
        match schema["anyOf"].as_array().map(Vec::as_slice) {
            Some([only, null]) if null["type"] == "null" => self.resolve(only),
            _ => schema,
        }
    }

    /// The variants of a table whose `kind` decides what else it holds: tag, name, schema.
    fn tagged(&self, schema: &'a Value) -> Option<Vec<(&'a str, &'a str, &'a Value)>> {
        let variants = schema["oneOf"].as_array()?.iter().map(|variant| {
            let properties: &Map<String, Value> = variant["properties"].as_object()?;
            let (tag, value) = properties.iter().find(|(_, value)| value["const"].is_string())?;
            Some((tag.as_str(), value["const"].as_str()?, variant))
        });
        variants.collect()
    }

    fn kind(&self, schema: &'a Value, values: &'a Value) -> String {
        let mut constants: Vec<&str> = Vec::new();
        for source in [&schema["enum"], &schema["oneOf"]] {
            for value in source.as_array().into_iter().flatten() {
                constants.extend(value.as_str().or_else(|| value["const"].as_str()));
                let several = value["enum"].as_array().into_iter().flatten();
                constants.extend(several.filter_map(Value::as_str));
            }
        }
        if !constants.is_empty() {
            let constants = constants.into_iter().map(|value| format!("`\"{value}\"`"));
            return constants.collect::<Vec<_>>().join(" or ");
        }
        let named = match &schema["type"] {
            Value::Array(several) => {
                several.iter().filter_map(Value::as_str).find(|t| *t != "null")
            }
            one => one.as_str(),
        };
        let range = match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!(", {least} to {most}"),
            (Some(least), None) if least > 0.0 => format!(", from {least}"),
            _ => String::new(),
        };
        match named {
            Some("array") => {
                let items = self.resolve(&schema["items"]);
                format!("list of {}", self.kind(items, &Value::Null))
            }
            Some("object") if values.is_object() => {
                format!("table of {} by name", self.kind(values, &Value::Null))
            }
            Some("object") => "table".to_owned(),
            Some(named) => format!("{named}{range}"),
            None => "any value".to_owned(),
        }
    }
}

fn shown(default: &Value) -> String {
    match default {
        Value::Null => "–".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        Value::String(text) if text.is_empty() => "–".to_owned(),
        value => format!("`{value}`"),
    }
}
