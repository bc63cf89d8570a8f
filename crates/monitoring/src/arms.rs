//! What came of the arms of a traffic plan: how many of the sessions that each was given failed or
//! were slow, step by step.
//!
//! Sessions are counted, not requests: one client that tries again and again is one piece of
//! evidence. What nobody's session is told of cannot be told apart in this way and is only counted.

mod measures;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use release::{AppName, EnvironmentName, PlanId, ReleaseDigest, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answers::ROOT;
use crate::query::{Queries, QueryError};
use crate::tables::{ERASED, Span};

pub use measures::{ArmMeasure, MEASURES, SCORE, is_measure, measures};

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

/// Requests that were cancelled tell nothing: nobody knows how they would have ended.
const OUTCOMES: &str = "
WITH answers AS (
    SELECT arm, CAST(attributes['groundcrew.step'] AS BIGINT) AS step,
        attributes['groundcrew.unit'] AS unit, attributes['groundcrew.unit.stuck'] AS stuck,
        outcome = 'failed' AS failed, duration_ns > $slow AS slow
    FROM spans
    WHERE name = $root AND outcome <> 'cancelled' AND arm IS NOT NULL
        AND attributes['groundcrew.plan'] = $plan AND attributes['groundcrew.unit'] <> $erased
), sessions AS (
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
ORDER BY arm, step";

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
    let slow = slow.and_then(|slow| i64::try_from(slow).ok()).unwrap_or(i64::MAX);
    let values = vec![
        ("plan", plan.0.as_str().into()),
        ("slow", slow.into()),
        ("root", ROOT.into()),
        ("erased", ERASED.into()),
    ];
    let span = Span { from: since, ..Span::ALL };
    let answer = queries.whole(tenant, span, (OUTCOMES, values)).await?;
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

const LATENCY: &str = "
SELECT CAST(approx_percentile_cont(duration_ns, $share) AS BIGINT) FROM spans
WHERE name = $root AND outcome = 'answered' AND app = $app AND environment = $environment
    AND release = $release AND attributes['groundcrew.evaluation'] IS NULL";

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
