//! How a release stands in an environment, as far as a pipeline is concerned.

use evaluation::suite::JAILBREAK;
use release::{ArtifactName, Digest, EnvironmentName, ReleaseDigest, Timestamp};

use super::{Run, StageState};
use crate::evaluations::{EvaluationRecord, Evaluations};
use crate::experiments::split_by;
use crate::gate::file::{Check, GateFile};
use crate::gates::Looked;
use crate::moves::makes_stable;
use crate::rollout::{Rollout, State};
use crate::rollouts::under_way;
use crate::{DeliveryError, TenantDelivery};

/// How a release stands.
pub enum Standing {
    /// It is the stable one.
    Live {
        /// Since when.
        since: Timestamp,
    },
    /// It does not become the stable one by waiting.
    Ended {
        /// How it stands then.
        state: StageState,
        /// Why.
        why: String,
        /// The command by which a person lets it go on.
        next: Option<String>,
    },
    /// It is being rolled out.
    RollingOut(Box<Rollout>),
    /// Something else has the traffic: what.
    Occupied(String),
    /// It stands before the gates, for which these runs are missing.
    Before(Box<Looked>, Vec<MissingRun>),
}

/// A run of a suite that a gate asks for, and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRun {
    /// The gate.
    pub gate: String,
    /// The suite.
    pub suite: ArtifactName,
    /// Its version.
    pub version: Digest,
    /// The release that is to be asked: the candidate, or the live one to compare it with.
    pub release: ReleaseDigest,
    /// How many runs of it came to nothing.
    pub attempt: usize,
}

impl TenantDelivery {
    /// How the release of `run` stands in an environment.
    pub(super) async fn standing(
        &self,
        run: &Run<'_>,
        name: &EnvironmentName,
    ) -> Result<Standing, DeliveryError> {
        let (app, release) = (&run.app.name, run.release.release);
        let environment = self.environment(&run.app, name).await?.0;
        if environment.stable == Some(release) {
            let log = self.deployments(app, name).await?;
            let entered = log.iter().rev().find(|entry| makes_stable(entry, release));
            let since = entered.map_or_else(|| self.clock.now(), |entry| entry.at);
            return Ok(Standing::Live { since });
        }
        let own = self.rollouts(app, name).await?.into_iter();
        let newest =
            own.filter(|rollout| rollout.candidate == release).max_by_key(|it| it.began_at);
        let number = release.short();
        if let Some(id) = under_way(&environment) {
            return Ok(match newest.filter(|rollout| rollout.id == id) {
                None => {
                    Standing::Occupied(format!("rollout `{id}` of another release is under way"))
                }
                Some(rollout) if matches!(rollout.state, State::Paused { .. }) => {
                    let why = rollout.passed.last().map(|passed| passed.why.clone());
                    let why = format!("rollout `{id}` is paused: {}", why.unwrap_or_default());
                    let next = format!("groundcrew release resume {app} --env {name}");
                    Standing::Ended { state: StageState::Waiting, why, next: Some(next) }
                }
                Some(rollout) => Standing::RollingOut(Box::new(rollout)),
            });
        }
        if let Some(id) = split_by(&environment) {
            return Ok(Standing::Occupied(format!("experiment `{id}` splits the traffic")));
        }
        let held = environment.held.contains(&release);
        let unhold = format!("groundcrew release unhold {app} {number} --env {name} -m REASON");
        if let Some(rollout) = &newest {
            let why = rollout.passed.last().map_or("", |passed| passed.why.as_str());
            let why = format!("rollout `{}` is {}: {why}", rollout.id, rollout.state.as_str());
            let ended = |next| Standing::Ended { state: StageState::TakenBack, why, next };
            match rollout.state {
                State::RolledBack if held => return Ok(ended(Some(unhold))),
                // A person stopped it while this pipeline was under way.
                State::Aborted
                    if rollout.passed.last().is_some_and(|it| it.at >= run.call.since) =>
                {
                    return Ok(ended(None));
                }
                _ => {}
            }
        }
        if held {
            return Ok(Standing::Ended {
                state: StageState::Waiting,
                why: format!("release {number} is held in `{name}`"),
                next: Some(unhold),
            });
        }
        if let Some(stable) = environment.stable {
            let there = self.find_release(app, &stable.to_string()).await?.change;
            if there.number() > run.release.change.number() {
                let why = format!("`{there}`, a newer change, is live in `{name}` already");
                return Ok(Standing::Ended { state: StageState::Overtaken, why, next: None });
            }
        }
        let looked = self.look_at_gates(app, name, Some(&release.to_string())).await?;
        let missing = self.missing_runs(run, &looked, environment.stable).await?;
        Ok(Standing::Before(Box::new(looked), missing))
    }

    /// The runs that gates ask for and that are not there: of the candidate, and of the live release
    /// that it is compared with. One that errors left unfinished counts as missing, unless this
    /// pipeline had it made.
    async fn missing_runs(
        &self,
        run: &Run<'_>,
        looked: &Looked,
        stable: Option<ReleaseDigest>,
    ) -> Result<Vec<MissingRun>, DeliveryError> {
        let mut missing: Vec<MissingRun> = Vec::new();
        let (app, release) = (&run.app.name, run.release.release);
        for gate in &looked.gates {
            let passes = |judged: &&crate::gate::Judged| {
                judged.gate == gate.name() && judged.verdict.state.lets_in()
            };
            if looked.report.gates.iter().any(|judged| passes(&judged)) {
                continue;
            }
            let (suite, base) = match gate {
                GateFile::Eval(gate) => (gate.suite.clone(), stable),
                GateFile::Scan(gate) if gate.checks.contains(&Check::Jailbreak) => {
                    (JAILBREAK.parse()?, None)
                }
                _ => continue,
            };
            let suite = self.suite(app, &suite).await?;
            let base = base.filter(|stable| *stable != release);
            for asked in std::iter::once(release).chain(base) {
                let wanted = Evaluations {
                    app: Some(app.clone()),
                    suite: Some(suite.name.clone()),
                    release: Some(asked),
                };
                let mut runs = self.evaluations(&wanted).await?;
                runs.retain(|found| found.plan.suite.digest == suite.digest);
                let counts = |found: &EvaluationRecord| {
                    use evaluation::run::Verdict::{Error, Partial};
                    let unfinished = matches!(found.verdict, Error | Partial);
                    !unfinished || found.ended_at >= run.call.since
                };
                if runs.first().is_some_and(counts) {
                    continue;
                }
                missing.push(MissingRun {
                    gate: gate.name().to_owned(),
                    suite: suite.name.clone(),
                    version: suite.digest,
                    release: asked,
                    attempt: runs.len(),
                });
            }
        }
        Ok(missing)
    }
}
