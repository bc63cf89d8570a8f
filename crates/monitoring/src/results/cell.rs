//! One value of a row.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType,
};
use datafusion::arrow::util::display::array_value_to_string;
use release::Timestamp;
use serde_json::{Map, Number, Value};

/// A column in the widest type of its kind, so that there are few kinds.
pub fn widened(column: &ArrayRef) -> ArrayRef {
    let wide = match column.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        // Of unsigned numbers, those beyond the signed ones are told inexactly.
        DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => DataType::Float64,
        number if number.is_floating() => DataType::Float64,
        number if number.is_integer() => DataType::Int64,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            DataType::Timestamp(TimeUnit::Nanosecond, None)
        }
        DataType::Dictionary(_, of) => of.as_ref().clone(),
        _ => return ArrayRef::clone(column),
    };
    let cast = cast(column, &wide).unwrap_or_else(|_| ArrayRef::clone(column));
    if matches!(column.data_type(), DataType::Dictionary(..)) { widened(&cast) } else { cast }
}

/// A value of a widened column, as JSON. Numbers that JSON does not have (infinite ones) are
/// missing.
pub fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            moment(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let members = columns.map(|(column, field)| {
                (field.name().clone(), value(&widened(&column.slice(row, 1)), 0))
            });
            Value::Object(members.collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (widened(entries.column(0)), widened(entries.column(1)));
            let members =
                (0..entries.len()).map(|at| (text(&value(&keys, at)), value(&values, at)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        _ => array_value_to_string(array, row).map_or(Value::Null, Value::from),
    }
}

fn list(items: &ArrayRef) -> Value {
    let items = widened(items);
    (0..items.len()).map(|at| value(&items, at)).collect()
}

/// Whole numbers are told without a fraction.
fn number(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn moment(nanoseconds: i64) -> Value {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or(Value::Null, |at| at.to_string().into())
}

/// A value as text: nothing if it is missing, JSON if it is nested.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
