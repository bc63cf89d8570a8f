//! What was measured of an arm's sessions: one number a session, added up.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use release::{PlanId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answers::ROOT;
use crate::query::{Queries, QueryError};
use crate::tables::{ERASED, Span};

/// What every session has.
pub const MEASURES: [&str; 6] =
    ["cost", "failures", "input_tokens", "latency", "output_tokens", "requests"];
/// What the name of a measure begins with that is the mean of a session's scores of that name.
pub const SCORE: &str = "score.";

/// Whether something can be measured of sessions: one of [`MEASURES`], or `score.NAME`.
pub fn is_measure(name: &str) -> bool {
    MEASURES.contains(&name) || name.strip_prefix(SCORE).is_some_and(|score| !score.is_empty())
}

/// One measure of the sessions of an arm whose first request of it came in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmMeasure {
    /// The arm.
    pub arm: String,
    /// The step, from 0.
    pub step: u32,
    /// What is measured: a session's requests, whether it failed (1 or 0), its cost in the currency
    /// that all its plan's answers have, its tokens, the mean latency of its answers in seconds, or
    /// the mean of its scores.
    pub measure: String,
    /// How many sessions it is known of.
    pub sessions: u64,
    /// The sum of their numbers.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_of_squares: f64,
}

/// A session's cost is known if that of each of its answers is, all in one currency.
const SUMS: &str = "
WITH answers AS (
    SELECT trace_id, arm, CAST(attributes['groundcrew.step'] AS BIGINT) AS step,
        attributes['groundcrew.unit'] AS unit, outcome, duration_ns, input_tokens, output_tokens,
        cost, currency
    FROM spans
    WHERE name = $root AND outcome <> 'cancelled' AND arm IS NOT NULL
        AND attributes['groundcrew.plan'] = $plan AND attributes['groundcrew.unit'] <> $erased
        AND attributes['groundcrew.unit.stuck'] = 'true'
), currencies AS (
    SELECT count(DISTINCT currency) AS many FROM answers
), sessions AS (
    SELECT arm, unit, min(step) AS step, CAST(count(*) AS DOUBLE) AS requests,
        max(CASE WHEN outcome = 'failed' THEN 1.0 ELSE 0.0 END) AS failures,
        avg(CASE WHEN outcome = 'answered' THEN CAST(duration_ns AS DOUBLE) / 1e9 END) AS latency,
        CAST(sum(input_tokens) AS DOUBLE) AS input_tokens,
        CAST(sum(output_tokens) AS DOUBLE) AS output_tokens,
        CASE WHEN count(CASE WHEN outcome = 'answered' AND cost IS NULL THEN 1 END) = 0
            AND (SELECT many FROM currencies) = 1 THEN sum(cost) END AS cost
    FROM answers GROUP BY arm, unit
), measured AS (
    SELECT arm, step, 'requests' AS measure, requests AS value FROM sessions
    UNION ALL SELECT arm, step, 'failures', failures FROM sessions
    UNION ALL SELECT arm, step, 'latency', latency FROM sessions
    UNION ALL SELECT arm, step, 'input_tokens', input_tokens FROM sessions
    UNION ALL SELECT arm, step, 'output_tokens', output_tokens FROM sessions
    UNION ALL SELECT arm, step, 'cost', cost FROM sessions
    UNION ALL SELECT arm, min(step), measure, avg(value) FROM (
        SELECT answers.arm AS arm, answers.unit AS unit, answers.step AS step,
            concat($score, scores.name) AS measure, scores.value AS value
        FROM answers JOIN scores ON answers.trace_id = scores.trace_id
        WHERE scores.value IS NOT NULL
    ) AS scored GROUP BY arm, unit, measure
)
SELECT arm, step, measure, count(*), sum(value), sum(value * value) FROM measured
WHERE value IS NOT NULL GROUP BY arm, step, measure ORDER BY arm, step, measure";

/// What was measured of the sessions of a plan's arms since it was made. What is known of no session
/// is not there.
///
/// # Errors
/// If the query fails, or not everything that was recorded could be looked at.
pub async fn measures(
    queries: &Queries,
    tenant: &TenantId,
    (plan, since): (&PlanId, Timestamp),
) -> Result<Vec<ArmMeasure>, QueryError> {
    let values = vec![
        ("plan", plan.0.as_str().into()),
        ("root", ROOT.into()),
        ("erased", ERASED.into()),
        ("score", SCORE.into()),
    ];
    let span = Span { from: since, ..Span::ALL };
    let answer = queries.whole(tenant, span, (SUMS, values)).await?;
    Ok(answer.batches.iter().flat_map(sums).collect())
}

fn sums(batch: &RecordBatch) -> Vec<ArmMeasure> {
    let text = |at: usize| batch.column(at).as_string_opt::<i32>();
    let whole = |at: usize| batch.column(at).as_primitive_opt::<Int64Type>();
    let number = |at: usize| batch.column(at).as_primitive_opt::<Float64Type>();
    let (Some(arms), Some(steps), Some(names)) = (text(0), whole(1), text(2)) else {
        return Vec::new();
    };
    let (Some(counts), Some(sums), Some(squares)) = (whole(3), number(4), number(5)) else {
        return Vec::new();
    };
    let row = |row: usize| {
        let step = steps.is_valid(row).then(|| u32::try_from(steps.value(row)).ok())??;
        Some(ArmMeasure {
            arm: arms.value(row).to_owned(),
            step,
            measure: names.value(row).to_owned(),
            sessions: u64::try_from(counts.value(row)).ok()?,
            sum: sums.value(row),
            sum_of_squares: squares.value(row),
        })
    };
    (0..batch.num_rows()).filter_map(row).collect()
}
