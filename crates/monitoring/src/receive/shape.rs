//! How much memory a message of protobuf would take, told before it is read.
//!
//! An empty message takes two bytes on the wire and some hundred in memory, so the size of a body
//! says little. Messages within it are counted first, which also tells a body that is no protobuf.

use super::Refused;
use super::limits::MAX_MESSAGES;
use crate::frame::Signal;

/// A message: the fields that hold further messages.
struct Shape(&'static [(u64, &'static Shape)]);

static FLAT: Shape = Shape(&[]);
/// `KeyValue`, whose value may hold a list of values or of pairs.
static PAIR: Shape = Shape(&[(2, &VALUE)]);
static VALUE: Shape = Shape(&[(5, &LIST), (6, &PAIRS)]);
static LIST: Shape = Shape(&[(1, &VALUE)]);
static PAIRS: Shape = Shape(&[(1, &PAIR)]);
static RESOURCE: Shape = Shape(&[(1, &PAIR), (3, &FLAT)]);
static SCOPE: Shape = Shape(&[(3, &PAIR)]);

static TRACES: Shape = Shape(&[(1, &RESOURCE_SPANS)]);
static RESOURCE_SPANS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
static SCOPE_SPANS: Shape = Shape(&[(1, &SCOPE), (2, &SPAN)]);
static SPAN: Shape = Shape(&[(9, &PAIR), (11, &EVENT), (13, &LINK)]);
static EVENT: Shape = Shape(&[(3, &PAIR)]);
static LINK: Shape = Shape(&[(4, &PAIR)]);

static LOGS: Shape = Shape(&[(1, &RESOURCE_LOGS)]);
static RESOURCE_LOGS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
static SCOPE_LOGS: Shape = Shape(&[(1, &SCOPE), (2, &LOG)]);
static LOG: Shape = Shape(&[(5, &VALUE), (6, &PAIR)]);

static METRICS: Shape = Shape(&[(1, &RESOURCE_METRICS)]);
static RESOURCE_METRICS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
static SCOPE_METRICS: Shape = Shape(&[(1, &SCOPE), (2, &METRIC)]);
static METRIC: Shape = Shape(&[
    (5, &NUMBERS),
    (7, &NUMBERS),
    (9, &HISTOGRAMS),
    (10, &EXPONENTIALS),
    (11, &SUMMARIES),
    (12, &PAIR),
]);
static NUMBERS: Shape = Shape(&[(1, &NUMBER)]);
static NUMBER: Shape = Shape(&[(5, &EXEMPLAR), (7, &PAIR)]);
static EXEMPLAR: Shape = Shape(&[(7, &PAIR)]);
static HISTOGRAMS: Shape = Shape(&[(1, &HISTOGRAM)]);
static HISTOGRAM: Shape = Shape(&[(8, &EXEMPLAR), (9, &PAIR)]);
static EXPONENTIALS: Shape = Shape(&[(1, &EXPONENTIAL)]);
static EXPONENTIAL: Shape = Shape(&[(1, &PAIR), (11, &EXEMPLAR)]);
static SUMMARIES: Shape = Shape(&[(1, &SUMMARY)]);
static SUMMARY: Shape = Shape(&[(6, &FLAT), (7, &PAIR)]);

/// How deep values may be nested in values.
const MAX_DEPTH: usize = 64;

/// Whether the message may be read.
pub fn measure(signal: Signal, bytes: &[u8]) -> Result<(), Refused> {
    let shape = match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
    };
    let mut left = MAX_MESSAGES;
    count(shape, bytes, &mut left, MAX_DEPTH)
}

fn count(shape: &Shape, mut bytes: &[u8], left: &mut usize, depth: usize) -> Result<(), Refused> {
    let broken = || Refused::Malformed("it is no protobuf of this kind".to_owned());
    let deep = || Refused::Malformed(format!("values are nested more than {MAX_DEPTH} deep"));
    let too_many = || Refused::TooLarge { limit: MAX_MESSAGES, unit: "parts" };
    let depth = depth.checked_sub(1).ok_or_else(deep)?;
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or_else(broken)?;
        let skip = match tag & 7 {
            0 => varint(&mut bytes).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut bytes).and_then(|length| usize::try_from(length).ok()),
            5 => Some(4),
            _ => None,
        };
        let (value, rest) = bytes.split_at_checked(skip.ok_or_else(broken)?).ok_or_else(broken)?;
        bytes = rest;
        let within = shape.0.iter().find(|(field, _)| tag & 7 == 2 && *field == tag >> 3);
        if let Some((_, within)) = within {
            *left = left.checked_sub(1).ok_or_else(too_many)?;
            count(within, value, left, depth)?;
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
