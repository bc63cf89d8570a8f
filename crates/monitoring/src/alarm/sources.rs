//! Where alarms have their numbers from: metrics from memory, queries from the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use release::TenantId;

use super::engine::Datapoints;
use super::spec::Query;
use crate::ask::{Ask, ask};
use crate::metrics::{Datapoint, MetricStat, Rollups};
use crate::query::Queries;
use crate::tables::Span;

/// The most series that a query may give.
const MAX_SERIES: usize = 500;

/// The numbers of this installation.
#[derive(Debug)]
pub struct Sources {
    /// Metrics.
    pub rollups: Arc<Rollups>,
    /// Queries of the tables.
    pub queries: Queries,
}

#[async_trait]
impl Datapoints for Sources {
    async fn metric(
        &self,
        tenant: &TenantId,
        stat: &MetricStat,
        span: Span,
    ) -> Result<Vec<Datapoint>, String> {
        Ok(self.rollups.datapoints(tenant, stat, span.from, span.until))
    }

    async fn grouped(
        &self,
        tenant: &TenantId,
        (stat, by): (&MetricStat, &[String]),
        span: Span,
    ) -> Result<BTreeMap<String, Vec<Datapoint>>, String> {
        let series = self.rollups.series(tenant, stat, by, (span.from, span.until));
        let name = |dimensions: &BTreeMap<String, String>| {
            let by = by.iter().map(|name| {
                let value = dimensions.get(name).map_or("", String::as_str);
                format!("{name}={value}")
            });
            by.collect::<Vec<_>>().join(", ")
        };
        Ok(series.into_iter().map(|it| (name(&it.dimensions), it.datapoints)).collect())
    }

    async fn query(
        &self,
        tenant: &TenantId,
        query: &Query,
        span: Span,
    ) -> Result<BTreeMap<String, Option<f64>>, String> {
        let asked = Ask {
            text: query.text.clone(),
            language: query.language,
            span,
            now: span.until,
            limit: Some(MAX_SERIES + 1),
        };
        let asked = ask(&self.queries, tenant, &asked).await;
        numbers(asked.map_err(|error| error.to_string())?.results.batches())
    }
}

/// The numbers of an answer: one, or one in the last column of each row, by the names in the others.
fn numbers(batches: &[RecordBatch]) -> Result<BTreeMap<String, Option<f64>>, String> {
    let mut numbers = BTreeMap::new();
    for batch in batches {
        let Some((last, names)) = batch.columns().split_last() else { continue };
        let column = batch.schema().fields().last().map(|field| field.name().clone());
        let wrong = |_| format!("the column `{}` holds no numbers", column.unwrap_or_default());
        let values = cast(last, &DataType::Float64).map_err(wrong)?;
        let values = values.as_primitive::<Float64Type>();
        let names: Vec<ArrayRef> = names
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        for row in 0..batch.num_rows() {
            let part = |column: &ArrayRef| {
                let column = column.as_string::<i32>();
                if column.is_null(row) { "-".to_owned() } else { column.value(row).to_owned() }
            };
            let name = names.iter().map(part).collect::<Vec<_>>().join(", ");
            let value = (!values.is_null(row)).then(|| values.value(row));
            if numbers.insert(name.clone(), value.filter(|value| value.is_finite())).is_some() {
                return Err(match name.as_str() {
                    "" => "the query gives several numbers, and no names beside them".to_owned(),
                    name => format!("the query gives several numbers of the name `{name}`"),
                });
            }
        }
    }
    if numbers.len() > MAX_SERIES {
        let count = numbers.len();
        return Err(format!("the query gives {count} series, more than the {MAX_SERIES} allowed"));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests;
