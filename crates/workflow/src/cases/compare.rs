//! Comparing what came out with what was recorded, where names were replaced.

use serde_json::Value;

/// Texts that stand for any text, beside tokens such as `<uuid:1>`.
const ANY: [&str; 7] = [
    "date",
    "timestamp",
    "start-date",
    "stop-date",
    "x-amzn-RequestId",
    "RequestId",
    "X-Amzn-Trace-Id",
];

/// Whether `found` is what was recorded. Numbers are compared by value; a text that is JSON may
/// have been recorded parsed.
pub fn fits(recorded: &Value, found: &Value) -> bool {
    match (recorded, found) {
        (Value::Object(recorded), Value::Object(found)) => {
            recorded.len() == found.len()
                && recorded
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|found| fits(value, found)))
        }
        (Value::Array(recorded), Value::Array(found)) => {
            recorded.len() == found.len()
                && recorded.iter().zip(found).all(|(recorded, found)| fits(recorded, found))
        }
        (Value::String(recorded), Value::String(found)) => text_fits(recorded, found),
        (Value::Object(_) | Value::Array(_), Value::String(found)) => {
            serde_json::from_str(found).is_ok_and(|found| fits(recorded, &found))
        }
        (Value::String(recorded), _) if is_token(recorded) => true,
        _ => crate::path::same(recorded, found),
    }
}

fn is_token(text: &str) -> bool {
    ANY.contains(&text) || (text.starts_with('<') && text.ends_with('>'))
}

/// A token stands for any text, wherever it is.
fn text_fits(recorded: &str, found: &str) -> bool {
    if recorded == found || ANY.contains(&recorded) {
        return true;
    }
    let mut pieces = Vec::new();
    let mut rest = recorded;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((token, after)) = after.split_once('>') else { break };
        if token.is_empty() || token.contains(char::is_whitespace) {
            return false;
        }
        pieces.push(before);
        rest = after;
    }
    if pieces.is_empty() {
        return false;
    }
    let Some(mut found) = found.strip_prefix(pieces[0]) else { return false };
    for piece in &pieces[1..] {
        let Some(at) = found.find(piece) else { return false };
        found = &found[at + piece.len()..];
    }
    found.ends_with(rest)
}
