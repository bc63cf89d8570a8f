//! Front matter: what a text says of itself before it begins.

use serde_json::Value;

use crate::document::Metadata;

/// Splits front matter off: `---` around YAML, `+++` around TOML. What cannot be read as such is part
/// of the text.
pub fn split(text: &str) -> (Metadata, &str) {
    for (fence, read) in [("---", yaml as fn(&str) -> Option<Metadata>), ("+++", toml)] {
        let Some(rest) = text.strip_prefix(fence).and_then(|rest| rest.strip_prefix('\n')) else {
            continue;
        };
        let Some(end) = rest.find(&format!("\n{fence}\n")) else { continue };
        if let Some(front) = read(&rest[..end]) {
            return (front, &rest[end + fence.len() + 2..]);
        }
    }
    (Metadata::new(), text)
}

fn toml(text: &str) -> Option<Metadata> {
    let table: toml::Table = text.parse().ok()?;
    Some(table.into_iter().map(|(name, value)| (name, json(value))).collect())
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(name, value)| (name, json(value))).collect()
        }
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
    }
}

/// What front matter has of YAML: names with scalars, and with lists of them on one line or of lines
/// with `-`. What nests deeper is left out.
fn yaml(text: &str) -> Option<Metadata> {
    let mut front = Metadata::new();
    let mut name = String::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if let Some(item) = bare.strip_prefix("- ").filter(|_| !name.is_empty()) {
            let list = front.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(scalar(item));
            }
        } else if !line.starts_with([' ', '\t']) {
            let Some((key, value)) = bare.split_once(':') else { continue };
            key.trim().clone_into(&mut name);
            let value = value.trim();
            let listed = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            if let Some(items) = listed {
                let items = items.split(',').filter(|item| !item.trim().is_empty());
                front.insert(name.clone(), items.map(scalar).collect());
            } else if !value.is_empty() {
                front.insert(name.clone(), scalar(value));
            }
        }
    }
    Some(front).filter(|_| !name.is_empty())
}

fn scalar(text: &str) -> Value {
    let text = text.trim();
    let quoted = ['"', '\'']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote).and_then(|text| text.strip_suffix(*quote)));
    match (quoted, text) {
        (Some(quoted), _) => quoted.into(),
        (None, "true") => true.into(),
        (None, "false") => false.into(),
        (None, text) => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}
