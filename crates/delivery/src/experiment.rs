//! An experiment: which of several releases is better, as a pure state machine.
//!
//! ```text
//!  Draft ─start─► Running ⇄ Paused
//!                    │         │
//!                    ├─────────┴── harm, a broken split, a person ─┐
//!                    └── a win, or its time is over ───────────────┴─► Stopped(verdict) ─► Concluded
//! ```
//!
//! [`next`] reads no clock and writes nothing, as [`crate::rollout::next`]. The hypothesis, the metrics
//! and how long it takes are fixed while it is a draft, and a verdict is final when it is first seen.
//! A variant is a release, so that a verdict acts through a rollout like any other change.

pub mod design;
pub mod verdict;

use evaluation::analysis::Conclusion;
use release::{
    AppName, Arm, BUCKETS, BasisPoints, BucketRange, EnvironmentName, PlanId, PlanOwner,
    ReleaseDigest, Timestamp, TrafficPlan,
};
use serde::{Deserialize, Serialize};

use design::Design;
use verdict::{Judged, Seen};

use crate::rollout::CannotSteer;

/// An experiment, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Its identity; also the identity of its traffic plan, which seeds the assignment.
    pub id: String,
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// What is expected, how it is measured, and for how long: fixed before anything is seen.
    pub design: Design,
    /// How far it is.
    pub state: State,
}

/// How far an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its design may change; nothing was assigned.
    Draft,
    /// Sessions are assigned to its variants.
    Running {
        /// When it was started.
        since: Timestamp,
        /// How often it was resumed: sessions are counted by it.
        run: u32,
    },
    /// Nobody is assigned, and a person decides.
    Paused {
        /// When it was started.
        since: Timestamp,
        /// How often it was resumed.
        run: u32,
    },
    /// It is over, and this is what it says.
    Stopped {
        /// The verdict.
        verdict: Conclusion,
        /// The variant that it is about, from 0; none if it is about the whole.
        variant: Option<usize>,
    },
    /// A person has read it and drawn the conclusion.
    Concluded {
        /// The verdict.
        verdict: Conclusion,
        /// The release that a rollout was begun with; none if all stays as it is.
        chosen: Option<ReleaseDigest>,
    },
}

impl State {
    /// When it was started, and how often it was resumed, as long as it is under way.
    pub const fn under_way(self) -> Option<(Timestamp, u32)> {
        match self {
            Self::Running { since, run } | Self::Paused { since, run } => Some((since, run)),
            _ => None,
        }
    }

    /// It as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Stopped { .. } => "stopped",
            Self::Concluded { .. } => "concluded",
        }
    }
}

/// What happens to an experiment.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A person starts it.
    Start,
    /// Somebody looked at what came of it so far.
    Look(Seen),
    /// Its environment was moved, which ended its traffic plan.
    Interrupt(String),
    /// A person pauses it.
    Pause(String),
    /// A person lets it go on.
    Resume,
    /// A person stops it: it says what was seen last.
    Stop(Seen),
    /// A person takes the winner, or leaves all as it is.
    Conclude {
        /// Whether the variant that won is rolled out.
        adopt: bool,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// The environment's traffic is split among the variants.
    Split,
    /// The stable release answers everything again.
    Unsplit,
    /// A rollout of this release begins.
    RollOut(ReleaseDigest),
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The state that follows.
    pub state: State,
    /// What is to be done; nothing if none.
    pub command: Option<Command>,
    /// Why.
    pub why: String,
}

/// What follows when `event` happens to `experiment` at `now`; none if nothing changes.
///
/// # Errors
/// If a person asks something of it that its state does not allow.
pub fn next(
    experiment: &Experiment,
    event: &Event,
    now: Timestamp,
) -> Result<Option<Next>, CannotSteer> {
    let (design, state) = (&experiment.design, experiment.state);
    let cannot = |wish| {
        let (what, id) = ("experiment", experiment.id.clone());
        CannotSteer { what, id, state: state.as_str(), wish }
    };
    let follows =
        |state, command, why: &str| Ok(Some(Next { state, command, why: why.to_owned() }));
    match (event, state) {
        (Event::Start, State::Draft) => {
            follows(State::Running { since: now, run: 0 }, Some(Command::Split), "started")
        }
        (Event::Look(seen), State::Running { since, .. }) => {
            let judged = verdict::judge(design, seen);
            let days = now.as_second() - since.as_second();
            let over = days >= i64::from(design.days) * 86_400;
            Ok((judged.is_final() || over).then(|| stopped(judged)))
        }
        // What was assigned before it paused still counts against it, and never for it.
        (Event::Look(seen), State::Paused { .. }) => {
            let judged = verdict::judge(design, seen);
            let grave = matches!(judged.verdict, Conclusion::Harm | Conclusion::Invalid);
            Ok((judged.is_final() && grave).then(|| stopped(judged)))
        }
        (Event::Interrupt(why), State::Running { since, run }) => {
            follows(State::Paused { since, run }, None, why)
        }
        (Event::Look(_) | Event::Interrupt(_), _) => Ok(None),
        (Event::Pause(why), State::Running { since, run }) => {
            follows(State::Paused { since, run }, Some(Command::Unsplit), why)
        }
        (Event::Resume, State::Paused { since, run }) => {
            follows(State::Running { since, run: run + 1 }, Some(Command::Split), "resumed")
        }
        (Event::Stop(seen), State::Running { .. } | State::Paused { .. }) => {
            Ok(Some(stopped(verdict::judge(design, seen))))
        }
        (Event::Conclude { adopt }, State::Stopped { verdict, variant }) => {
            let winner = variant.filter(|_| verdict == Conclusion::Win);
            let winner = winner.and_then(|at| design.variants.get(at)).map(|own| own.release);
            match (adopt, winner) {
                (true, None) => Err(cannot("be adopted: nothing won")),
                (true, Some(chosen)) => {
                    let state = State::Concluded { verdict, chosen: Some(chosen) };
                    follows(state, Some(Command::RollOut(chosen)), "the winner is rolled out")
                }
                (false, _) => {
                    let state = State::Concluded { verdict, chosen: None };
                    follows(state, None, "all stays as it is")
                }
            }
        }
        (Event::Start, _) => Err(cannot("be started")),
        (Event::Pause(_), _) => Err(cannot("be paused")),
        (Event::Resume, _) => Err(cannot("be resumed")),
        (Event::Stop(_), _) => Err(cannot("be stopped")),
        (Event::Conclude { .. }, _) => Err(cannot("be concluded")),
    }
}

fn stopped(Judged { verdict, variant, why }: Judged) -> Next {
    let state = State::Stopped { verdict, variant };
    Next { state, command: Some(Command::Unsplit), why }
}

impl Experiment {
    /// How traffic is split while it runs: each variant owns as many buckets as its weight says, in
    /// their order, and the control what is left.
    pub fn plan(&self) -> TrafficPlan {
        let mut from: BasisPoints = 0;
        let mut arms = Vec::new();
        for variant in self.design.variants.iter().skip(1) {
            let to = from.saturating_add(variant.weight).min(BUCKETS);
            arms.push((variant, BucketRange { from, to }));
            from = to;
        }
        let control = self.design.variants.first();
        arms.extend(control.map(|control| (control, BucketRange { from, to: BUCKETS })));
        let arms = arms.into_iter().filter(|(_, range)| range.from < range.to);
        TrafficPlan {
            id: PlanId(self.id.clone()),
            owner: PlanOwner::Experiment(self.id.clone()),
            step: self.state.under_way().map_or(0, |(_, run)| run),
            arms: arms
                .map(|(variant, range)| Arm {
                    name: variant.name.clone(),
                    release: variant.release,
                    ranges: vec![range],
                })
                .collect(),
            mirror: None,
            routes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
