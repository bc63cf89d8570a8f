//! A TOML file whose every value knows its place, checked against the schema of its type.
//!
//! A mistake in a file is a [`Diagnostic`], and all mistakes are found before anything is
//! deserialised: syntax first, then the generated JSON Schema, then what only serde can say.

use std::collections::BTreeMap;
use std::ops::Range;

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use release::{Code, Diagnostic, Place};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

/// The file is not TOML.
pub const SYNTAX: Code = Code::new("GC0101");
/// A key that nothing reads.
pub const UNKNOWN_KEY: Code = Code::new("GC0102");
/// A key that must be there.
pub const MISSING_KEY: Code = Code::new("GC0103");
/// A value of the wrong type.
pub const WRONG_TYPE: Code = Code::new("GC0104");
/// A value of the right type that is not allowed.
pub const BAD_VALUE: Code = Code::new("GC0105");

/// A parsed TOML file.
#[derive(Debug, Clone)]
pub struct Document {
    file: String,
    text: String,
    value: Value,
    /// JSON pointer → where its key (if it has one) and its value stand in the text.
    spans: BTreeMap<String, Spans>,
}

#[derive(Debug, Clone)]
struct Spans {
    key: Option<Range<usize>>,
    value: Range<usize>,
}

impl Document {
    /// Parses `text`, the contents of `file`.
    ///
    /// # Errors
    /// Every syntax error, each at its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(|error| syntax_error(file, text, error)).collect());
        }
        let mut reader = Reader { spans: BTreeMap::new(), faults: Vec::new() };
        let span = table.span();
        let value = reader.table(table.get_ref(), "");
        reader.spans.insert(String::new(), Spans { key: None, value: span });
        if reader.faults.is_empty() {
            let (file, text, spans) = (file.to_owned(), text.to_owned(), reader.spans);
            Ok(Self { file, text, value, spans })
        } else {
            let place = |at: &Range<usize>| Place::at(file, text, at.start);
            let found = reader.faults.into_iter();
            Err(found.map(|(at, why)| Diagnostic::error(BAD_VALUE, place(&at), why)).collect())
        }
    }

    /// Where the value at `pointer` (RFC 6901) stands; the nearest value around it if it is absent.
    pub fn place(&self, pointer: &str) -> Place {
        Place::at(&self.file, &self.text, self.nearest(pointer).value.start)
    }

    /// Where the key of the value at `pointer` stands.
    pub fn key_place(&self, pointer: &str) -> Place {
        let spans = self.nearest(pointer);
        let at = spans.key.as_ref().unwrap_or(&spans.value).start;
        Place::at(&self.file, &self.text, at)
    }

    /// The document as JSON.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Checks the document against the schema of `T` and reads it.
    ///
    /// # Errors
    /// Every mistake, each at its place and with a hint where one is known.
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Vec<Diagnostic>> {
        let schema = Value::from(schemars::schema_for!(T));
        let found = self.check(&schema);
        if !found.is_empty() {
            return Err(found);
        }
        serde_json::from_value(self.value.clone())
            .map_err(|error| vec![Diagnostic::error(BAD_VALUE, self.place(""), error.to_string())])
    }

    fn check(&self, schema: &Value) -> Vec<Diagnostic> {
        let validator = match jsonschema::validator_for(schema) {
            Ok(validator) => validator,
            Err(error) => {
                let message = format!("the schema of this file is broken: {error}");
                return vec![Diagnostic::error(BAD_VALUE, self.place(""), message)];
            }
        };
        let mut found = Vec::new();
        for error in validator.iter_errors(&self.value) {
            self.explain(&error, schema, &mut found);
        }
        found.sort();
        found.dedup();
        found
    }

    /// Turns one schema error into findings; alternatives are narrowed to the one that was meant.
    fn explain(&self, error: &ValidationError<'_>, schema: &Value, found: &mut Vec<Diagnostic>) {
        let pointer = error.instance_path().as_str();
        let here = self.key_place(pointer);
        // An item of a list goes by the list's name.
        let named = |step: &&str| !step.is_empty() && step.parse::<usize>().is_err();
        let name = pointer.rsplit('/').find(named);
        let name =
            name.map_or_else(|| "the file".to_owned(), |name| format!("`{}`", unescape(name)));
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = known_keys(schema, error.schema_path().as_str());
                for key in unexpected {
                    let place = self.key_place(&format!("{pointer}/{}", escape(key)));
                    let message = format!("unknown key `{key}`");
                    let finding = Diagnostic::error(UNKNOWN_KEY, place, message);
                    found.push(finding.hint(suggestion(key, &known)));
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let message = format!("missing key `{key}`");
                found.push(Diagnostic::error(MISSING_KEY, here, message));
            }
            ValidationErrorKind::Type { kind } => {
                let expected = match kind {
                    TypeKind::Single(one) => one.to_string(),
                    TypeKind::Multiple(many) => {
                        // An optional value may be absent; nobody can write null in TOML.
                        let many = many.into_iter().map(|one| one.to_string());
                        many.filter(|one| one != "null").collect::<Vec<_>>().join(" or ")
                    }
                };
                let message = format!(
                    "{name} must be of type {expected}, not {}",
                    type_name(error.instance())
                );
                found.push(Diagnostic::error(WRONG_TYPE, self.place(pointer), message));
            }
            ValidationErrorKind::Enum { options } => {
                let options =
                    options.as_array().into_iter().flatten().map(shown).collect::<Vec<_>>();
                let given = shown(error.instance());
                let message = format!("{name} cannot be `{given}`");
                let finding = Diagnostic::error(BAD_VALUE, self.place(pointer), message);
                found.push(finding.hint(suggestion(&given, &options)));
            }
            ValidationErrorKind::OneOfNotValid { context }
            | ValidationErrorKind::AnyOf { context } => {
                self.explain_alternatives(error, context, schema, found);
            }
            // What does not look like a reference may be the secret itself.
            ValidationErrorKind::Pattern { .. } => {
                let message = format!("{name}: {}", error.masked());
                found.push(Diagnostic::error(BAD_VALUE, self.place(pointer), message));
            }
            _ => {
                let message = format!("{name}: {error}");
                found.push(Diagnostic::error(BAD_VALUE, self.place(pointer), message));
            }
        }
    }

    /// Of several alternatives, explains the one that was meant: the one whose tag fits and that
    /// has the fewest faults. If no tag fits, says which tags there are.
    fn explain_alternatives(
        &self,
        error: &ValidationError<'_>,
        context: &[Vec<ValidationError<'static>>],
        schema: &Value,
        found: &mut Vec<Diagnostic>,
    ) {
        let pointer = error.instance_path().as_str();
        let tag_of = |fault: &ValidationError<'_>| match fault.kind() {
            ValidationErrorKind::Constant { expected_value } => Some(shown(expected_value)),
            ValidationErrorKind::Enum { options } => {
                options.as_array().and_then(|all| all.first()).map(shown)
            }
            _ => None,
        };
        let misfit = |faults: &Vec<ValidationError<'_>>| {
            let wrong_tag = faults.iter().any(|fault| tag_of(fault).is_some());
            let wrong_type = faults.iter().any(|fault| {
                matches!(fault.kind(), ValidationErrorKind::Type { .. })
                    && fault.instance_path().as_str() == pointer
            });
            (wrong_type, wrong_tag, faults.len())
        };
        let Some(meant) = context.iter().min_by_key(|faults| misfit(faults)) else {
            return;
        };
        if let (_, true, _) = misfit(meant) {
            let faults = || context.iter().flatten().filter(|fault| tag_of(fault).is_some());
            let options: Vec<_> = faults().filter_map(tag_of).collect();
            if let Some(fault) = faults().next() {
                let at = fault.instance_path().as_str();
                let given = shown(fault.instance());
                let name = at.rsplit('/').next().map(unescape).unwrap_or_default();
                let message = format!("`{name}` cannot be `{given}`");
                let finding = Diagnostic::error(BAD_VALUE, self.place(at), message);
                found.push(finding.hint(suggestion(&given, &options)));
            }
            return;
        }
        for fault in meant {
            self.explain(fault, schema, found);
        }
    }

    fn nearest(&self, pointer: &str) -> &Spans {
        const START: &Spans = &Spans { key: None, value: 0..0 };
        let mut pointer = pointer;
        loop {
            if let Some(spans) = self.spans.get(pointer) {
                return spans;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return START,
            }
        }
    }
}

fn syntax_error(file: &str, text: &str, error: &toml::de::Error) -> Diagnostic {
    let offset = error.span().map_or(0, |span| span.start);
    Diagnostic::error(SYNTAX, Place::at(file, text, offset), error.message().trim())
}

/// The keys that stand beside the `additionalProperties` that refused one.
fn known_keys(schema: &Value, schema_path: &str) -> Vec<String> {
    let owner = schema_path.rsplit_once('/').map_or("", |(owner, _)| owner);
    let resolved = resolve(schema, owner);
    let properties = resolved.and_then(|owner| owner.get("properties")?.as_object());
    properties.map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// Follows a schema path, through `$ref`s to local definitions.
fn resolve<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = root;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        if step == "$ref" {
            at = root.pointer(at.get("$ref")?.as_str()?.strip_prefix('#')?)?;
        } else if let Ok(index) = step.parse::<usize>() {
            at = at.get(index).or_else(|| at.get(step))?;
        } else {
            at = at.get(unescape(step))?;
        }
    }
    Some(at)
}

/// "did you mean" the nearest of `options`, else all of them.
pub fn suggestion(given: &str, options: &[String]) -> String {
    let near = options
        .iter()
        .map(|option| (strsim::damerau_levenshtein(given, option), option))
        .filter(|(distance, option)| *distance <= 1 + option.chars().count() / 3)
        .min();
    match near {
        Some((_, option)) => format!("did you mean `{option}`?"),
        None if options.is_empty() => "remove it".to_owned(),
        None => {
            let mut options: Vec<_> = options.iter().map(|option| format!("`{option}`")).collect();
            options.sort();
            options.dedup();
            format!("expected {}", options.join(", "))
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "table",
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Turns parsed TOML into JSON, noting where everything stands.
struct Reader {
    spans: BTreeMap<String, Spans>,
    faults: Vec<(Range<usize>, String)>,
}

impl Reader {
    fn table(&mut self, table: &DeTable<'_>, pointer: &str) -> Value {
        let mut object = Map::new();
        for (key, value) in table {
            let inner = format!("{pointer}/{}", escape(key.get_ref()));
            let json = self.value(value.get_ref(), value.span(), &inner);
            let spans = Spans { key: Some(key.span()), value: value.span() };
            self.spans.insert(inner, spans);
            object.insert(key.get_ref().to_string(), json);
        }
        Value::Object(object)
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, pointer: &str) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(moment) => Value::String(moment.to_string()),
            DeValue::Table(table) => self.table(table, pointer),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                if let Ok(number) = parsed {
                    return Value::Number(number.into());
                }
                self.faults.push((span, format!("the integer {number} is too large")));
                Value::Null
            }
            DeValue::Float(number) => {
                if let Some(number) = number.as_str().parse().ok().and_then(Number::from_f64) {
                    return Value::Number(number);
                }
                self.faults.push((span, format!("{number} is not a finite number")));
                Value::Null
            }
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let inner = format!("{pointer}/{index}");
                    list.push(self.value(item.get_ref(), item.span(), &inner));
                    self.spans.insert(inner, Spans { key: None, value: item.span() });
                }
                Value::Array(list)
            }
        }
    }
}

#[cfg(test)]
mod tests;
