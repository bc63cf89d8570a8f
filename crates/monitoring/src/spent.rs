//! What a release's answers cost.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use release::{AppName, Currency, EnvironmentName, ReleaseDigest, TenantId};

use crate::answers::ROOT;
use crate::query::{Queries, QueryError};
use crate::tables::Span;

/// What answers cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// How many were given.
    pub answers: u64,
    /// How many of them have a price in the currency that was asked for.
    pub priced: u64,
    /// What these cost, in whole units of it.
    pub cost: f64,
}

/// What was blocked, or failed before a model was asked, has no price: only answers count.
const SPENT: &str = "
SELECT count(*), count(CASE WHEN currency = $currency THEN cost END),
    coalesce(sum(CASE WHEN currency = $currency THEN cost END), CAST(0 AS DOUBLE))
FROM spans
WHERE name = $root AND outcome = 'answered' AND app = $app AND environment = $environment AND release = $release";

/// What the answers of a release cost that were given in a span of time.
///
/// # Errors
/// If the query fails, or not everything that was recorded could be looked at.
pub async fn spent(
    queries: &Queries,
    tenant: &TenantId,
    (app, environment, release): (&AppName, &EnvironmentName, ReleaseDigest),
    (currency, span): (Currency, Span),
) -> Result<Spent, QueryError> {
    let values = vec![
        ("root", ROOT.into()),
        ("currency", currency.as_str().into()),
        ("app", app.as_str().into()),
        ("environment", environment.as_str().into()),
        ("release", release.to_string().as_str().into()),
    ];
    let answer = queries.whole(tenant, span, (SPENT, values)).await?;
    let told = answer.batches.iter().find(|batch| batch.num_rows() == 1).and_then(|batch| {
        let count = |at: usize| {
            let counted = batch.column(at).as_primitive_opt::<Int64Type>()?;
            u64::try_from(counted.value(0)).ok()
        };
        let cost = batch.column(2).as_primitive_opt::<Float64Type>()?.value(0);
        Some(Spent { answers: count(0)?, priced: count(1)?, cost })
    });
    Ok(told.unwrap_or_default())
}

#[cfg(test)]
mod tests;
