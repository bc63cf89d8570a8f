//! What evaluators and people thought: `gen_ai.evaluation.result`, on spans and as log records.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use release::Timestamp;

use super::limits::{MAX_COLUMN, MAX_TEXT, MAX_VALUE};
use super::values;
use crate::attributes as name;
use crate::rows::{Origin, Score};

/// What a score is about.
#[derive(Debug)]
pub struct About {
    pub trace_id: String,
    pub span_id: String,
    pub response_id: String,
    pub at: Timestamp,
    pub origin: Origin,
}

/// The score that an event's attributes tell.
pub fn score(attributes: &[KeyValue], about: About) -> Score {
    let About { trace_id, span_id, response_id, at, origin } = about;
    let mut score = Score { trace_id, span_id, response_id, at, origin, ..Score::default() };
    for pair in attributes {
        let Some(value) = pair.value.as_ref().and_then(|value| value.value.as_ref()) else {
            continue;
        };
        match pair.key.as_str() {
            name::EVALUATION_NAME => score.name = column(value),
            name::EVALUATION_VALUE => score.value = values::number(value),
            name::EVALUATION_LABEL => score.label = column(value),
            name::EVALUATION_EXPLANATION => {
                score.explanation = start(value, MAX_TEXT);
            }
            name::ERROR_TYPE => score.error_type = column(value),
            name::RESPONSE_ID => score.response_id = column(value),
            // Where it comes from has columns of its own.
            name::APP | name::ENVIRONMENT | name::RELEASE | name::SERVICE_NAME => {}
            key => {
                let key = super::limits::start(key, super::limits::MAX_NAME).to_owned();
                score.attributes.push((key, start(value, MAX_VALUE)));
            }
        }
    }
    score.attributes.sort_by(|one, other| one.0.cmp(&other.0));
    score.attributes.dedup_by(|later, first| later.0 == first.0);
    score
}

fn column(value: &Value) -> String {
    start(value, MAX_COLUMN)
}

fn start(value: &Value, most: usize) -> String {
    super::limits::start(&values::text(value), most).to_owned()
}
