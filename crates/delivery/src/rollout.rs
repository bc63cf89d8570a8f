//! How an environment goes from one release to another: a pure state machine.
//!
//! ```text
//!                   ┌── a step's time is over ──┐
//!  begin ─► Progressing(step) ◄─────────────────┘
//!             │  ▲    │
//!     pause,  │  │    ├── safe, or the last step is over ──► Completed   (the candidate is stable)
//!    deadline ▼  │    ├── harm, an alarm, a person ────────► RolledBack  (held)
//!           Paused ───┴── a person ────────────────────────► Aborted     (the old one stays)
//! ```
//!
//! [`next`] reads no clock and writes nothing: it gives the state that follows and what is to be
//! done to the environment, and whoever drives it makes both one transaction. So there is no state
//! between a decision and its effect, and a crash leaves a rollout before or after each step.
//!
//! A verdict is final when it is first seen, and what cannot be told (no data, a query that failed)
//! holds a rollout where it is and never lets it pass.

pub mod evidence;
pub mod rules;

use release::{
    AppName, Arm, BUCKETS, BasisPoints, BucketRange, ChangeId, EnvironmentName, Mirror, Money,
    PlanId, PlanOwner, PrincipalId, ReleaseDigest, Timestamp, TrafficPlan,
};
use serde::{Deserialize, Serialize};

use evidence::{Finding, Looked};
use rules::{Decide, Rules, Step, Undecided};

/// The arm whose release may become the stable one.
pub const CANARY: &str = "canary";
/// The arm of the release that is stable.
pub const CONTROL: &str = "control";

/// A rollout: where it comes from, where it leads, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its identity, as `support/prod/17`: the environment, and the generation it began with. Also
    /// the identity of its traffic plan, which seeds the assignment.
    pub id: String,
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// The change that is rolled out.
    pub change: ChangeId,
    /// The release that may become the stable one.
    pub candidate: ReleaseDigest,
    /// The release that is stable.
    pub control: ReleaseDigest,
    /// How it goes, as it was when it began; but what its copies may cost, as it was when it last went
    /// on.
    pub rules: Rules,
    /// Above how many nanoseconds an answer is slow: a quantile of the control's, fixed before the
    /// candidate answered anything. None if latency is not judged, or was not known.
    pub slow: Option<u64>,
    /// How far it is.
    pub state: State,
    /// Who began it.
    pub by: PrincipalId,
    /// When.
    pub began_at: Timestamp,
    /// What was last seen of it.
    pub looked: Option<Looked>,
    /// What it went through, oldest first.
    pub passed: Vec<Passed>,
}

/// One thing that a rollout went through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: PrincipalId,
    /// The state it led to.
    pub state: State,
    /// Why.
    pub why: String,
    /// What was seen, where that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Looked>,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// A step is under way.
    Progressing {
        /// Which, from 0.
        step: u32,
        /// Since when.
        since: Timestamp,
    },
    /// Its weights stay until somebody decides.
    Paused {
        /// At which step.
        step: u32,
        /// When that step began.
        since: Timestamp,
    },
    /// The candidate is the stable release.
    Completed,
    /// The candidate was taken back, and is held.
    RolledBack,
    /// A person stopped it; the stable release stayed.
    Aborted,
}

impl State {
    /// Whether nothing comes after it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::RolledBack | Self::Aborted)
    }

    /// The step that is under way.
    pub const fn step(self) -> Option<u32> {
        match self {
            Self::Progressing { step, .. } | Self::Paused { step, .. } => Some(step),
            _ => None,
        }
    }

    /// It as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Progressing { .. } => "progressing",
            Self::Paused { .. } => "paused",
            Self::Completed => "completed",
            Self::RolledBack => "rolled back",
            Self::Aborted => "aborted",
        }
    }
}

/// What happens to a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody looked at what came of it so far.
    Look(Box<Looked>),
    /// A person keeps it where it is.
    Pause(String),
    /// A person lets it go on.
    Resume,
    /// A person makes the candidate the stable release now.
    Promote,
    /// A person stops it. The candidate is not held.
    Abort(String),
    /// A person takes the candidate back.
    RollBack(String),
}

/// What is to be done to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Its traffic is split, and copied, as this step says.
    Weigh(u32),
    /// The candidate becomes the stable release.
    Promote,
    /// The stable release answers everything again, and the candidate is held.
    RollBack,
    /// The stable release answers everything again.
    Abort,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The state that follows.
    pub state: State,
    /// What is to be done to the environment; nothing if none.
    pub command: Option<Command>,
    /// Why.
    pub why: String,
}

impl Next {
    fn promoted(why: String) -> Self {
        Self { state: State::Completed, command: Some(Command::Promote), why }
    }

    fn rolled_back(why: String) -> Self {
        Self { state: State::RolledBack, command: Some(Command::RollBack), why }
    }
}

/// Something that cannot be done to a rollout or an experiment as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{id}` is {state} and cannot {wish}")]
pub struct CannotSteer {
    /// What it is: `rollout` or `experiment`.
    pub what: &'static str,
    /// Which.
    pub id: String,
    /// How it stands.
    pub state: &'static str,
    /// What was asked of it.
    pub wish: &'static str,
}

/// What follows when `event` happens to `rollout` at `now`; none if nothing changes.
///
/// # Errors
/// If a person asks something of it that its state does not allow.
pub fn next(rollout: &Rollout, event: &Event, now: Timestamp) -> Result<Option<Next>, CannotSteer> {
    let cannot = |wish| {
        let (what, id) = ("rollout", rollout.id.clone());
        CannotSteer { what, id, state: rollout.state.as_str(), wish }
    };
    match (event, rollout.state) {
        (Event::Look(looked), State::Progressing { step, since }) => {
            Ok(progress(rollout, looked, (step, since), now))
        }
        (Event::Look(looked), State::Paused { .. }) => Ok(harmed(looked)),
        (Event::Look(_), _) => Ok(None),
        (Event::Pause(why), State::Progressing { .. }) => Ok(Some(rollout.paused(why.clone()))),
        (Event::Resume, State::Paused { step, since }) => {
            let spent = rollout.looked.as_ref().is_some_and(|looked| rollout.has_spent(looked));
            if rollout.step(step).mirrors() && spent {
                return Err(cannot("be resumed: raise the `spend_cap` of its copies and apply"));
            }
            let state = State::Progressing { step, since };
            Ok(Some(rollout.stays(state, "resumed".to_owned())))
        }
        (Event::Promote, state) if !state.is_over() => {
            Ok(Some(Next::promoted("promoted by a person before its end".to_owned())))
        }
        (Event::Abort(why), state) if !state.is_over() => {
            let (state, command) = (State::Aborted, Some(Command::Abort));
            Ok(Some(Next { state, command, why: why.clone() }))
        }
        (Event::RollBack(why), state) if !state.is_over() => {
            Ok(Some(Next::rolled_back(why.clone())))
        }
        (Event::Pause(_), _) => Err(cannot("be paused")),
        (Event::Resume, _) => Err(cannot("be resumed")),
        (Event::Promote, _) => Err(cannot("be promoted")),
        (Event::Abort(_), _) => Err(cannot("be aborted")),
        (Event::RollBack(_), _) => Err(cannot("be rolled back")),
    }
}

/// Harm ends a rollout wherever it is.
fn harmed(looked: &Looked) -> Option<Next> {
    let alarm = looked.alarm.as_ref().map(|alarm| format!("alarm `{alarm}` went off"));
    let harm = (looked.finding == Finding::Harm).then(|| looked.why.clone());
    alarm.or(harm).map(Next::rolled_back)
}

fn progress(
    rollout: &Rollout,
    looked: &Looked,
    (step, since): (u32, Timestamp),
    now: Timestamp,
) -> Option<Next> {
    if let Some(harmed) = harmed(looked) {
        return Some(harmed);
    }
    let rules = &rollout.rules;
    let told = matches!(looked.finding, Finding::Safe | Finding::Inconclusive);
    if rules.decide == Decide::Evidence && looked.finding == Finding::Safe {
        return Some(Next::promoted(looked.why.clone()));
    }
    if let Some(why) = rollout.unaffordable(looked) {
        return Some(rollout.paused(why));
    }
    if passed(rollout.began_at, now) >= rules.deadline_seconds {
        let why = format!("it was not decided by its deadline: {}", looked.why);
        return Some(match rules.undecided {
            Undecided::Promote if told => Next::promoted(why),
            Undecided::RollBack => Next::rolled_back(why),
            Undecided::Hold | Undecided::Promote => rollout.paused(why),
        });
    }
    let steps = &rules.steps;
    let over = steps.get(step as usize).is_none_or(|own| passed(since, now) >= own.seconds);
    if !over || !told {
        return None;
    }
    let following = step + 1;
    match (steps.get(following as usize), rules.decide) {
        (Some(step), _) => {
            let state = State::Progressing { step: following, since: now };
            let why = format!("step {} begins: {step}", following + 1);
            Some(Next { state, command: Some(Command::Weigh(following)), why })
        }
        (None, Decide::Time) => {
            Some(Next::promoted(format!("its last step is over: {}", looked.why)))
        }
        (None, Decide::Person) => {
            let why = "its last step is over: promote it or abort it".to_owned();
            Some(rollout.paused(why))
        }
        (None, Decide::Evidence) => None,
    }
}

/// Seconds from `since` to `now`; none if a clock went back.
fn passed(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - since.as_second()).unwrap_or(0)
}

impl Rollout {
    fn step(&self, step: u32) -> Step {
        self.rules.steps.get(step as usize).copied().unwrap_or_default()
    }

    /// Whether it asks, or asked, the candidate copies.
    pub(crate) fn mirrors(&self) -> bool {
        self.rules.steps.iter().any(|step| step.mirrors())
    }

    /// It stays where it is, paused or not. Weights stay too, but a paused rollout makes no copies.
    fn stays(&self, state: State, why: String) -> Next {
        let mirroring = state.step().filter(|step| self.step(*step).mirrors());
        Next { state, command: mirroring.map(Command::Weigh), why }
    }

    fn paused(&self, why: String) -> Next {
        let state = match self.state {
            State::Progressing { step, since } => State::Paused { step, since },
            state => state,
        };
        self.stays(state, why)
    }

    /// Whether its copies have cost what they may.
    fn has_spent(&self, looked: &Looked) -> bool {
        let cap = self.rules.copies.cap();
        let reached = |spent: Money| spent.currency == cap.currency && spent.nanos >= cap.nanos;
        looked.copies.is_some_and(|copies| reached(copies.spent))
    }

    /// Why no more copies can be paid for, if that is so.
    fn unaffordable(&self, looked: &Looked) -> Option<String> {
        let copies = looked.copies?;
        let mirroring = self.state.step().is_some_and(|step| self.step(step).mirrors());
        let cap = self.rules.copies.cap();
        match () {
            () if !mirroring => None,
            () if self.has_spent(looked) => {
                Some(format!("its spend cap is reached: {} of {cap}", copies.spent))
            }
            () if copies.unpriced > 0 => Some(format!(
                "{} copies have no price in {}, so that its spend cap cannot be kept: add one to \
                 `[[prices]]` of `server.toml`",
                copies.unpriced, cap.currency
            )),
            () => None,
        }
    }

    /// How traffic is split in a step: the canary owns the first buckets, so that raising its weight
    /// moves nobody who is in it already. Copies are made only while it progresses.
    pub fn plan(&self, step: u32) -> TrafficPlan {
        let own = self.step(step);
        let weight = own.weight();
        let copying = matches!(self.state, State::Progressing { .. });
        let mirror = own.mirrors().then(|| Mirror {
            release: self.candidate,
            share: if copying { own.mirrored() } else { 0 },
            cap: self.rules.copies.cap(),
            in_flight: self.rules.copies.in_flight,
        });
        let arm = |name: &str, release, (from, to): (BasisPoints, BasisPoints)| {
            (from < to).then(|| Arm {
                name: name.to_owned(),
                release,
                ranges: vec![BucketRange { from, to }],
            })
        };
        let canary = arm(CANARY, self.candidate, (0, weight));
        let control = arm(CONTROL, self.control, (weight, BUCKETS));
        TrafficPlan {
            id: PlanId(self.id.clone()),
            owner: PlanOwner::Rollout(self.id.clone()),
            step,
            arms: canary.into_iter().chain(control).collect(),
            mirror,
            routes: self.rules.routes.iter().map(|route| route.to(self.candidate)).collect(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
