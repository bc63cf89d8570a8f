//! The items of what a Map's reader reads: JSON, JSON lines, CSV, inventories and listings.

use std::fmt;
use std::io::Read;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::definition::Reader;
use crate::fault::{Fault, name};

/// The call that lists objects.
pub const LIST: &str = "arn:aws:states:::s3:listObjectsV2";
/// The call that reads one.
const GET: &str = "arn:aws:states:::s3:getObject";
/// The most bytes of an object once it is unpacked.
const MAX_BYTES: u64 = 256 << 20;

/// Why no more items are taken.
#[derive(Debug)]
pub enum Stop {
    /// There are as many as were wanted.
    Enough,
    /// Something is wrong.
    Because(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Because(fault)
    }
}

/// Reads something: the bytes of an object, or a page of a listing as a JSON array.
pub type Fetch<'a> = &'a mut dyn FnMut(&str, &Value) -> Result<Vec<u8>, Fault>;
type Take<'a> = &'a mut dyn FnMut(Value) -> Result<(), Stop>;

fn wrong(cause: impl Into<String>) -> Stop {
    Fault::new(name::ITEM_READER, cause).into()
}

/// Gives the items that a reader reads with `arguments` to `take`, in order.
///
/// # Errors
/// What `take` or `fetch` said, or why the items cannot be read.
pub fn feed(
    reader: &Reader,
    arguments: &Value,
    fetch: Fetch<'_>,
    take: Take<'_>,
) -> Result<(), Stop> {
    match reader.resource.as_str() {
        LIST => return listing(arguments, fetch, take),
        GET => {}
        other => return Err(wrong(format!("`{other}` cannot be read from"))),
    }
    let body = fetch(GET, arguments)?;
    match reader.input_type.as_deref() {
        Some("JSON") => array(&text(body)?, take),
        Some("JSONL") => lines(&text(body)?, take),
        Some("CSV") => table(reader, &text(body)?, take),
        Some("MANIFEST") => inventory(&text(body)?, fetch, take),
        other => {
            let other = other.unwrap_or("(none)");
            Err(wrong(format!(
                "items of type {other} cannot be read; use JSON, JSONL, CSV or MANIFEST"
            )))
        }
    }
}

/// An object as text, unpacked if it is a gzip file.
fn text(body: Vec<u8>) -> Result<String, Stop> {
    let body = if body.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        let mut unpacking = flate2::read::MultiGzDecoder::new(body.as_slice()).take(MAX_BYTES + 1);
        unpacking
            .read_to_end(&mut unpacked)
            .map_err(|error| wrong(format!("the object is no whole gzip file: {error}")))?;
        unpacked
    } else {
        body
    };
    if body.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("the object has more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(body).map_err(|_| wrong("the object is not UTF-8 text"))
}

/// Every object that a bucket lists.
fn listing(arguments: &Value, fetch: Fetch<'_>, take: Take<'_>) -> Result<(), Stop> {
    let mut arguments = arguments.clone();
    loop {
        let page = fetch(LIST, &arguments)?;
        let page: Vec<Value> = serde_json::from_slice(&page)
            .map_err(|error| wrong(format!("the listing is no JSON array: {error}")))?;
        let last = page.last().and_then(|last| last.get("Key")).cloned();
        page.into_iter().try_for_each(&mut *take)?;
        let (Some(last), Some(fields)) = (last, arguments.as_object_mut()) else { return Ok(()) };
        fields.insert("StartAfter".to_owned(), last);
    }
}

/// The items of a JSON array, one by one: they need not fit into memory together.
fn array(body: &str, take: Take<'_>) -> Result<(), Stop> {
    struct Items<'a> {
        take: Take<'a>,
        stop: &'a mut Option<Stop>,
    }
    impl<'de> Visitor<'de> for Items<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
            while let Some(item) = items.next_element::<Value>()? {
                if let Err(stop) = (self.take)(item) {
                    *self.stop = Some(stop);
                    return Err(A::Error::custom("stopped"));
                }
            }
            Ok(())
        }
    }
    let mut stop = None;
    let mut json = serde_json::Deserializer::from_str(body);
    let read = json.deserialize_seq(Items { take, stop: &mut stop }).and_then(|()| json.end());
    match (stop, read) {
        (Some(stop), _) => Err(stop),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if error.is_data() => {
            Err(wrong("Attempting to map over non-iterable node."))
        }
        (None, Err(error)) => Err(wrong(format!("the object is not JSON: {error}"))),
    }
}

fn lines(body: &str, take: Take<'_>) -> Result<(), Stop> {
    for (number, line) in body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let item = serde_json::from_str(line)
            .map_err(|error| wrong(format!("line {} is not JSON: {error}", number + 1)))?;
        take(item)?;
    }
    Ok(())
}

/// One item a row.
fn table(reader: &Reader, body: &str, take: Take<'_>) -> Result<(), Stop> {
    let mut headers = reader.csv_headers.clone();
    rows(body, reader.csv_delimiter, &mut |row| match &headers {
        Some(headers) => take(named(headers, row)),
        None => {
            headers = Some(row);
            Ok(())
        }
    })
}

/// A row as an object. Fields beyond the headers are dropped; missing ones are empty.
fn named(headers: &[String], row: Vec<String>) -> Value {
    let mut fields = row.into_iter();
    let pairs = headers
        .iter()
        .map(|header| (header.clone(), Value::from(fields.next().unwrap_or_default())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// The objects that an inventory of a bucket tells, from each of its files.
fn inventory(manifest: &str, fetch: Fetch<'_>, take: Take<'_>) -> Result<(), Stop> {
    let manifest: Value = serde_json::from_str(manifest)
        .map_err(|error| wrong(format!("the manifest is not JSON: {error}")))?;
    let field = |name: &str| manifest.get(name).and_then(Value::as_str);
    let missing = |name: &str| wrong(format!("the manifest has no `{name}`"));
    if field("fileFormat") != Some("CSV") {
        return Err(wrong("only inventories whose `fileFormat` is CSV can be read"));
    }
    let bucket = field("destinationBucket").ok_or_else(|| missing("destinationBucket"))?;
    let bucket = bucket.rsplit(':').next().unwrap_or(bucket);
    let schema = field("fileSchema").ok_or_else(|| missing("fileSchema"))?;
    let headers: Vec<_> = schema.split(',').map(|header| header.trim().to_owned()).collect();
    let files = manifest.get("files").and_then(Value::as_array);
    for file in files.ok_or_else(|| missing("files"))? {
        let key = file.get("key").ok_or_else(|| missing("files[].key"))?;
        let body = text(fetch(GET, &json!({"Bucket": bucket, "Key": key}))?)?;
        rows(&body, ',', &mut |row| take(named(&headers, row)))?;
    }
    Ok(())
}

/// Rows of fields (RFC 4180): quoted fields may hold delimiters, line ends and doubled quotes.
fn rows(
    body: &str,
    delimiter: char,
    take: &mut dyn FnMut(Vec<String>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let (mut row, mut field) = (Vec::new(), String::new());
    let (mut line, mut quoted) = (1, None);
    let mut characters = body.chars().peekable();
    while let Some(c) = characters.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted.is_some() && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted.is_some() => quoted = None,
            '"' if field.is_empty() => quoted = Some(line),
            c if quoted.is_some() => field.push(c),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                take(std::mem::take(&mut row))?;
            }
            c if c == delimiter => row.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if let Some(line) = quoted {
        return Err(wrong(format!("the quote that begins a field in line {line} is not closed")));
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        take(row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
