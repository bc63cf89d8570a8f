//! What is known of a rollout at a moment, and what that amounts to.

use evaluation::statistics::binomial::{ln_e_above, ln_e_below};
use evaluation::statistics::errors::{self, Evidence, Settings, Step};
use evaluation::statistics::ratio::{self, Period};
use evaluation::statistics::{Verdict, latency};
use monitoring::arms::{ArmOutcomes, Copies, MIRRORED};
use release::{BUCKETS, SHADOW, Timestamp};
use serde::{Deserialize, Serialize};

use super::rules::EvidenceFile;
use super::{CANARY, CONTROL, Rollout};

/// What was seen of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// When.
    pub at: Timestamp,
    /// What came of its arms, step by step: all else follows from it.
    pub outcomes: Vec<ArmOutcomes>,
    /// What became of its copies; none if it makes none, or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<Copies>,
    /// How often its arms failed.
    pub failures: Option<Evidence>,
    /// How often they were slow; none if that is not judged.
    pub slow: Option<Evidence>,
    /// An alarm that went off since it began.
    pub alarm: Option<String>,
    /// What all of it amounts to.
    pub finding: Finding,
    /// Why.
    pub why: String,
}

/// What evidence amounts to, the gravest first: one metric's harm is harm, and only if all are safe
/// is a candidate safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The candidate does harm.
    Harm,
    /// It cannot be told: a query failed, or sessions are not split as they should be.
    Error,
    /// Nothing was seen yet.
    NoData,
    /// There is not enough evidence yet.
    Inconclusive,
    /// The candidate does no harm.
    Safe,
}

impl From<Verdict> for Finding {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Harm => Self::Harm,
            Verdict::Safe => Self::Safe,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::NoData => Self::NoData,
        }
    }
}

impl EvidenceFile {
    /// The settings of each of `metrics` metrics. Harm in any of them rolls back, so each has its
    /// part of what may be wrong.
    pub(super) fn settings(&self, metrics: u32) -> Settings {
        Settings {
            alpha: self.alpha / f64::from(metrics),
            r_tol: self.tolerated_ratio,
            r_max: self.worst_ratio,
            p_ok: (self.healthy_rate > 0.0).then_some(self.healthy_rate),
            floor: self.fewest_failures,
        }
    }
}

impl Looked {
    /// What `outcomes` amount to for `rollout`. An `Err` says why they are not known.
    pub fn at(
        at: Timestamp,
        rollout: &Rollout,
        outcomes: Result<Vec<ArmOutcomes>, String>,
        alarm: Option<String>,
    ) -> Self {
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(why) => {
                let (failures, slow, finding) = (None, None, Finding::Error);
                let (outcomes, copies) = (Vec::new(), None);
                return Self { at, outcomes, copies, failures, slow, alarm, finding, why };
            }
        };
        let wanted = rollout.rules.evidence.latency_quantile > 0.0;
        let settings = rollout.rules.evidence.settings(1 + u32::from(wanted));
        let compared = rollout.rules.steps.iter().any(|step| step.is_compared());
        let (mut failures, mut slow, mut told) = (None, None, Vec::new());
        if compared {
            let judged = errors::judge(&steps(rollout, &outcomes, |arm| arm.failed), &settings);
            told.push((judged.verdict.into(), format!("failures: {}", judged.reason())));
            failures = Some(judged);
        } else {
            told.push(alone(&outcomes, &rollout.rules.evidence));
        }
        if wanted && rollout.slow.is_some() {
            let judged = latency::judge(&steps(rollout, &outcomes, |arm| arm.slow), &settings);
            told.push((judged.verdict.into(), format!("slow answers: {}", judged.reason())));
            slow = Some(judged);
        } else if wanted {
            let why = "how fast the control was before is not known: it gave no answers";
            told.push((Finding::NoData, why.to_owned()));
        }
        if ratio::mismatch(&periods(rollout, &outcomes)) {
            let why =
                "sessions are not split as the weights say: what was counted compares nothing";
            told.push((Finding::Error, why.to_owned()));
        }
        // The gravest is what counts; all are there.
        let (finding, mut why) = told
            .into_iter()
            .min_by_key(|(finding, _)| *finding)
            .unwrap_or((Finding::NoData, String::new()));
        let unstuck: u64 = outcomes.iter().map(|arm| arm.unstuck).sum();
        if finding == Finding::NoData && unstuck > 0 {
            why = format!(
                "{why}; {unstuck} requests belonged to no session: send `x-groundcrew-session`"
            );
        }
        Self { at, outcomes, copies: None, failures, slow, alarm, finding, why }
    }
}

/// What the candidate's own sessions say, where all are the candidate's.
fn alone(outcomes: &[ArmOutcomes], rules: &EvidenceFile) -> (Finding, String) {
    let canary = outcomes.iter().filter(|arm| arm.arm == CANARY);
    let (sessions, failed) = canary
        .fold((0, 0), |(sessions, failed), arm| (sessions + arm.sessions, failed + arm.failed));
    let well = sessions.saturating_sub(failed);
    let bound = -rules.alpha.ln();
    let harmful = ln_e_above(failed, well, rules.highest_rate) >= bound;
    let healthy = rules.healthy_rate > 0.0 && ln_e_below(failed, well, rules.healthy_rate) >= bound;
    let finding = match () {
        () if sessions == 0 => Finding::NoData,
        () if harmful && failed >= rules.fewest_failures => Finding::Harm,
        () if healthy => Finding::Safe,
        () => Finding::Inconclusive,
    };
    let (highest, lowest) = (rules.highest_rate * 100.0, rules.healthy_rate * 100.0);
    let why = format!(
        "{failed} of {sessions} sessions failed, with nothing to compare them with: more than \
         {highest} % is harm, less than {lowest} % is healthy"
    );
    (finding, why)
}

/// The counts of each step, as the statistics want them.
fn steps(rollout: &Rollout, outcomes: &[ArmOutcomes], bad: fn(&ArmOutcomes) -> u64) -> Vec<Step> {
    each_step(rollout, outcomes, |share, canary, control| Step {
        share,
        canary: bad(canary),
        control: bad(control),
        canary_units: canary.sessions,
        control_units: control.sessions,
    })
}

/// How sessions were split in each step in which they were. Copies were not: each has its original.
fn periods(rollout: &Rollout, outcomes: &[ArmOutcomes]) -> Vec<Period> {
    let all = each_step(rollout, outcomes, |share, canary, control| Period {
        units: vec![canary.assigned, control.assigned],
        weights: vec![share, 1.0 - share],
    });
    let split = all.into_iter().zip(&rollout.rules.steps).filter(|(_, own)| !own.mirrors());
    let split = split.map(|(period, _)| period);
    split.filter(|period| period.weights.iter().all(|weight| *weight > 0.0)).collect()
}

/// Copies are compared with their originals, one for one. That both are of one session makes no
/// verdict wrong: with the factors f1 and f0 of [`errors`] for a failure of either, on opposite sides of
/// 1, the mean factor of a session differs from that of two independent ones by
/// P(both fail)·(f1 − 1)·(f0 − 1) ≤ 0 at most, whatever failures have to do with one another.
fn each_step<T>(
    rollout: &Rollout,
    outcomes: &[ArmOutcomes],
    make: impl Fn(f64, &ArmOutcomes, &ArmOutcomes) -> T,
) -> Vec<T> {
    let none = ArmOutcomes::default();
    let of = |name: &str, step: u32| {
        outcomes.iter().find(|arm| arm.arm == name && arm.step == step).unwrap_or(&none)
    };
    (0u32..)
        .zip(&rollout.rules.steps)
        .map(|(step, own)| {
            if own.mirrors() {
                return make(0.5, of(SHADOW, step), of(MIRRORED, step));
            }
            let share = f64::from(own.weight()) / f64::from(BUCKETS);
            make(share, of(CANARY, step), of(CONTROL, step))
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
