//! Trying a delivery policy on simulated traffic: how often it takes back what is good, how often
//! it finds what is bad, and how long both take.
//!
//! ```text
//!  SCENARIO.toml ─► Scenario ─► runs: Traffic ─► ArmOutcomes ─► Looked::at ─► rollout::next ─┐
//!                                        └─────► thresholds (Argo, Flagger) ─────────────────┴─► Report
//! ```
//!
//! What decides is the code that decides in production. Sessions are independent, begin and end
//! between two looks, and are counted at once; in production they are counted when they are recorded.
//! A run follows from the seed and its number alone.
//!
//! Start reading at [`simulate`].

mod report;
mod scenario;
mod thresholds;
mod traffic;

use std::num::NonZeroUsize;
use std::time::Duration;

use monitoring::arms::ArmOutcomes;
use release::Timestamp;
use serde::Serialize;

pub use self::report::{CandidateReport, PolicyReport, Report, Share};
pub use self::scenario::{
    ArgoFile, BurstsFile, CandidateFile, FlaggerFile, Scenario, ScenarioFile, TrafficFile,
};

use self::traffic::{Counts, Traffic, seed_of};
use crate::rollout::evidence::Looked;
use crate::rollout::{CANARY, CONTROL, Event, State, next};

/// How often a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// How many runs of each candidate under each policy.
    pub count: u32,
    /// What they are drawn by.
    pub seed: u64,
}

/// How one run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    RolledBack,
    Promoted,
    Undecided,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Played {
    ended: Ended,
    /// When, in minutes from its beginning.
    minutes: f64,
    /// Sessions that the candidate failed until then.
    exposed: u64,
}

/// A policy, and how it plays a run of this seed.
type Policy = (&'static str, fn(&Scenario, &CandidateFile, u64) -> Played);

const POLICIES: [Policy; 3] = [
    ("evidence", evidence),
    ("Argo-style", thresholds::argo),
    ("Flagger-style", thresholds::flagger),
];

/// Runs a scenario, on all processors.
pub fn simulate(scenario: &Scenario, runs: Runs) -> Report {
    let candidates = scenario.candidates.iter().map(|candidate| {
        let policies = POLICIES.iter().map(|(name, policy)| {
            let played = played(runs, |seed| policy(scenario, candidate, seed));
            PolicyReport::of(name, &played)
        });
        CandidateReport::of(candidate, policies.collect())
    });
    Report { runs: runs.count, seed: runs.seed, candidates: candidates.collect() }
}

/// Plays all runs, each by its own seed; the order is that of the runs.
fn played(runs: Runs, play: impl Fn(u64) -> Played + Sync) -> Vec<Played> {
    let all = runs.count as usize;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let nothing = Played { ended: Ended::Undecided, minutes: 0.0, exposed: 0 };
    let mut played = vec![nothing; all];
    let part = all.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (number, slots) in played.chunks_mut(part).enumerate() {
            let play = &play;
            scope.spawn(move || {
                for (run, slot) in (number * part..).zip(slots) {
                    *slot = play(seed_of(runs.seed, run as u64));
                }
            });
        }
    });
    played
}

/// What a rollout by the scenario's rules comes to.
fn evidence(scenario: &Scenario, candidate: &CandidateFile, seed: u64) -> Played {
    let mut traffic = Traffic::of(scenario, candidate, seed);
    let mut rollout = scenario.rollout.clone();
    let mut outcomes = Vec::new();
    let mut exposed = 0;
    for look in 1..=scenario.looks {
        let step = rollout.state.step().unwrap_or_default();
        let weight = rollout.rules.steps.get(step as usize).copied().unwrap_or_default().weight();
        let interval = traffic.next(weight);
        exposed += interval.canary.failed;
        count(&mut outcomes, (CANARY, step), interval.canary);
        count(&mut outcomes, (CONTROL, step), interval.control);
        let now = scenario.moment(look);
        let looked = Looked::at(now, &rollout, Ok(outcomes.clone()), None);
        // Nobody steers it, and every state can be looked at.
        if let Ok(Some(next)) = next(&rollout, &Event::Look(Box::new(looked)), now) {
            rollout.state = next.state;
        }
        match rollout.state {
            State::Completed => return scenario.played(Ended::Promoted, look, exposed),
            State::RolledBack => return scenario.played(Ended::RolledBack, look, exposed),
            _ => {}
        }
    }
    scenario.played(Ended::Undecided, scenario.looks, exposed)
}

/// Adds what an arm answered in a step.
fn count(outcomes: &mut Vec<ArmOutcomes>, (arm, step): (&str, u32), counts: Counts) {
    if counts.sessions == 0 && counts.failed == 0 {
        return;
    }
    let known = outcomes.iter().position(|known| known.arm == arm && known.step == step);
    let at = known.unwrap_or_else(|| {
        outcomes.push(ArmOutcomes { arm: arm.to_owned(), step, ..ArmOutcomes::default() });
        outcomes.len() - 1
    });
    let Some(known) = outcomes.get_mut(at) else { return };
    known.sessions += counts.sessions;
    known.assigned += counts.assigned;
    known.failed += counts.failed;
    known.slow += counts.slow;
}

impl Scenario {
    /// The moment of a look, from 1.
    fn moment(&self, look: u64) -> Timestamp {
        self.rollout.began_at + Duration::from_secs(look * self.traffic.look_seconds)
    }

    fn played(&self, ended: Ended, looks: u64, exposed: u64) -> Played {
        let minutes = (looks * self.traffic.look_seconds) as f64 / 60.0;
        Played { ended, minutes, exposed }
    }
}

#[cfg(test)]
mod tests;
