//! What is simulated: a file for people, and what is left once it is known to make sense.

use release::{ChangeId, Diagnostic, Digest, PrincipalId, ReleaseDigest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::project::document::{BAD_VALUE, Document};
use crate::rollout::rules::{RulesFile, Step};
use crate::rollout::{Rollout, State};

/// The most looks of one run.
const MOST_LOOKS: u64 = 100_000;
/// The most candidates.
const MOST_CANDIDATES: usize = 20;

/// A scenario: which policy is tried, on what traffic, with which candidates. Durations are virtual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// The policy: the keys of `[delivery.environments.NAME]` of an app's file. Alarms and routes are
    /// not simulated.
    pub rules: RulesFile,
    /// What comes in.
    #[serde(default)]
    pub traffic: TrafficFile,
    /// What is rolled out, one after the other; if absent, releases that fail as often as the
    /// control, 1.5 times, twice and five times as often.
    #[serde(default = "usual_candidates")]
    pub candidates: Vec<CandidateFile>,
    /// Thresholds in the manner of Argo Rollouts, on the same traffic.
    #[serde(default)]
    pub argo: ArgoFile,
    /// Thresholds in the manner of Flagger, on the same traffic.
    #[serde(default)]
    pub flagger: FlaggerFile,
}

/// What comes in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficFile {
    /// New sessions in a minute, of both arms, on average.
    pub sessions_per_minute: f64,
    /// The requests of each session.
    pub requests_per_session: u32,
    /// The share of the control's requests that fail, each by itself. A session fails if one of its
    /// requests does.
    pub failure_rate: f64,
    /// How far the failure rate of both arms goes up and down with time: by 0.5, half of it. Each run
    /// begins somewhere in the period.
    pub drift: f64,
    /// After how many minutes the failure rate is where it was.
    pub drift_minutes: f64,
    /// Clients whose requests all fail, whichever release answers.
    pub bursts: Option<BurstsFile>,
    /// How often a rollout is looked at, in seconds.
    pub look_seconds: u64,
    /// After how many minutes a run that is not decided ends as undecided.
    pub minutes: u64,
}

impl Default for TrafficFile {
    fn default() -> Self {
        Self {
            sessions_per_minute: 600.0,
            requests_per_session: 1,
            failure_rate: 0.01,
            drift: 0.0,
            drift_minutes: 1_440.0,
            bursts: None,
            look_seconds: 60,
            minutes: 360,
        }
    }
}

/// Clients whose requests all fail, whichever release answers: each is one session, which stays in
/// its arm as long as the weights allow, and counts as many requests for thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BurstsFile {
    /// How many clients.
    pub clients: u32,
    /// How many requests each sends at once.
    pub requests: u64,
    /// Every so many minutes.
    pub every_minutes: f64,
}

impl Default for BurstsFile {
    fn default() -> Self {
        Self { clients: 1, requests: 100, every_minutes: 10.0 }
    }
}

/// A release that is rolled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidateFile {
    /// What it is called in the output.
    pub name: String,
    /// How many times as often as the control's its requests fail.
    #[serde(default = "one")]
    pub ratio: f64,
    /// How many times as often as the control's its answers are slower than
    /// `rules.evidence.latency_quantile` of the control's; of no consequence if that is 0. Thresholds
    /// do not look at it.
    #[serde(default = "one")]
    pub slow_ratio: f64,
}

/// Thresholds in the manner of an analysis of Argo Rollouts in the background: the same steps as in
/// `rules`, and a measurement in each interval. It is a model of the rule, not the product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArgoFile {
    /// A measurement fails if more than this share of the candidate's requests of the interval failed;
    /// twice `traffic.failure_rate` if absent. An interval without requests is no measurement.
    pub highest_error_rate: Option<f64>,
    /// The interval, in seconds; `traffic.look_seconds` if absent, else a multiple of it.
    pub interval_seconds: Option<u64>,
    /// How many measurements may fail: with one more the candidate is taken back.
    pub failure_limit: u32,
}

/// Thresholds in the manner of Flagger: after each interval whose check passed the weight goes up a
/// step, and after the greatest weight the candidate is promoted. It is a model of the rule, not the
/// product.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlaggerFile {
    /// A check fails if more than this share of the candidate's requests of the interval failed, or if
    /// there were none; twice `traffic.failure_rate` if absent.
    pub highest_error_rate: Option<f64>,
    /// The interval, in seconds; `traffic.look_seconds` if absent, else a multiple of it.
    pub interval_seconds: Option<u64>,
    /// After how many failed checks in all the candidate is taken back.
    pub failed_checks: u32,
    /// How many per cent of the sessions each step adds.
    pub step_weight: f64,
    /// The greatest weight, in per cent.
    pub max_weight: f64,
}

impl Default for FlaggerFile {
    fn default() -> Self {
        Self {
            highest_error_rate: None,
            interval_seconds: None,
            failed_checks: 5,
            step_weight: 5.0,
            max_weight: 50.0,
        }
    }
}

fn one() -> f64 {
    1.0
}

fn usual_candidates() -> Vec<CandidateFile> {
    let known = [("as good", 1.0), ("1.5 times", 1.5), ("twice", 2.0), ("5 times", 5.0)];
    let candidate = |(name, ratio): (&str, f64)| CandidateFile {
        name: name.to_owned(),
        ratio,
        slow_ratio: 1.0,
    };
    known.map(candidate).into()
}

/// A scenario that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub(super) traffic: TrafficFile,
    pub(super) candidates: Vec<CandidateFile>,
    /// The rollout as it begins.
    pub(super) rollout: Rollout,
    /// The looks of the longest run.
    pub(super) looks: u64,
    pub(super) argo: Limits,
    pub(super) flagger: Limits,
    /// How Flagger's rule raises weights.
    pub(super) ramp: FlaggerFile,
}

/// When a threshold is passed too often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// The share of failed requests.
    pub(super) rate: f64,
    /// After so many looks it is measured.
    pub(super) looks: u64,
    /// So many failed measurements take the candidate back.
    pub(super) failures: u32,
}

/// A mistake: the pointer to where it is (RFC 6901), and what it is.
type Mistake = (String, String);

impl Scenario {
    /// Reads a scenario from the text of a TOML file.
    ///
    /// # Errors
    /// Every mistake, each at its place.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let document = Document::parse(file, text)?;
        document.read::<ScenarioFile>()?.check().map_err(|mistakes| {
            let told = |(pointer, why): Mistake| {
                Diagnostic::error(BAD_VALUE, document.place(&pointer), why)
            };
            let mut told: Vec<_> = mistakes.into_iter().map(told).collect();
            told.sort();
            told
        })
    }
}

impl ScenarioFile {
    fn check(self) -> Result<Scenario, Vec<Mistake>> {
        let mut found = Vec::new();
        let mut wrong = |pointer: &str, why: &str| found.push((pointer.to_owned(), why.to_owned()));
        let Self { rules, traffic, candidates, argo, flagger } = self;
        traffic.check(&mut wrong);
        check_candidates(&candidates, &traffic, &mut wrong);
        let argo = Limits {
            rate: rate("/argo", argo.highest_error_rate, &traffic, &mut wrong),
            looks: looks("/argo", argo.interval_seconds, &traffic, &mut wrong),
            failures: argo.failure_limit.saturating_add(1),
        };
        let own = Limits {
            rate: rate("/flagger", flagger.highest_error_rate, &traffic, &mut wrong),
            looks: looks("/flagger", flagger.interval_seconds, &traffic, &mut wrong),
            failures: flagger.failed_checks,
        };
        flagger.check(&mut wrong);
        let rollout = match rules.rules() {
            Err((key, why)) => {
                wrong(&format!("/rules/{key}"), &why);
                None
            }
            Ok(rules) if rules.steps.iter().any(|step| step.mirrors()) => {
                wrong(
                    "/rules",
                    "copies of requests are not simulated: leave out the steps with a `mirror`",
                );
                None
            }
            Ok(rules) if !rules.steps.iter().any(|step| step.weight > 0.0) => {
                wrong(
                    "/rules",
                    "there is nothing to simulate: no step gives the candidate sessions",
                );
                None
            }
            Ok(rules) => match beginning(rules) {
                Ok(rollout) => Some(rollout),
                Err(error) => {
                    wrong("", &error.to_string());
                    None
                }
            },
        };
        let looks = traffic.minutes.saturating_mul(60) / traffic.look_seconds.max(1);
        match rollout {
            Some(rollout) if found.is_empty() => Ok(Scenario {
                traffic,
                candidates,
                rollout,
                looks,
                argo,
                flagger: own,
                ramp: flagger,
            }),
            _ => Err(found),
        }
    }
}

impl TrafficFile {
    fn check(&self, wrong: &mut impl FnMut(&str, &str)) {
        let mut within = |key: &str, fits: bool, range: &str| {
            if !fits {
                let name = key.rsplit('/').next().unwrap_or(key);
                wrong(&format!("/traffic/{key}"), &format!("`{name}` is {range}"));
            }
        };
        let sessions = self.sessions_per_minute;
        within(
            "sessions_per_minute",
            sessions > 0.0 && sessions <= 1e6,
            "above 0, and 1,000,000 at most",
        );
        within(
            "requests_per_session",
            (1..=1_000).contains(&self.requests_per_session),
            "1 to 1,000",
        );
        within(
            "failure_rate",
            self.failure_rate > 0.0 && self.failure_rate < 1.0,
            "between 0 and 1",
        );
        within("drift", (0.0..=1.0).contains(&self.drift), "0 to 1");
        within(
            "drift_minutes",
            self.drift_minutes >= 1.0 && self.drift_minutes.is_finite(),
            "1 or more",
        );
        within("look_seconds", (1..=86_400).contains(&self.look_seconds), "1 to 86,400");
        let looks = self.minutes.saturating_mul(60) / self.look_seconds.max(1);
        within("minutes", (1..=MOST_LOOKS).contains(&looks), "as long as 1 to 100,000 looks");
        let Some(bursts) = self.bursts else { return };
        within("bursts/clients", (1..=1_000).contains(&bursts.clients), "1 to 1,000");
        within("bursts/requests", (1..=1_000_000).contains(&bursts.requests), "1 to 1,000,000");
        let every = bursts.every_minutes;
        within(
            "bursts/every_minutes",
            every > 0.0 && every <= 1e6,
            "above 0, and 1,000,000 at most",
        );
    }
}

impl FlaggerFile {
    fn check(&self, wrong: &mut impl FnMut(&str, &str)) {
        if self.failed_checks == 0 {
            wrong("/flagger/failed_checks", "`failed_checks` is 1 or more");
        }
        if !(0.01..=100.0).contains(&self.max_weight) {
            wrong("/flagger/max_weight", "`max_weight` is 0.01 to 100 per cent");
        }
        if !(self.step_weight >= 0.01 && self.step_weight <= self.max_weight) {
            wrong("/flagger/step_weight", "`step_weight` is 0.01 per cent to `max_weight`");
        }
    }

    /// The weight after so many checks that passed; none if it was the greatest before.
    pub(super) fn weight(&self, passed: u32) -> Option<Step> {
        let before = f64::from(passed) * self.step_weight;
        let weight = (before + self.step_weight).min(self.max_weight);
        (before < self.max_weight).then(|| Step { weight, ..Step::default() })
    }
}

fn check_candidates(
    candidates: &[CandidateFile],
    traffic: &TrafficFile,
    wrong: &mut impl FnMut(&str, &str),
) {
    if !(1..=MOST_CANDIDATES).contains(&candidates.len()) {
        wrong("/candidates", "there are 1 to 20 candidates");
    }
    for (number, candidate) in candidates.iter().enumerate() {
        let pointer = |key: &str| format!("/candidates/{number}/{key}");
        if candidates.iter().take(number).any(|other| other.name == candidate.name) {
            let why = format!("there is a candidate `{}` already", candidate.name);
            wrong(&pointer("name"), &why);
        }
        let worst = candidate.ratio * traffic.failure_rate * (1.0 + traffic.drift);
        if !(candidate.ratio > 0.0 && worst <= 1.0) {
            let why = "`ratio` is above 0, and so small that not more than all requests fail";
            wrong(&pointer("ratio"), why);
        }
        if !(candidate.slow_ratio > 0.0 && candidate.slow_ratio.is_finite()) {
            wrong(&pointer("slow_ratio"), "`slow_ratio` is above 0");
        }
    }
}

fn rate(
    of: &str,
    given: Option<f64>,
    traffic: &TrafficFile,
    wrong: &mut impl FnMut(&str, &str),
) -> f64 {
    if given.is_some_and(|rate| !(0.0..1.0).contains(&rate)) {
        let why = "`highest_error_rate` is 0 or more, and below 1";
        wrong(&format!("{of}/highest_error_rate"), why);
    }
    given.unwrap_or(2.0 * traffic.failure_rate)
}

fn looks(
    of: &str,
    given: Option<u64>,
    traffic: &TrafficFile,
    wrong: &mut impl FnMut(&str, &str),
) -> u64 {
    let look = traffic.look_seconds.max(1);
    let interval = given.unwrap_or(look);
    if interval == 0 || !interval.is_multiple_of(look) {
        let why = format!("`interval_seconds` is a multiple of `traffic.look_seconds`, {look}");
        wrong(&format!("{of}/interval_seconds"), &why);
    }
    (interval / look).max(1)
}

/// The rollout of nothing in particular, as it begins.
fn beginning(rules: crate::rollout::rules::Rules) -> Result<Rollout, release::InvalidName> {
    let app: release::AppName = "simulated".parse()?;
    let (began_at, wanted) = (Timestamp::UNIX_EPOCH, rules.evidence.latency_quantile > 0.0);
    Ok(Rollout {
        id: "simulated/simulated/1".to_owned(),
        environment: "simulated".parse()?,
        change: ChangeId::new(app.clone(), 1),
        app,
        candidate: ReleaseDigest::new(Digest::of(b"candidate")),
        control: ReleaseDigest::new(Digest::of(b"control")),
        rules,
        slow: wanted.then_some(1),
        state: State::Progressing { step: 0, since: began_at },
        by: PrincipalId::system("simulation"),
        began_at,
        looked: None,
        passed: Vec::new(),
    })
}
