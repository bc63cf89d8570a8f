//! The intrinsic functions of JSONPath states: `States.Format('{} of {}', $.a, 2)`.

mod parse;

use std::collections::{BTreeSet, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use release::Draw;
use serde_json::{Value, json};

use crate::draw::uuid;
use crate::hash;
use crate::path::{Path, Scope};
use crate::weight::TooMuch;

/// The most items that `ArrayRange` makes.
const RANGE: usize = 1_000;
/// The most characters that encoding, decoding and hashing take.
const TEXT: usize = 10_000;

/// A parsed call.
#[derive(Debug, Clone, PartialEq)]
pub struct Intrinsic {
    text: String,
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Value(Value),
    Path(Path),
    Call(Intrinsic),
}

/// Why a call has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntrinsicError {
    /// An argument's path leads nowhere.
    Missing(String),
    /// It makes too much, or looks at too much.
    TooMuch(TooMuch),
    /// The function failed.
    Failed {
        /// The call as it was written.
        call: String,
        /// Why.
        why: String,
    },
}

impl From<TooMuch> for IntrinsicError {
    fn from(error: TooMuch) -> Self {
        Self::TooMuch(error)
    }
}

macro_rules! functions {
    ($($name:ident),*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Function { $($name),* }

        impl Function {
            fn named(name: &str) -> Option<Self> {
                match name {
                    "UUID" => Some(Self::Uuid),
                    "Uuid" => None,
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

functions!(
    Format,
    StringToJson,
    JsonToString,
    Array,
    ArrayPartition,
    ArrayContains,
    ArrayRange,
    ArrayGetItem,
    ArrayLength,
    ArrayUnique,
    Base64Encode,
    Base64Decode,
    Hash,
    JsonMerge,
    MathRandom,
    MathAdd,
    StringSplit,
    Uuid
);

impl Intrinsic {
    /// Whether a text looks like a call rather than a path.
    pub fn is_call(text: &str) -> bool {
        text.starts_with("States.")
    }

    /// Reads a call.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::call(text)
    }

    /// Notes the variables that it reads.
    pub fn variables<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        for argument in &self.arguments {
            match argument {
                Argument::Value(_) => {}
                Argument::Path(path) => path.variables(names),
                Argument::Call(call) => call.variables(names),
            }
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// If a path leads nowhere, the function refuses its arguments, or they are too much.
    pub fn evaluate(&self, scope: Scope<'_>, draw: &mut Draw) -> Result<Value, IntrinsicError> {
        let value = scope.allowance.briefly(|| self.apply(scope, draw))?;
        // No function makes much more than its arguments are.
        scope.allowance.weigh(&value)?;
        Ok(value)
    }

    fn apply(&self, scope: Scope<'_>, draw: &mut Draw) -> Result<Value, IntrinsicError> {
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(match argument {
                Argument::Value(value) => value.clone(),
                Argument::Path(path) => {
                    let missing = || IntrinsicError::Missing(path.to_string());
                    path.select(scope)?.ok_or_else(missing)?
                }
                Argument::Call(call) => call.evaluate(scope, draw)?,
            });
        }
        self.function
            .apply(arguments, draw)
            .map_err(|why| IntrinsicError::Failed { call: self.text.clone(), why })
    }
}

impl Function {
    fn apply(self, arguments: Vec<Value>, draw: &mut Draw) -> Result<Value, String> {
        match self {
            Self::Format => format(&arguments),
            Self::Array => Ok(arguments.into()),
            Self::Uuid => {
                let [] = exactly(arguments)?;
                Ok(uuid(draw).into())
            }
            Self::MathRandom => math_random(&arguments, draw),
            Self::StringToJson => {
                let [text] = exactly(arguments)?;
                match text {
                    Value::String(text) if text.is_empty() => Ok(Value::Null),
                    Value::String(text) => serde_json::from_str(&text)
                        .map_err(|_| format!("the string is not valid JSON: {text}")),
                    Value::Null => Ok(Value::Null),
                    _ => Err("the argument must be a string".to_owned()),
                }
            }
            Self::JsonToString => {
                let [value] = exactly(arguments)?;
                Ok(value.to_string().into())
            }
            Self::ArrayPartition => {
                let [array, size] = exactly(arguments)?;
                let (array, size) = (items(array)?, integer(&size)?);
                let size = usize::try_from(size).ok().filter(|size| *size > 0);
                let size = size.ok_or("the chunk size must be a positive integer")?;
                Ok(array.chunks(size).map(<[Value]>::to_vec).collect())
            }
            Self::ArrayContains => {
                let [array, wanted] = exactly(arguments)?;
                Ok(items(array)?.iter().any(|item| crate::path::same(item, &wanted)).into())
            }
            Self::ArrayRange => {
                let [first, last, step] = exactly(arguments)?;
                range(integer(&first)?, integer(&last)?, integer(&step)?)
            }
            Self::ArrayGetItem => {
                let [array, index] = exactly(arguments)?;
                let index = usize::try_from(integer(&index)?).ok();
                let item = index.and_then(|index| items(array).ok()?.into_iter().nth(index));
                item.ok_or_else(|| "the index is outside the array".to_owned())
            }
            Self::ArrayLength => {
                let [array] = exactly(arguments)?;
                Ok(items(array)?.len().into())
            }
            Self::ArrayUnique => {
                let [array] = exactly(arguments)?;
                let mut known = HashSet::new();
                Ok(items(array)?.into_iter().filter(|item| known.insert(key(item))).collect())
            }
            Self::Base64Encode => {
                let [text] = exactly(arguments)?;
                Ok(STANDARD.encode(short(&text)?).into())
            }
            Self::Base64Decode => {
                let [text] = exactly(arguments)?;
                let bytes = STANDARD.decode(short(&text)?);
                let bytes = bytes.map_err(|_| "the string is not Base64".to_owned())?;
                Ok(String::from_utf8_lossy(&bytes).into_owned().into())
            }
            Self::Hash => {
                let [data, algorithm] = exactly(arguments)?;
                let text = match &data {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if text.chars().count() > TEXT {
                    return Err(format!("the data has more than {TEXT} characters"));
                }
                let algorithm = algorithm.as_str().unwrap_or_default();
                let hash = hash::hex(algorithm, text.as_bytes());
                hash.map(Value::from).ok_or_else(|| format!("unknown algorithm `{algorithm}`"))
            }
            Self::JsonMerge => {
                let [left, right, deep] = exactly(arguments)?;
                match (left, right, deep) {
                    (Value::Object(mut left), Value::Object(right), Value::Bool(false)) => {
                        left.extend(right);
                        Ok(left.into())
                    }
                    (_, _, Value::Bool(true)) => Err("deep merging is not supported".to_owned()),
                    _ => Err("the arguments must be two objects and false".to_owned()),
                }
            }
            Self::MathAdd => {
                let [left, right] = exactly(arguments)?;
                let sum = integer(&left)?.checked_add(integer(&right)?);
                let sum = sum.filter(|sum| i32::try_from(*sum).is_ok());
                sum.map(Value::from).ok_or_else(|| "the sum overflows".to_owned())
            }
            Self::StringSplit => {
                let [text, delimiters] = exactly(arguments)?;
                let (Value::String(text), Value::String(delimiters)) = (text, delimiters) else {
                    return Err("the arguments must be strings".to_owned());
                };
                let delimiters: HashSet<char> = delimiters.chars().collect();
                let parts = text.split(|c| delimiters.contains(&c)).filter(|part| !part.is_empty());
                Ok(parts.collect())
            }
        }
    }
}

fn exactly<const N: usize>(arguments: Vec<Value>) -> Result<[Value; N], String> {
    let count = arguments.len();
    arguments.try_into().map_err(|_| format!("it takes {N} arguments, not {count}"))
}

fn items(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err("the argument must be an array".to_owned()),
    }
}

/// A text that is the same for the same values: those of numbers, whatever the order of fields.
fn key(value: &Value) -> String {
    match value {
        // Zero has one sign here.
        Value::Number(number) => format!("{:?}", number.as_f64().map(|number| number + 0.0)),
        Value::Array(items) => format!("[{}]", items.iter().map(key).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name:?}:{}", key(value)));
            format!(
                "{{{}}}",
                fields.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
            )
        }
        other => other.to_string(),
    }
}

/// Numbers that are not whole are rounded, halves upwards.
fn integer(value: &Value) -> Result<i64, String> {
    let rounded =
        value.as_i64().or_else(|| value.as_f64().map(|number| (number + 0.5).floor() as i64));
    rounded.ok_or_else(|| "the argument must be a number".to_owned())
}

fn short(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or("the argument must be a string")?;
    if text.chars().count() > TEXT {
        return Err(format!("the string has more than {TEXT} characters"));
    }
    Ok(text)
}

fn range(first: i64, last: i64, step: i64) -> Result<Value, String> {
    if step == 0 {
        return Err("the step must not be zero".to_owned());
    }
    let mut all = Vec::new();
    let mut next = first;
    while if step > 0 { next <= last } else { next >= last } {
        if all.len() == RANGE {
            return Err(format!("the range has more than {RANGE} items"));
        }
        all.push(json!(next));
        next = next.saturating_add(step);
    }
    Ok(all.into())
}

fn math_random(arguments: &[Value], draw: &mut Draw) -> Result<Value, String> {
    let (start, end, seed) = match arguments {
        [start, end] => (start, end, None),
        [start, end, seed] => (start, end, Some(integer(seed)?)),
        _ => return Err("it takes 2 or 3 arguments".to_owned()),
    };
    let (start, end) = (integer(start)?, integer(end)?);
    if start >= end {
        return Err("the start must be below the end".to_owned());
    }
    let unit = match seed {
        Some(seed) => Draw::seeded(seed as u64).unit(),
        None => draw.unit(),
    };
    let drawn = start.saturating_add((unit * (end as f64 - start as f64)) as i64);
    Ok(drawn.min(end - 1).into())
}

/// Fills each `{}` of a template with the next argument.
fn format(arguments: &[Value]) -> Result<Value, String> {
    let Some((Value::String(template), arguments)) = arguments.split_first() else {
        return Err("the template must be a string".to_owned());
    };
    let mut rest = arguments.iter();
    let mut text = String::new();
    let mut characters = template.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.extend(characters.next()),
            '{' if characters.peek() == Some(&'}') => {
                characters.next();
                let value = rest.next().ok_or("there are fewer arguments than places")?;
                text.push_str(&shown(value));
            }
            c => text.push(c),
        }
    }
    match rest.next() {
        None => Ok(text.into()),
        Some(_) => Err("there are more arguments than places".to_owned()),
    }
}

/// A value as the service prints it: objects and arrays in the manner of Java's maps and lists.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}={}", shown(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
