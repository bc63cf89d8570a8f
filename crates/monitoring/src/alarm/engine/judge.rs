//! From an alarm that is due to what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use release::Timestamp;

use super::TenantAlarms;
use super::pass::at;
use crate::alarm::State;
use crate::alarm::band::TRAINING;
use crate::alarm::evaluate::{Judge, Point, Verdict, next};
use crate::alarm::records::{AlarmRecord, AlarmStatus};
use crate::alarm::spec::{Alarm, Query, Watch, Watched};
use crate::alarm::watch::several;
use crate::metrics::MetricStat;
use crate::tables::Span;

/// What came of an evaluation.
pub(super) struct Judgement {
    pub verdict: Verdict,
    pub series: BTreeMap<String, State>,
    pub recent: Vec<(Timestamp, BTreeMap<String, Option<f64>>)>,
}

/// A period's value, and of how many samples.
type Sample = (Option<f64>, Option<u64>);

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, series: BTreeMap::new(), recent: Vec::new() }
    }
}

impl TenantAlarms {
    pub(super) async fn judge(
        &self,
        record: &AlarmRecord,
        (alarm, status): (&Alarm, &AlarmStatus),
        end: Timestamp,
    ) -> Result<Judgement, String> {
        match &alarm.watch {
            Watch::Metrics(watched, judge) if watched.group_by.is_empty() => {
                self.metrics(&record.name, (watched, judge), (status, end)).await
            }
            Watch::Metrics(watched, judge) => {
                let Some((_, stat)) = watched.inputs.first() else {
                    return Err("it watches nothing".to_owned());
                };
                let span = span(end, judge.fetched(), alarm.period);
                let asked = (stat, watched.group_by.as_slice());
                let groups = self.shared.datapoints.grouped(&self.tenant, asked, span).await?;
                let points = |points: Vec<crate::metrics::Datapoint>| {
                    let point = |it: crate::metrics::Datapoint| Point {
                        at: it.at,
                        value: it.value,
                        samples: it.samples,
                        band: None,
                    };
                    points.into_iter().map(point).collect()
                };
                let series = groups.into_iter().map(|(name, it)| (name, points(it))).collect();
                let judged = several(judge, &status.series, &series);
                Ok(Judgement { series: judged.states, ..judged.verdict.into() })
            }
            Watch::Query(query, judge) => {
                self.query((query, judge), (status, end), alarm.period).await
            }
            // They are judged elsewhere, with others.
            Watch::Composite(..) | Watch::Burn(..) => Ok(next_of(status)),
        }
    }

    /// The numbers of each metric over a span.
    pub(super) async fn inputs(
        &self,
        stats: &[(String, MetricStat)],
        span: Span,
    ) -> Result<BTreeMap<String, Vec<Sample>>, String> {
        let mut inputs = BTreeMap::new();
        for (id, stat) in stats {
            let points = self.shared.datapoints.metric(&self.tenant, stat, span).await?;
            let period = i64::from(stat.period);
            let length = (span.until.as_second() - span.from.as_second()) / period;
            let mut line = vec![(None, None); usize::try_from(length).unwrap_or_default()];
            for point in points {
                let index = (point.at.as_second() - span.from.as_second()).div_euclid(period);
                if let Some(cell) = usize::try_from(index).ok().and_then(|it| line.get_mut(it)) {
                    *cell = (point.value, point.samples);
                }
            }
            inputs.insert(id.clone(), line);
        }
        Ok(inputs)
    }

    async fn metrics(
        &self,
        name: &str,
        (watched, judge): (&Watched, &Judge),
        (status, end): (&AlarmStatus, Timestamp),
    ) -> Result<Judgement, String> {
        let Some(period) = watched.inputs.first().map(|(_, stat)| stat.period) else {
            return Err("it watches nothing".to_owned());
        };
        let window = span(end, judge.fetched(), period);
        let judged = |inputs: &BTreeMap<String, Vec<Sample>>| {
            let length = inputs.values().map(Vec::len).max().unwrap_or_default();
            let lines = inputs.iter();
            let lines = lines.map(|(id, line)| (id.clone(), line.iter().map(|it| it.0).collect()));
            watched.judged(lines.collect(), (length, period)).map_err(|error| error.to_string())
        };
        let inputs = self.inputs(&watched.inputs, window).await?;
        let values = judged(&inputs)?;
        let samples = inputs.get(&watched.returned).filter(|_| watched.expressions.is_empty());
        let mut learner = None;
        if let Some(band) = &watched.band {
            let key = (self.tenant.clone(), name.to_owned());
            let known = self.shared.learners.lock().ok().and_then(|it| it.get(&key).cloned());
            let mut known = known.unwrap_or_default();
            if known.is_old(window.from) {
                // Nothing that is judged is learned from.
                let from = window.from.as_second() - TRAINING;
                let training = Span { from: at(from), until: window.from };
                let history = judged(&self.inputs(&watched.inputs, training).await?)?;
                let moment = |index: usize| at(from + index as i64 * i64::from(period));
                let history: Vec<_> = history
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, value)| Some((moment(index), value?)))
                    .collect();
                known.learn(&history, band, window.from);
                if let Ok(mut learners) = self.shared.learners.lock() {
                    learners.insert(key, known.clone());
                }
            }
            learner = Some((known, band.width));
        }
        let points: Vec<Point> = values
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let at = at(window.from.as_second() + index as i64 * i64::from(period));
                let samples = samples.and_then(|line| line.get(index)?.1);
                let band = learner.as_ref().and_then(|(learner, width)| learner.band(at, *width));
                Point { at, value, samples, band }
            })
            .collect();
        Ok(next(judge, status.state, &points).into())
    }

    /// Asks for the newest period, and judges it with those that were asked for before.
    async fn query(
        &self,
        (query, judge): (&Query, &Judge),
        (status, end): (&AlarmStatus, Timestamp),
        period: u32,
    ) -> Result<Judgement, String> {
        let newest = span(end, 1, period);
        let numbers = self.shared.datapoints.query(&self.tenant, query, newest).await?;
        let window = span(end, judge.fetched(), period);
        let mut recent = status.recent.clone();
        recent.retain(|(at, _)| (window.from..newest.from).contains(at));
        recent.push((newest.from, numbers));
        let names: BTreeSet<&String> = recent.iter().flat_map(|(_, it)| it.keys()).collect();
        let moments = (0..judge.fetched() as i64)
            .map(|index| at(window.from.as_second() + index * i64::from(period)));
        let points = |name: &String| -> Vec<Point> {
            let value = |moment: Timestamp| {
                let found = recent.iter().find(|(at, _)| *at == moment);
                found.and_then(|(_, numbers)| *numbers.get(name)?)
            };
            let point = |at| Point { at, value: value(at), samples: None, band: None };
            moments.clone().map(point).collect()
        };
        let series: BTreeMap<String, Vec<Point>> =
            names.iter().map(|name| ((*name).clone(), points(name))).collect();
        let single = series.len() <= 1 && series.keys().all(String::is_empty);
        let single = single && status.series.is_empty();
        let none = points(&String::new());
        let judged: Judgement = if single {
            next(judge, status.state, series.values().next().unwrap_or(&none)).into()
        } else {
            let judged = several(judge, &status.series, &series);
            Judgement { series: judged.states, ..judged.verdict.into() }
        };
        Ok(Judgement { recent, ..judged })
    }
}

fn span(end: Timestamp, periods: usize, period: u32) -> Span {
    Span { from: at(end.as_second() - periods as i64 * i64::from(period)), until: end }
}

/// What an alarm has that is judged with others: the same as before.
fn next_of(status: &AlarmStatus) -> Judgement {
    let (state, reason) = (status.state, status.reason.clone());
    Verdict { state, reason, datapoints: Vec::new(), filled: 0 }.into()
}
