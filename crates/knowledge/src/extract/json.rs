//! JSON: each member a line that names it, each element of the outermost list a paragraph.

use serde_json::Value;

use super::{Builder, Extracted, Refusal};

pub fn extract(text: &str) -> Result<Extracted, Refusal> {
    let value: Value = serde_json::from_str(text).map_err(Refusal::malformed)?;
    let mut out = Builder::default();
    match &value {
        Value::Array(records) => records.iter().for_each(|value| record(value, &mut out)),
        value => record(value, &mut out),
    }
    let mut extracted = out.finish()?;
    let named = ["title", "name"].iter().find_map(|name| value.get(name)?.as_str());
    extracted.title = named.unwrap_or_default().to_owned();
    Ok(extracted)
}

pub fn extract_lines(text: &str) -> Result<Extracted, Refusal> {
    let mut out = Builder::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value = serde_json::from_str(line)
            .map_err(|error| Refusal::Malformed(format!("line {}: {error}", number + 1)))?;
        record(&value, &mut out);
    }
    out.finish()
}

fn record(value: &Value, out: &mut Builder) {
    member("", value, out);
    out.end();
}

/// Says `value`, which is found at `path`. The parser has bounded how deep it nests.
fn member(path: &str, value: &Value, out: &mut Builder) {
    let plain = |value: &Value| !value.is_object() && !value.is_array();
    match value {
        _ if out.full => {}
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                member(&format!("{path}{dot}{name}"), value, out);
            }
        }
        Value::Array(items) if items.iter().all(plain) => {
            let items: Vec<_> = items.iter().map(text).collect();
            line(path, &items.join(", "), out);
        }
        Value::Array(items) => items.iter().for_each(|item| member(path, item, out)),
        value => line(path, &text(value), out),
    }
}

fn line(path: &str, text: &str, out: &mut Builder) {
    if !path.is_empty() {
        out.verbatim(path);
        out.verbatim(": ");
    }
    // Prose keeps its paragraphs.
    out.verbatim(text.trim_end());
    out.line();
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
