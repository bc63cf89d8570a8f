//! Requests of clients, drawn at random from what was recorded.
//!
//! The gateway draws a trace's id at random when a request arrives, whatever is asked. So whichever
//! order of the ids a seed gives, the first of them are a uniform draw of the requests; and the
//! same seed draws the same from the same requests.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::TimestampNanosecondType;
use release::{AppName, Digest, EnvironmentName, TenantId, Timestamp};

use crate::answers::ROOT;
use crate::query::{Queries, QueryError};
use crate::record::TraceId;
use crate::tables::Span;

/// The most requests that are drawn at once.
pub const MOST: usize = 5_000;

/// Requests whose content was recorded, that were composed for a model (a call for vectors never
/// is), and that nobody asked for an evaluation.
const DRAWN: &str = "
SELECT trace_id FROM spans
WHERE name = $root AND outcome IS NOT NULL AND app = $app AND environment = $environment
    AND attributes['groundcrew.evaluation'] IS NULL AND attributes['groundcrew.copy_of'] IS NULL
    AND input_payloads IS NOT NULL
    AND trace_id IN (SELECT trace_id FROM spans WHERE name = 'compose')
ORDER BY translate(concat(substr(trace_id, $turn), substr(trace_id, 1, $turn - 1)),
    '0123456789abcdef', $digits)
LIMIT 5000";

/// The requests of an app's clients in an environment and a span of time, in the order of a draw:
/// the first `n` are a uniform draw of `n`. At most [`MOST`] are told.
///
/// # Errors
/// If the query fails, or not everything that was recorded could be looked at.
pub async fn draw(
    queries: &Queries,
    tenant: &TenantId,
    (app, environment): (&AppName, &EnvironmentName),
    (span, seed): (Span, u64),
) -> Result<Vec<TraceId>, QueryError> {
    let (turn, digits) = order(seed);
    let values = vec![
        ("root", ROOT.into()),
        ("app", app.as_str().into()),
        ("environment", environment.as_str().into()),
        ("turn", turn.into()),
        ("digits", digits.as_str().into()),
    ];
    let answer = queries.whole(tenant, span, (DRAWN, values)).await?;
    let ids = answer.batches.iter().filter_map(|batch| batch.column(0).as_string_opt::<i32>());
    Ok(ids.flat_map(|ids| ids.iter().flatten()).filter_map(|id| id.parse().ok()).collect())
}

/// How many requests [`arrived`] tells at most.
pub const PAGE: usize = 10_000;

/// What clients were answered, in the order of its coming.
const ARRIVED: &str = "
SELECT trace_id, timestamp FROM spans
WHERE name = $root AND outcome = 'answered' AND app = $app AND environment = $environment
    AND attributes['groundcrew.evaluation'] IS NULL AND attributes['groundcrew.copy_of'] IS NULL
    AND trace_id IN (SELECT trace_id FROM spans WHERE name = 'compose')
ORDER BY timestamp, trace_id LIMIT 10000";

/// The answered requests of an app's clients in an environment that arrived in a span of time, the
/// oldest first; the first [`PAGE`] of them.
///
/// # Errors
/// As [`draw`].
pub async fn arrived(
    queries: &Queries,
    tenant: &TenantId,
    (app, environment): (&AppName, &EnvironmentName),
    span: Span,
) -> Result<Vec<(TraceId, Timestamp)>, QueryError> {
    let values = vec![
        ("root", ROOT.into()),
        ("app", app.as_str().into()),
        ("environment", environment.as_str().into()),
    ];
    let answer = queries.whole(tenant, span, (ARRIVED, values)).await?;
    let mut found = Vec::new();
    for batch in &answer.batches {
        let ids = batch.column(0).as_string_opt::<i32>();
        let moments = batch.column(1).as_primitive_opt::<TimestampNanosecondType>();
        let Some((ids, moments)) = ids.zip(moments) else { continue };
        found.extend((0..batch.num_rows()).filter_map(|row| {
            let at = Timestamp::from_nanosecond(i128::from(moments.value(row))).ok()?;
            Some((ids.value(row).parse().ok()?, at))
        }));
    }
    Ok(found)
}

/// The order that a seed gives: where an id is cut before its parts are exchanged, from 1, and what
/// each of its digits counts for.
fn order(seed: u64) -> (i64, String) {
    let digest = Digest::of_fields([b"draw".as_slice(), &seed.to_be_bytes()]);
    let bytes = digest.as_bytes();
    let mut digits: Vec<u8> = b"0123456789abcdef".to_vec();
    for (place, byte) in (1..digits.len()).rev().zip(&bytes[1..]) {
        digits.swap(place, usize::from(*byte) % (place + 1));
    }
    let turn = i64::from(bytes[0] % 32) + 1;
    (turn, digits.into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests;
