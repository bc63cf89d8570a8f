//! One value of a row.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::arrow::util::display::array_value_to_string;
use release::Timestamp;
use serde_json::{Map, Number, Value};

/// A value as JSON. Numbers that JSON does not have (infinite ones) are missing.
pub fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    // A single value is cast to the widest type of its kind, so that there are few kinds.
    let as_type = |kind: &DataType| cast(&array.slice(row, 1), kind).ok();
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::Utf8View => Value::from(array.as_string_view().value(row)),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = as_type(&DataType::Float64);
            wide.map_or(Value::Null, |wide| number(wide.as_primitive::<Float64Type>().value(0)))
        }
        DataType::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(row)),
        whole if whole.is_integer() => {
            let wide = as_type(&DataType::Int64);
            wide.map_or(Value::Null, |wide| wide.as_primitive::<Int64Type>().value(0).into())
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) => {
            let wide = as_type(&DataType::Float64);
            wide.map_or(Value::Null, |wide| number(wide.as_primitive::<Float64Type>().value(0)))
        }
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            match as_type(&DataType::Timestamp(TimeUnit::Nanosecond, None)) {
                Some(fine) => moment(fine.as_primitive::<TimestampNanosecondType>().value(0)),
                None => Value::Null,
            }
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let members = columns.map(|(column, field)| (field.name().clone(), value(column, row)));
            Value::Object(members.collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let members = (0..entries.len()).map(|at| (text(&value(keys, at)), value(values, at)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        DataType::Dictionary(_, of) => as_type(of).map_or(Value::Null, |plain| value(&plain, 0)),
        DataType::LargeUtf8 => Value::from(array.as_string::<i64>().value(row)),
        _ => array_value_to_string(array, row).map_or(Value::Null, Value::from),
    }
}

fn list(items: &ArrayRef) -> Value {
    (0..items.len()).map(|at| value(items, at)).collect()
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
