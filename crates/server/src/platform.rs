//! What the server measures of itself. Every ten seconds it goes to the default tenant's metrics,
//! where alarms and dashboards find it as any other.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use monitoring::attributes::METRIC_START;
use monitoring::metrics::declared::{self, Declared};
use monitoring::metrics::{Instrument, Reading, RollupStats};
use monitoring::rows::{Batch, MetricPoint};
use release::TenantId;

use crate::api::Api;

/// How often it is measured.
const PAUSE: Duration = Duration::from_secs(10);
/// The kernel's ticks of a second, as `/proc` tells times (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Measures for good.
pub async fn watch(api: Arc<Api>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let now = api.clock.now();
        let started = api.rollups.started().as_nanosecond().to_string();
        let metrics = readings(&api).into_iter().map(|reading| {
            let Reading { metric, labels, value } = reading;
            let kind = if metric.instrument == Instrument::Counter { "counter" } else { "gauge" };
            let mut attributes: Vec<_> = labels.into_iter().collect();
            attributes.push((METRIC_START.to_owned(), started.clone()));
            MetricPoint {
                name: metric.name.to_owned(),
                kind: kind.to_owned(),
                unit: metric.unit.to_owned(),
                at: now,
                value: Some(value),
                attributes,
                ..MetricPoint::default()
            }
        });
        let batch = Batch { metrics: metrics.collect(), ..Batch::default() };
        api.rollups.observe(&TenantId::DEFAULT, &batch, now);
    }
}

/// What there is to measure, now.
pub fn readings(api: &Api) -> Vec<Reading> {
    let (log, tables) = (api.telemetry.log.stats(), api.telemetry.tables.stats());
    let rollups = &api.rollups;
    let held = rollups.tenants().iter().map(|tenant| rollups.stats(tenant)).fold(
        RollupStats::default(),
        |all, of| RollupStats {
            series: all.series + of.series,
            bytes: all.bytes + of.bytes,
            overflowed: all.overflowed + of.overflowed,
            late: all.late + of.late,
            clamped: all.clamped + of.clamped,
            ..all
        },
    );
    let uptime = api.clock.now().as_second() - rollups.started().as_second();
    let mut readings = Vec::new();
    let mut read = |metric: &'static Declared, value: Option<f64>| {
        readings.extend(value.map(|value| Reading { metric, labels: BTreeMap::new(), value }));
    };
    read(&declared::LOG_BYTES, Some(log.bytes as f64));
    read(&declared::LOG_APPENDED, Some(log.appended as f64));
    read(&declared::LOG_REFUSED, Some(log.refused as f64));
    read(&declared::LOG_CORRUPT, Some(tables.corrupt as f64));
    read(&declared::LOG_SHED, Some(log.shed as f64));
    read(&declared::LOG_ROOM, Some(log.room as f64));
    read(&declared::LOG_BEHIND, Some(tables.behind as f64));
    read(&declared::SERIES, Some(held.series as f64));
    read(&declared::SERIES_BYTES, Some(held.bytes as f64));
    read(&declared::OVERFLOWED, Some(held.overflowed as f64));
    read(&declared::LATE, Some(held.late as f64));
    read(&declared::CLAMPED, Some(held.clamped as f64));
    read(&declared::MEMORY, memory());
    read(&declared::CPU, processor_time());
    read(&declared::OPEN_FILES, open_files());
    read(&declared::UPTIME, Some(uptime as f64));
    readings
}

/// Resident bytes. Only Linux tells.
fn memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// Seconds of user and system time.
fn processor_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold anything; the times are the 14th and 15th field.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_what_this_process_takes() {
        if !std::path::Path::new("/proc/self/stat").exists() {
            return;
        }
        assert!(super::memory().unwrap() > 1e6);
        assert!(super::processor_time().is_some_and(|seconds| (0.0..1e6).contains(&seconds)));
        assert!(super::open_files().unwrap() >= 3.0);
    }
}
