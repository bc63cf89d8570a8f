//! What threshold rules make of the same traffic: models of the rules that Argo Rollouts and Flagger
//! document, not the products.

use super::scenario::{CandidateFile, Limits, Scenario};
use super::traffic::{Counts, Traffic};
use super::{Ended, Played};

/// An analysis in the background of the same steps (Argo Rollouts): each interval is a measurement,
/// and one failed measurement too many takes the candidate back. What has not failed when the steps
/// are over is promoted.
pub(super) fn argo(scenario: &Scenario, candidate: &CandidateFile, seed: u64) -> Played {
    let mut traffic = Traffic::of(scenario, candidate, seed);
    let mut measured = Measured::default();
    let mut exposed = 0;
    for look in 1..=scenario.looks {
        let begun = (look - 1) * scenario.traffic.look_seconds;
        let mut end = 0;
        let step = scenario.rollout.rules.steps.iter().find(|step| {
            end += step.seconds;
            begun < end
        });
        let Some(step) = step else {
            return scenario.played(Ended::Promoted, look - 1, exposed);
        };
        let canary = traffic.next(step.weight()).canary;
        exposed += canary.failed;
        measured.add(canary);
        if look % scenario.argo.looks == 0
            && measured.failed(&scenario.argo).unwrap_or(false)
            && measured.failures >= scenario.argo.failures
        {
            return scenario.played(Ended::RolledBack, look, exposed);
        }
    }
    scenario.played(Ended::Undecided, scenario.looks, exposed)
}

/// Weights that go up after each check that passed (Flagger). Failed checks are counted over the
/// whole of it, and no requests are a failed check, as nothing was measured.
pub(super) fn flagger(scenario: &Scenario, candidate: &CandidateFile, seed: u64) -> Played {
    let mut traffic = Traffic::of(scenario, candidate, seed);
    let mut measured = Measured::default();
    let (mut exposed, mut passed) = (0, 0);
    for look in 1..=scenario.looks {
        let Some(step) = scenario.ramp.weight(passed) else {
            return scenario.played(Ended::Promoted, look - 1, exposed);
        };
        let canary = traffic.next(step.weight()).canary;
        exposed += canary.failed;
        measured.add(canary);
        if look % scenario.flagger.looks != 0 {
            continue;
        }
        match measured.failed(&scenario.flagger) {
            Some(false) => passed += 1,
            None => measured.failures += 1,
            Some(true) => {}
        }
        if measured.failures >= scenario.flagger.failures {
            return scenario.played(Ended::RolledBack, look, exposed);
        }
    }
    scenario.played(Ended::Undecided, scenario.looks, exposed)
}

/// What was measured of the candidate.
#[derive(Debug, Default)]
struct Measured {
    requests: u64,
    failed: u64,
    /// How many measurements failed.
    failures: u32,
}

impl Measured {
    fn add(&mut self, canary: Counts) {
        self.requests += canary.requests;
        self.failed += canary.failed_requests;
    }

    /// Ends an interval: whether its measurement failed; none if there were no requests.
    fn failed(&mut self, limits: &Limits) -> Option<bool> {
        let (requests, failed) =
            (std::mem::take(&mut self.requests), std::mem::take(&mut self.failed));
        let rate = (requests > 0).then(|| failed as f64 / requests as f64)?;
        let too_many = rate > limits.rate;
        self.failures += u32::from(too_many);
        Some(too_many)
    }
}
