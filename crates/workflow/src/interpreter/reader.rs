//! The items of what a Map's reader read: JSON, JSON lines, CSV, manifests and listings.

use serde_json::{Map, Value};

use crate::definition::Reader;

/// The items of `body`, at most `most` of them.
///
/// # Errors
/// Why there are none.
pub fn items(reader: &Reader, body: &str, most: usize) -> Result<Vec<Value>, String> {
    let listing = reader.resource.ends_with("s3:listObjectsV2");
    match reader.input_type.as_deref() {
        Some("JSON") => array(body, most),
        None if listing => array(body, most),
        Some("JSONL") => {
            let lines = body.lines().filter(|line| !line.trim().is_empty()).take(most);
            let lines = lines.map(|line| {
                serde_json::from_str(line).map_err(|error| format!("a line is not JSON: {error}"))
            });
            lines.collect()
        }
        Some("CSV" | "MANIFEST") => Ok(table(reader, body, most)),
        other => Err(format!("items of type {} cannot be read", other.unwrap_or("(none)"))),
    }
}

fn array(body: &str, most: usize) -> Result<Vec<Value>, String> {
    match serde_json::from_str(body) {
        Ok(Value::Array(mut items)) => {
            items.truncate(most);
            Ok(items)
        }
        Ok(_) => Err("Attempting to map over non-iterable node.".to_owned()),
        Err(error) => Err(format!("the object is not JSON: {error}")),
    }
}

/// One object a row. Fields beyond the headers are dropped; missing ones are empty.
fn table(reader: &Reader, body: &str, most: usize) -> Vec<Value> {
    let mut rows = rows(body, reader.csv_delimiter).into_iter();
    let headers = match &reader.csv_headers {
        Some(headers) => headers.clone(),
        None => rows.next().unwrap_or_default(),
    };
    let items = rows.take(most).map(|row| {
        let mut fields = row.into_iter();
        let pairs = headers
            .iter()
            .map(|header| (header.clone(), Value::from(fields.next().unwrap_or_default())));
        Value::Object(pairs.collect::<Map<_, _>>())
    });
    items.collect()
}

/// Rows of fields (RFC 4180): quoted fields may hold delimiters, line ends and doubled quotes.
fn rows(body: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = body.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            c if quoted => field.push(c),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c if c == delimiter => row.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
