//! What came of the arms of a traffic plan: how many of the sessions that each was given failed or
//! were slow, step by step.
//!
//! Sessions are counted, not requests: one client that tries again and again is one piece of
//! evidence. What nobody's session is told of cannot be told apart in this way and is only counted.
//!
//! Copies of requests are no answers that a client got. They are counted with their originals, as two
//! arms of the same sessions.

mod measures;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::scalar::ScalarValue;
use release::{AppName, Currency, EnvironmentName, Money, PlanId};
use release::{ReleaseDigest, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answers::ROOT;
use crate::frame::nanoseconds;
use crate::query::{Queries, QueryError};
use crate::tables::{ERASED, Span};

pub use measures::{ArmMeasure, MEASURES, SCORE, is_measure, measures};

/// The arm of the requests whose copies are counted: what became of the originals.
pub const MIRRORED: &str = "mirrored";

/// What one arm was given in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmOutcomes {
    /// The arm.
    pub arm: String,
    /// The step, from 0.
    pub step: u32,
    /// The sessions whose first request of this arm came in this step.
    pub sessions: u64,
    /// The sessions whose first request of any arm came in this step: those that were assigned.
    pub assigned: u64,
    /// The sessions whose first failure came in this step.
    pub failed: u64,
    /// The sessions whose first slow answer came in this step.
    pub slow: u64,
    /// Requests that belonged to no session.
    pub unstuck: u64,
}

/// A query that counts what is in `answers`. Requests that were cancelled tell nothing: nobody knows
/// how they would have ended.
macro_rules! counted {
    ($($answers:literal),*) => {
        concat!("
WITH bound AS (
    SELECT trace_id AS trace, attributes['groundcrew.copy_of'] AS original,
        arm, CAST(attributes['groundcrew.step'] AS BIGINT) AS step,
        attributes['groundcrew.unit'] AS unit, attributes['groundcrew.unit.stuck'] AS stuck,
        outcome = 'failed' AS failed, duration_ns > $slow AS slow
    FROM spans
    WHERE name = $root AND outcome <> 'cancelled' AND arm IS NOT NULL
        AND attributes['groundcrew.plan'] = $plan AND attributes['groundcrew.unit'] <> $erased
), ", $($answers,)* ", sessions AS (
    SELECT arm, unit, min(step) AS step, min(CASE WHEN failed THEN step END) AS failed,
        min(CASE WHEN slow THEN step END) AS slow
    FROM answers WHERE stuck = 'true' GROUP BY arm, unit
), firsts AS (
    SELECT arm, step, min(step) OVER (PARTITION BY unit) AS first FROM sessions
)
SELECT arm, step, 'sessions' AS what, count(*) AS units FROM sessions GROUP BY arm, step
UNION ALL SELECT arm, step, 'assigned', count(*) FROM firsts WHERE step = first GROUP BY arm, step
UNION ALL SELECT arm, failed, 'failed', count(*) FROM sessions
    WHERE failed IS NOT NULL GROUP BY arm, failed
UNION ALL SELECT arm, slow, 'slow', count(*) FROM sessions WHERE slow IS NOT NULL GROUP BY arm, slow
UNION ALL SELECT arm, step, 'unstuck', count(*) FROM answers WHERE stuck <> 'true' GROUP BY arm, step
ORDER BY arm, step")
    };
}

const OUTCOMES: &str = counted!("answers AS (SELECT * FROM bound WHERE original IS NULL)");

/// A copy counts with its original, and neither without the other: what was dropped, cancelled or is
/// not over yet makes neither of the two look better.
const PAIRS: &str = counted!(
    "pairs AS (
    SELECT copies.arm, copies.failed, copies.slow, bound.step, bound.unit, bound.stuck,
        bound.failed AS first_failed, bound.slow AS first_slow
    FROM bound JOIN bound AS copies ON copies.original = bound.trace WHERE bound.stuck = 'true'
), answers AS (
    SELECT arm, step, unit, stuck, failed, slow FROM pairs UNION ALL
    SELECT $mirrored, step, unit, stuck, first_failed, first_slow FROM pairs
)"
);

/// What came of a plan's arms since it was made, by arm and step. An answer is slow that took more
/// than `slow` nanoseconds.
///
/// # Errors
/// If the query fails, or not everything that was recorded could be looked at.
pub async fn outcomes(
    queries: &Queries,
    tenant: &TenantId,
    (plan, since): (&PlanId, Timestamp),
    slow: Option<u64>,
) -> Result<Vec<ArmOutcomes>, QueryError> {
    let span = Span { from: since, ..Span::ALL };
    count(queries, tenant, span, (OUTCOMES, values(plan, slow))).await
}

/// What the queries of [`counted`] are about.
fn values(plan: &PlanId, slow: Option<u64>) -> Vec<(&'static str, ScalarValue)> {
    let slow = slow.and_then(|slow| i64::try_from(slow).ok()).unwrap_or(i64::MAX);
    vec![
        ("plan", plan.0.as_str().into()),
        ("slow", slow.into()),
        ("root", ROOT.into()),
        ("erased", ERASED.into()),
    ]
}

async fn count(
    queries: &Queries,
    tenant: &TenantId,
    span: Span,
    asked: (&'static str, Vec<(&'static str, ScalarValue)>),
) -> Result<Vec<ArmOutcomes>, QueryError> {
    let answer = queries.whole(tenant, span, asked).await?;
    let mut found: Vec<ArmOutcomes> = Vec::new();
    for (arm, step, what, units) in answer.batches.iter().flat_map(counted) {
        if found.last().is_none_or(|last| last.arm != arm || last.step != step) {
            found.push(ArmOutcomes { arm, step, ..ArmOutcomes::default() });
        }
        let Some(outcomes) = found.last_mut() else { continue };
        match what.as_str() {
            "sessions" => outcomes.sessions = units,
            "assigned" => outcomes.assigned = units,
            "failed" => outcomes.failed = units,
            "slow" => outcomes.slow = units,
            _ => outcomes.unstuck = units,
        }
    }
    Ok(found)
}

fn counted(batch: &RecordBatch) -> Vec<(String, u32, String, u64)> {
    let text = |at: usize| batch.column(at).as_string_opt::<i32>();
    let number = |at: usize| batch.column(at).as_primitive_opt::<Int64Type>();
    let (Some(arm), Some(step), Some(what), Some(units)) = (text(0), number(1), text(2), number(3))
    else {
        return Vec::new();
    };
    let row = |row: usize| {
        let whole = |value: i64| u32::try_from(value).ok();
        let count = u64::try_from(units.value(row)).ok()?;
        let step = whole(step.value(row)).filter(|_| step.is_valid(row))?;
        Some((arm.value(row).to_owned(), step, what.value(row).to_owned(), count))
    };
    (0..batch.num_rows()).filter_map(row).collect()
}

/// What became of the copies of a plan's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// How many were made.
    pub made: u64,
    /// How many were wanted and not made.
    pub dropped: u64,
    /// What those cost that have a price in the currency that was asked for.
    pub spent: Money,
    /// Of those that were wanted lately, how many have no such price, or were not made because others
    /// have none.
    pub unpriced: u64,
}

/// Why copies are dropped once one has no price.
pub const UNPRICED: &str = "unpriced";

/// What failed before a model used anything costs nothing.
const COPIES: &str = "
WITH bound AS (
    SELECT timestamp, cost, currency, attributes['groundcrew.copy_of'] IS NOT NULL AS copy,
        attributes['groundcrew.copy_dropped'] AS dropped,
        coalesce(input_tokens, 0) + coalesce(output_tokens, 0) AS used
    FROM spans WHERE name = $root AND attributes['groundcrew.plan'] = $plan
)
SELECT count(CASE WHEN copy THEN 1 END), count(dropped),
    coalesce(sum(CASE WHEN copy AND currency = $currency THEN cost END), CAST(0 AS DOUBLE)),
    count(CASE WHEN timestamp >= $lately AND (dropped = $unpriced OR (copy AND used > 0
        AND (cost IS NULL OR currency <> $currency))) THEN 1 END)
FROM bound";

/// What became of the copies of a plan's requests since it was made: by arm (the copies', and
/// [`MIRRORED`] for their originals) and step as in [`outcomes`], and all together, priced in
/// `currency`. Those without a price are told of since `lately`.
///
/// # Errors
/// As [`outcomes`].
pub async fn copies(
    queries: &Queries,
    tenant: &TenantId,
    (plan, since): (&PlanId, Timestamp),
    slow: Option<u64>,
    (currency, lately): (Currency, Timestamp),
) -> Result<(Vec<ArmOutcomes>, Copies), QueryError> {
    let span = Span { from: since, ..Span::ALL };
    let mut asked = values(plan, slow);
    asked.push(("mirrored", MIRRORED.into()));
    let arms = count(queries, tenant, span, (PAIRS, asked)).await?;
    let lately = ScalarValue::TimestampNanosecond(Some(nanoseconds(lately)), Some("UTC".into()));
    let asked = vec![
        ("root", ROOT.into()),
        ("plan", plan.0.as_str().into()),
        ("currency", currency.as_str().into()),
        ("unpriced", UNPRICED.into()),
        ("lately", lately),
    ];
    let answer = queries.whole(tenant, span, (COPIES, asked)).await?;
    let told = answer.batches.iter().find(|batch| batch.num_rows() == 1).and_then(|batch| {
        let count = |at: usize| {
            let counted = batch.column(at).as_primitive_opt::<Int64Type>()?;
            u64::try_from(counted.value(0)).ok()
        };
        let cost = batch.column(2).as_primitive_opt::<Float64Type>()?.value(0);
        let spent = Money { currency, nanos: (cost * 1e9).round() as i64 };
        Some(Copies { made: count(0)?, dropped: count(1)?, spent, unpriced: count(3)? })
    });
    let none = || QueryError::Failed("copies cannot be counted".to_owned());
    Ok((arms, told.ok_or_else(none)?))
}

const LATENCY: &str = "
SELECT CAST(approx_percentile_cont(duration_ns, $share) AS BIGINT) FROM spans
WHERE name = $root AND outcome = 'answered' AND app = $app AND environment = $environment
    AND release = $release AND attributes['groundcrew.evaluation'] IS NULL
    AND attributes['groundcrew.copy_of'] IS NULL";

/// Within how many nanoseconds the `share` fastest of a release's answers of a span of time were
/// given; none if there were none.
///
/// # Errors
/// As [`outcomes`].
pub async fn latency(
    queries: &Queries,
    tenant: &TenantId,
    (app, environment, release): (&AppName, &EnvironmentName, ReleaseDigest),
    (share, span): (f64, Span),
) -> Result<Option<u64>, QueryError> {
    let values = vec![
        ("share", share.into()),
        ("root", ROOT.into()),
        ("app", app.as_str().into()),
        ("environment", environment.as_str().into()),
        ("release", release.to_string().as_str().into()),
    ];
    let answer = queries.whole(tenant, span, (LATENCY, values)).await?;
    let told = answer.batches.first().and_then(|batch| {
        let nanoseconds = batch.column(0).as_primitive_opt::<Int64Type>()?;
        let known = nanoseconds.len() == 1 && nanoseconds.is_valid(0);
        known.then(|| u64::try_from(nanoseconds.value(0)).ok())?
    });
    Ok(told)
}

#[cfg(test)]
mod tests;
