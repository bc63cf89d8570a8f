//! How releases come into an environment: `[delivery.environments.NAME]` of an app's file.

use std::fmt;

use release::{BUCKETS, BasisPoints, Currency, Money, ReleaseDigest, Route, RouteMatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::file::GateFile;

/// The most steps a rollout has.
const MOST_STEPS: usize = 100;

/// `[delivery.environments.NAME]`: how releases come into an environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesFile {
    /// How traffic goes over to a release.
    pub strategy: Strategy,
    /// The steps; those of the strategy if absent.
    pub steps: Option<Vec<Step>>,
    /// What makes the candidate the stable release; what the strategy says if absent.
    pub decide: Option<Decide>,
    /// After how many seconds a rollout that is not decided ends as `undecided` says (a week if
    /// absent).
    pub deadline_seconds: Option<u64>,
    /// What becomes of a rollout that is not decided by its deadline.
    pub undecided: Undecided,
    /// Which evidence decides.
    pub evidence: EvidenceFile,
    /// What copies of requests may cost, where a step mirrors.
    pub copies: CopiesFile,
    /// Whether an alarm of the app that goes off while a rollout is under way rolls it back (yes if
    /// absent).
    pub alarms: Option<bool>,
    /// Requests that go to the candidate whatever their session.
    pub routes: Vec<RouteFile>,
    /// What a release must pass before it may enter; see `release gates`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateFile>,
}

/// How traffic goes over to a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// At once.
    #[default]
    Immediate,
    /// In few steps: 5, 25 and 50 %, for 10, 10 and 30 minutes at least.
    Canary,
    /// In equal steps: 10 to 90 %, 10 minutes each.
    Linear,
    /// Everything at once, with the release before kept at hand for 10 minutes.
    BlueGreen,
    /// Half of the sessions for a day.
    Ab,
    /// On copies of the requests of 10 % of the sessions, for an hour at least: the candidate's answers
    /// are thrown away, and no client sees one.
    Shadow,
}

/// What makes the candidate the stable release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decide {
    /// Evidence that it does no harm, as soon as there is enough.
    Evidence,
    /// The end of the last step, unless there is evidence of harm.
    Time,
    /// A person, after the last step.
    Person,
}

/// What becomes of a rollout that is not decided by its deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undecided {
    /// It stays as it is until a person decides.
    #[default]
    Hold,
    /// The candidate is taken back and held.
    RollBack,
    /// The candidate becomes the stable release, if there was any evidence at all.
    Promote,
}

/// One step of a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How many per cent of the sessions the candidate answers; 0 if absent.
    #[serde(default)]
    pub weight: f64,
    /// Of how many per cent of the sessions the candidate is asked copies of the requests, while the
    /// stable release answers all; 0 if absent. A step has a weight or mirrors.
    #[serde(default)]
    pub mirror: f64,
    /// How many seconds it takes at least.
    pub seconds: u64,
}

impl Step {
    const fn of(weight: f64, seconds: u64) -> Self {
        Self { weight, mirror: 0.0, seconds }
    }

    /// Whether the candidate is asked copies in it.
    pub fn mirrors(self) -> bool {
        self.mirror > 0.0
    }

    /// Whether some of the sessions are the candidate's, and some the control's.
    pub fn is_compared(self) -> bool {
        self.mirrors() || (self.weight > 0.0 && self.weight < 100.0)
    }

    /// The share of sessions it mirrors, in buckets.
    pub fn mirrored(self) -> BasisPoints {
        basis_points(self.mirror)
    }

    /// Its weight in buckets.
    pub fn weight(self) -> BasisPoints {
        basis_points(self.weight)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mirrors() {
            true => write!(f, "copies of {} % for {} s", self.mirror, self.seconds),
            false => write!(f, "{} % for {} s", self.weight, self.seconds),
        }
    }
}

/// Hundredths of a per cent. What is out of range was refused when it was read.
fn basis_points(percent: f64) -> BasisPoints {
    (percent * 100.0).round().clamp(0.0, f64::from(BUCKETS)) as BasisPoints
}

/// Which evidence decides, and how sure it must be. Failures are compared as a ratio of rates: 1 is
/// equally often, 2 twice as often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceFile {
    /// How often, at most, a release that is as good as the one before is called harmful, and one
    /// that is too bad safe.
    pub alpha: f64,
    /// It is harmful if it fails more often than this many times the control.
    pub tolerated_ratio: f64,
    /// It is safe if it fails less often than this many times the control …
    pub worst_ratio: f64,
    /// … or, as long as fewer than 20 sessions of both have failed, in less than this share of its
    /// sessions; 0 if only the comparison counts.
    pub healthy_rate: f64,
    /// Where there is no control to compare with (a step of 100 per cent), it is harmful if more than
    /// this share of its sessions fail.
    pub highest_rate: f64,
    /// Harm is not called before so many sessions have failed.
    pub fewest_failures: u64,
    /// Latency is judged by how many sessions exceed this quantile of the control's answers before;
    /// 0 if it is not judged.
    pub latency_quantile: f64,
    /// Over how many hours before the rollout that quantile is taken.
    pub latency_hours: u64,
}

impl Default for EvidenceFile {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            tolerated_ratio: 1.0,
            worst_ratio: 2.0,
            healthy_rate: 0.01,
            highest_rate: 0.1,
            fewest_failures: 3,
            latency_quantile: 0.0,
            latency_hours: 24,
        }
    }
}

/// What copies of requests may cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CopiesFile {
    /// A rollout whose copies have cost so much pauses, and makes no more.
    pub spend_cap: f64,
    /// The currency of `spend_cap`. A copy that has no price in it pauses the rollout too.
    #[schemars(with = "String")]
    pub currency: Currency,
    /// How many copies one server has under way at most; beyond it none are made.
    pub in_flight: u32,
}

impl Default for CopiesFile {
    fn default() -> Self {
        Self { spend_cap: 10.0, currency: Currency::USD, in_flight: 16 }
    }
}

impl CopiesFile {
    /// What they may cost. What is out of range was refused when it was read.
    pub fn cap(&self) -> Money {
        Money { currency: self.currency, nanos: (self.spend_cap * 1e9).round() as i64 }
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1e-9..=1e9).contains(&self.spend_cap) {
            let why = "`spend_cap` is above 0, and 1,000,000,000 at most".to_owned();
            return Err(("copies", why));
        }
        if !(1..=1_000).contains(&self.in_flight) {
            return Err(("copies", "`in_flight` is 1 to 1,000".to_owned()));
        }
        Ok(())
    }
}

/// A request that goes to the candidate whatever its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteFile {
    /// The name of a header of the request.
    pub header: String,
    /// What the header says.
    pub value: String,
}

impl RouteFile {
    /// The route to a release.
    pub fn to(&self, release: ReleaseDigest) -> Route {
        let (name, value) = (self.header.to_ascii_lowercase(), self.value.clone());
        Route { when: RouteMatch::Header { name, value }, release }
    }
}

/// How a rollout goes: a file with everything it leaves open filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// How traffic goes over.
    pub strategy: Strategy,
    /// The steps; none if the release goes live at once.
    pub steps: Vec<Step>,
    /// What makes the candidate the stable release.
    pub decide: Decide,
    /// After how many seconds it ends undecided.
    pub deadline_seconds: u64,
    /// What becomes of it then.
    pub undecided: Undecided,
    /// Which evidence decides.
    pub evidence: EvidenceFile,
    /// What its copies may cost.
    #[serde(default)]
    pub copies: CopiesFile,
    /// Whether alarms roll it back.
    pub alarms: bool,
    /// Requests that go to the candidate whatever their session.
    pub routes: Vec<RouteFile>,
}

/// How long a rollout takes at most, if nobody says.
const DEADLINE: u64 = 7 * 86_400;

impl RulesFile {
    /// The rules, or what is wrong with them: the key, and why.
    ///
    /// # Errors
    /// The first mistake.
    pub fn rules(&self) -> Result<Rules, (&'static str, String)> {
        let strategy = self.strategy;
        let steps = self.steps.clone().unwrap_or_else(|| strategy.steps());
        let by_strategy = match strategy {
            Strategy::Canary | Strategy::Linear | Strategy::Ab | Strategy::Shadow => {
                Decide::Evidence
            }
            Strategy::Immediate | Strategy::BlueGreen => Decide::Time,
        };
        let rules = Rules {
            strategy,
            steps,
            decide: self.decide.unwrap_or(by_strategy),
            deadline_seconds: self.deadline_seconds.unwrap_or(DEADLINE),
            undecided: self.undecided,
            evidence: self.evidence,
            copies: self.copies,
            alarms: self.alarms.unwrap_or(true),
            routes: self.routes.clone(),
        };
        rules.check()?;
        Ok(rules)
    }
}

impl Strategy {
    fn steps(self) -> Vec<Step> {
        match self {
            Self::Immediate => Vec::new(),
            Self::Canary => {
                vec![Step::of(5.0, 600), Step::of(25.0, 600), Step::of(50.0, 1_800)]
            }
            Self::Linear => (1..10).map(|tenth| Step::of(f64::from(tenth) * 10.0, 600)).collect(),
            Self::BlueGreen => vec![Step::of(100.0, 600)],
            Self::Ab => vec![Step::of(50.0, 86_400)],
            Self::Shadow => vec![Step { mirror: 10.0, ..Step::of(0.0, 3_600) }],
        }
    }
}

impl Rules {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |key, why: String| Err((key, why));
        let steps = &self.steps;
        if steps.is_empty() != (self.strategy == Strategy::Immediate) {
            return wrong(
                "steps",
                "`immediate` has no steps, and every other strategy has some".to_owned(),
            );
        }
        if steps.len() > MOST_STEPS {
            return wrong("steps", format!("there may be {MOST_STEPS} steps, not {}", steps.len()));
        }
        if let Some(step) = steps.iter().find(|step| (step.weight != 0.0) == (step.mirror != 0.0)) {
            return wrong(
                "steps",
                format!("{step}: a step has a `weight` or a `mirror`, and not both"),
            );
        }
        let share = |step: &Step| if step.mirror != 0.0 { step.mirror } else { step.weight };
        if let Some(step) = steps.iter().find(|step| !(0.01..=100.0).contains(&share(step))) {
            return wrong("steps", format!("{step}: a weight or mirror is 0.01 to 100 per cent"));
        }
        if steps.windows(2).any(|pair| pair[1].weight < pair[0].weight) {
            let why = "a step has a smaller weight than the one before: sessions would go back";
            return wrong("steps", why.to_owned());
        }
        if steps.windows(2).any(|pair| pair[1].mirrors() && pair[1].mirror < pair[0].mirror) {
            let why = "a step mirrors less than the one before: sessions would be left half copied";
            return wrong("steps", why.to_owned());
        }
        if self.strategy == Strategy::Shadow && !steps.iter().all(|step| step.mirrors()) {
            let why = "`shadow` has steps with a `mirror` only: a canary may begin with such steps";
            return wrong("steps", why.to_owned());
        }
        let all = steps.iter().all(|step| step.weight == 100.0);
        if self.strategy == Strategy::BlueGreen && !all {
            return wrong("steps", "`blue_green` has steps of 100 per cent only".to_owned());
        }
        let compared = steps.iter().any(|step| step.is_compared());
        if self.decide == Decide::Evidence && !compared {
            let why = "there is nothing to compare with: no step has a weight between 0 and 100";
            return wrong("decide", why.to_owned());
        }
        self.copies.check()?;
        self.evidence.check()
    }
}

impl EvidenceFile {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let settings = self.settings(1).check().map_err(|error| error.to_string());
        settings.map_err(|why| ("evidence", why))?;
        if !(0.001..1.0).contains(&self.highest_rate) {
            return Err(("evidence", "`highest_rate` is between 0.001 and 1".to_owned()));
        }
        if self.latency_quantile != 0.0 && !(0.5..=0.999).contains(&self.latency_quantile) {
            let why = "`latency_quantile` is 0, or between 0.5 and 0.999".to_owned();
            return Err(("evidence", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
