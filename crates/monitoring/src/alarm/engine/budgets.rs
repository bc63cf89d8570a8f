//! Objectives: what was counted of them, and how fast their budgets burn.

use std::collections::{BTreeMap, BTreeSet};

use release::Timestamp;
use store::{Expect, StoreError, Transaction};

use super::TenantAlarms;
use super::pass::{Statuses, at, ended, settle, status_of};
use crate::alarm::evaluate::{Point, next};
use crate::alarm::records::{AlarmRecord, BUDGETS, Budget, BurnRate, SloRecord};
use crate::alarm::slo::{Burn, Count, PERIOD, Slo};
use crate::alarm::spec::Watch;
use crate::metrics::MetricStat;
use crate::tables::Span;

const DAY: i64 = 86_400;

impl TenantAlarms {
    /// Evaluates the objectives that are due, and their alarms; tells whether there was one.
    pub(super) async fn budgets(
        &self,
        (slos, records): (&[SloRecord], &[AlarmRecord]),
        (statuses, touched): (&mut Statuses, &mut BTreeSet<String>),
        mut transaction: Transaction,
    ) -> Result<(Transaction, bool), StoreError> {
        let (store, now) = (self.store(), self.shared.clock.now());
        let mut budgeted = false;
        let end = ended(now, PERIOD);
        let mut known = BTreeMap::new();
        for row in store.all(BUDGETS, "").await? {
            known.insert(row.key.clone(), (row.read::<Budget>()?, Expect::Version(row.version)));
        }
        for SloRecord { name, definition, .. } in slos {
            let (mut budget, expect) = known.remove(name).unwrap_or_else(|| {
                let (ledger, burn) = (Default::default(), Vec::new());
                (Budget { ledger, burn, evaluated_at: Timestamp::UNIX_EPOCH }, Expect::Absent)
            });
            if budget.evaluated_at >= end {
                continue;
            }
            let (Ok(slo), Ok(alarms)) = (definition.compile(), definition.alarms()) else {
                continue;
            };
            let longest = definition.burn.iter().map(|burn| burn.long_minutes).max();
            let counted = self.counts(&slo, (longest.unwrap_or_default(), end)).await;
            budget.evaluated_at = end;
            budget.burn.clear();
            if let Ok(counts) = &counted {
                budget.ledger.note(counts, slo.window_days);
            }
            for it in alarms {
                let alarm = format!("{name}.{}", it.suffix);
                let Some(record) = records.iter().find(|record| record.name == alarm) else {
                    continue;
                };
                let Watch::Burn(burn, judge) = &it.alarm.watch else { continue };
                let status = status_of(statuses, &record.name, now);
                let rate = counted.as_ref().ok().and_then(|counts| rate(burn, counts));
                let judged = counted.as_ref().map_err(Clone::clone).map(|_| {
                    let point = Point {
                        at: at(end.as_second() - i64::from(PERIOD)),
                        value: rate,
                        samples: None,
                        band: None,
                    };
                    next(judge, status.state, &[point]).into()
                });
                settle(status, judged, end);
                touched.insert(record.name.clone());
                let factor = judge.threshold.unwrap_or_default();
                let window = it.suffix.trim_start_matches("burn-").to_owned();
                budget.burn.push(BurnRate { window, rate, factor });
            }
            transaction = transaction.put(BUDGETS, name, &budget, expect)?;
            budgeted = true;
        }
        for (name, (_, expect)) in known {
            transaction = transaction.delete(BUDGETS, &name, expect);
            budgeted = true;
        }
        Ok((transaction, budgeted))
    }

    /// What was good, minute by minute: whole days, and at least so many minutes.
    async fn counts(
        &self,
        slo: &Slo,
        (minutes, end): (u32, Timestamp),
    ) -> Result<Vec<(Timestamp, Count)>, String> {
        let back = (i64::from(minutes) * 60).max(DAY);
        let from = (end.as_second() - back).div_euclid(DAY) * DAY;
        let stats: Vec<(String, MetricStat)> = slo
            .indicator
            .metrics()
            .into_iter()
            .enumerate()
            .map(|(index, stat)| (index.to_string(), stat.clone()))
            .collect();
        let inputs = self.inputs(&stats, Span { from: at(from), until: end }).await?;
        let length = inputs.values().map(Vec::len).max().unwrap_or_default();
        let count = |index: usize| {
            let numbers: Vec<_> =
                inputs.values().map(|line| line.get(index).and_then(|cell| cell.0)).collect();
            (at(from + index as i64 * i64::from(PERIOD)), slo.indicator.count(&numbers))
        };
        Ok((0..length).map(count).collect())
    }
}

fn rate(burn: &Burn, counts: &[(Timestamp, Count)]) -> Option<f64> {
    let counts: Vec<Count> = counts.iter().map(|(_, count)| *count).collect();
    burn.rate(&counts)
}
