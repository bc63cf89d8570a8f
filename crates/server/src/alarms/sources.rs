//! Where alarms have their numbers from.

use std::collections::BTreeMap;

use async_trait::async_trait;
use monitoring::alarm::engine::{Datapoints, Span};
use monitoring::alarm::spec::Query;
use monitoring::metrics::{Datapoint, MetricStat};
use release::TenantId;

/// The numbers of this installation. As long as metrics are not kept, it says so.
#[derive(Debug)]
pub struct Sources;

const NOTHING: &str = "metrics are not kept by this server";

#[async_trait]
impl Datapoints for Sources {
    async fn metric(
        &self,
        _: &TenantId,
        _: &MetricStat,
        _: Span,
    ) -> Result<Vec<Datapoint>, String> {
        Err(NOTHING.to_owned())
    }

    async fn grouped(
        &self,
        _: &TenantId,
        _: (&MetricStat, &[String]),
        _: Span,
    ) -> Result<BTreeMap<String, Vec<Datapoint>>, String> {
        Err(NOTHING.to_owned())
    }

    async fn query(
        &self,
        _: &TenantId,
        _: &Query,
        _: Span,
    ) -> Result<BTreeMap<String, Option<f64>>, String> {
        Err(NOTHING.to_owned())
    }
}
