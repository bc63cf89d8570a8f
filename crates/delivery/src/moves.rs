//! Moving environments: promotion and rollback. What to do is decided purely; one transaction
//! then changes the pointer and writes the log row.

use release::{
    AppName, ArtifactState, Cause, Change, DeploymentEntry, Environment, EnvironmentError,
    EnvironmentName, Move, MoveRequest, ReleaseDigest, Timestamp,
};
use store::{Expect, StoreError, Transaction};

use crate::catalog::{AppRecord, ENVIRONMENTS, PAGE, ReleaseRecord, deployments, environment_key};
use crate::experiments::split_by;
use crate::project::files::Entry;
use crate::rollout::Event;
use crate::rollout::rules::Rules;
use crate::rollouts::{record_rollout, under_way};
use crate::waiting::Waits;
use crate::{DeliveryError, TenantDelivery};

/// How often a move is decided anew after somebody else moved first.
const ATTEMPTS: usize = 8;

/// A wish to make a release the stable one of an environment.
#[derive(Debug, Clone)]
pub struct Promotion {
    /// The app.
    pub app: AppName,
    /// Where to.
    pub environment: EnvironmentName,
    /// Which release, as [`TenantDelivery::find_release`] takes it; the newest candidate if none.
    pub release: Option<String>,
    /// The generation of the environment the caller looked at, if it insists on it.
    pub expected: Option<u64>,
    /// Whether it goes live at once, whatever the app's rules say. A rollout of it that is under way
    /// ends with it.
    pub now: bool,
}

/// A wish to return an environment to an earlier release.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// Which release; the one that was stable before if none.
    pub release: Option<String>,
    /// The generation of the environment the caller looked at, if it insists on it.
    pub expected: Option<u64>,
    /// Why, in words.
    pub reason: String,
}

/// What became of a candidate that its app's policy lets in by itself.
#[derive(Debug)]
pub(crate) struct Entered {
    /// The move, if it entered.
    pub moved: Option<DeploymentEntry>,
    /// Why it waits, if it does.
    pub waits: Option<Waits>,
}

impl TenantDelivery {
    /// Makes a release the stable one of an environment, or begins to roll it out where the app's
    /// rules say how.
    ///
    /// # Errors
    /// If the release is unknown, an artifact of it is unusable, a gate does not let it in, the
    /// environment moved away from `expected`, a rollout is under way there, or automation promotes a
    /// held release.
    pub async fn promote(&self, wish: &Promotion) -> Result<DeploymentEntry, DeliveryError> {
        let (app, release) = self.promotable(wish).await?;
        self.go_over(&app, &release, wish).await
    }

    /// Promotes what may be used, deciding anew when somebody was faster.
    async fn go_over(
        &self,
        app: &AppRecord,
        release: &ReleaseRecord,
        wish: &Promotion,
    ) -> Result<DeploymentEntry, DeliveryError> {
        undisturbed(|| async {
            let read = self.environment(app, &wish.environment).await?;
            self.go_over_from(read, (app, release), wish).await
        })
        .await
    }

    /// Promotes over the environment as it was read.
    async fn go_over_from(
        &self,
        read: (Environment, Expect),
        (app, release): (&AppRecord, &ReleaseRecord),
        wish: &Promotion,
    ) -> Result<DeploymentEntry, DeliveryError> {
        let change = self.change(&release.change).await?;
        if let Some(id) = under_way(&read.0) {
            let busy = || DeliveryError::RolloutUnderWay(id.to_owned());
            if !wish.now || self.rollout(id).await?.candidate != release.release {
                return Err(busy());
            }
            self.eligible((app, &read.0), &change).await?;
            return self.steer(id, &Event::Promote).await?.1.ok_or_else(busy);
        }
        if let Some(id) = split_by(&read.0) {
            return Err(DeliveryError::ExperimentUnderWay(id.to_owned()));
        }
        self.eligible((app, &read.0), &change).await?;
        let rules = Self::rules(app, &wish.environment).filter(|_| !wish.now);
        let (transaction, entry) =
            self.bring_in(read, &change, (rules, wish.expected), self.transaction())?;
        self.store.commit(transaction).await?;
        Ok(entry)
    }

    /// Adds to `transaction` what brings a change's release into an environment: a rollout where
    /// there are rules, and something to roll it out over, else the move itself.
    pub(crate) fn bring_in(
        &self,
        read: (Environment, Expect),
        change: &Change,
        (rules, expected): (Option<Rules>, Option<u64>),
        transaction: Transaction,
    ) -> Result<(Transaction, DeploymentEntry), DeliveryError> {
        let environment = &read.0;
        let (from, to) = (environment.stable, change.release);
        let at = self.clock.now();
        let over = rules.zip(from.filter(|stable| *stable != to));
        let rollout = over.map(|over| self.new_rollout(environment, change, over, at));
        let make = match &rollout {
            Some(rollout) => Move::Plan { to: Some(rollout.plan(0)) },
            None => Move::Stable { from, to, hold: None },
        };
        let request = MoveRequest {
            expected: expected.unwrap_or(environment.generation),
            make,
            cause: Cause::Promotion { change: change.id.clone() },
            actor: self.actor.clone(),
            at,
        };
        let (mut transaction, entry) = record_move(transaction, read, request)?;
        if let Some(rollout) = &rollout {
            transaction = record_rollout(transaction, rollout, Expect::Absent)?;
        }
        Ok((transaction, entry))
    }

    /// Promotes unless the release is the stable one already, or is being rolled out: then the move
    /// that did it. For work that may be begun twice; whoever started it, it is automation, so what
    /// is held stays held.
    ///
    /// # Errors
    /// As [`TenantDelivery::promote`].
    pub async fn promote_once(&self, wish: &Promotion) -> Result<DeploymentEntry, DeliveryError> {
        let (app, release) = self.promotable(wish).await?;
        let to = release.release;
        undisturbed(|| async {
            let read = self.environment(&app, &wish.environment).await?;
            let present = &read.0;
            if present.releases().any(|there| there == to) {
                let log = self.deployments(&app.name, &wish.environment).await?;
                if let Some(entry) = log.into_iter().rev().find(|entry| promotes(entry, to)) {
                    return Ok(entry);
                }
            }
            if present.held.contains(&to) {
                return Err(EnvironmentError::Held { release: to }.into());
            }
            self.go_over_from(read, (&app, &release), wish).await
        })
        .await
    }

    /// Promotes unless that was done since a moment already: then the move that did it. For
    /// the deed of a person that may be begun twice.
    ///
    /// # Errors
    /// As [`TenantDelivery::promote`].
    pub async fn promote_since(
        &self,
        wish: &Promotion,
        since: Timestamp,
    ) -> Result<DeploymentEntry, DeliveryError> {
        let (app, release) = self.promotable(wish).await?;
        let log = self.deployments(&app.name, &wish.environment).await?;
        let own = |entry: &&DeploymentEntry| {
            let promoted = matches!(entry.cause, Cause::Promotion { .. });
            let here = entry.actor == self.actor && entry.at >= since;
            promoted && here && promotes(entry, release.release)
        };
        match log.iter().rev().find(own) {
            Some(entry) => Ok(entry.clone()),
            None => self.go_over(&app, &release, wish).await,
        }
    }

    /// The app, and the release that a wish means: one that may be used where it is wanted.
    async fn promotable(
        &self,
        wish: &Promotion,
    ) -> Result<(AppRecord, ReleaseRecord), DeliveryError> {
        let app = self.app(&wish.app).await?.value;
        if !app.environments.contains(&wish.environment) {
            let (app, environment) = (app.name, wish.environment.clone());
            return Err(DeliveryError::UnknownEnvironment { app, environment });
        }
        let release = self.wanted(&app, wish.release.as_deref()).await?;
        self.check_usable(&release).await?;
        Ok((app, release))
    }

    /// The release that a wish means; the newest candidate if it names none.
    pub(crate) async fn wanted(
        &self,
        app: &AppRecord,
        selector: Option<&str>,
    ) -> Result<ReleaseRecord, DeliveryError> {
        match (selector, app.head) {
            (Some(selector), _) => self.find_release(&app.name, selector).await,
            (None, Some(head)) => self.find_release(&app.name, &head.to_string()).await,
            (None, None) => {
                let (app, selector) = (app.name.clone(), "newest".to_owned());
                Err(DeliveryError::UnknownRelease { app, selector })
            }
        }
    }

    /// Returns an environment to an earlier release in one pointer move. Needs no gate, never
    /// depends on the candidate, and holds the release that is taken back: the one that is being
    /// rolled out, where one is.
    ///
    /// # Errors
    /// If there is no earlier release, the one asked for is unknown or was never live there, or the
    /// environment moved away from `expected`.
    pub async fn roll_back(&self, wish: &Rollback) -> Result<DeploymentEntry, DeliveryError> {
        let app = self.app(&wish.app).await?.value;
        let chosen = match &wish.release {
            Some(selector) => Some(self.find_release(&app.name, selector).await?.release),
            None => None,
        };
        let name = &wish.environment;
        if let Some(id) = under_way(&self.environment(&app, name).await?.0) {
            let event = Event::RollBack(wish.reason.clone());
            let (_, entry) = self.steer(id, &event).await?;
            // What is asked for besides is done from there on.
            if let (Some(entry), None) = (entry, chosen) {
                return Ok(entry);
            }
        }
        undisturbed(|| async {
            let read = self.environment(&app, name).await?;
            let mut log = self.deployments(&app.name, name).await?;
            // Rows that were added since would be decided over unseen.
            log.retain(|entry| entry.generation <= read.0.generation);
            debug_assert!(release::invariants::pointer_equals_folded_log(&read.0, &log));
            let to = chosen.or_else(|| restore_point(&log)).ok_or_else(|| {
                let (app, environment) = (app.name.clone(), name.clone());
                DeliveryError::NothingToRestore { app, environment }
            })?;
            // What was live long ago may not be kept any more.
            self.find_release(&app.name, &to.to_string()).await?;
            if !log.iter().any(|entry| makes_stable(entry, to)) {
                let (app, environment) = (app.name.clone(), name.clone());
                return Err(DeliveryError::NeverLive { release: to, app, environment });
            }
            let from = read.0.stable;
            let make = Move::Stable { from, to, hold: from.filter(|stable| *stable != to) };
            let cause = Cause::Rollback { reason: wish.reason.clone() };
            let expected = wish.expected.unwrap_or(read.0.generation);
            self.make_move(read, (expected, make, cause)).await
        })
        .await
    }

    /// Holds a release: automation does not promote it until a person clears that.
    ///
    /// # Errors
    /// If the app, environment or release is unknown, or requests go to it there.
    pub async fn hold_back(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
        selector: &str,
        reason: &str,
    ) -> Result<DeploymentEntry, DeliveryError> {
        let cause = Cause::Held { reason: reason.to_owned() };
        self.mark((app, environment), selector, |release| Move::Hold { release }, cause).await
    }

    /// Allows automation to promote a held release again.
    ///
    /// # Errors
    /// If the app, environment or release is unknown.
    pub async fn clear_hold(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
        selector: &str,
        reason: &str,
    ) -> Result<DeploymentEntry, DeliveryError> {
        let cause = Cause::HoldCleared { reason: reason.to_owned() };
        self.mark((app, environment), selector, |release| Move::Clear { release }, cause).await
    }

    /// Makes a move that is about a release and moves no request.
    async fn mark(
        &self,
        (app, environment): (&AppName, &EnvironmentName),
        selector: &str,
        make: fn(ReleaseDigest) -> Move,
        cause: Cause,
    ) -> Result<DeploymentEntry, DeliveryError> {
        let record = self.app(app).await?.value;
        let release = self.find_release(app, selector).await?.release;
        undisturbed(|| async {
            let read = self.environment(&record, environment).await?;
            let decided = (read.0.generation, make(release), cause.clone());
            self.make_move(read, decided).await
        })
        .await
    }

    /// Commits one move, unless somebody else was faster.
    async fn make_move(
        &self,
        read: (Environment, Expect),
        (expected, make, cause): (u64, Move, Cause),
    ) -> Result<DeploymentEntry, DeliveryError> {
        let (actor, at) = (self.actor.clone(), self.clock.now());
        let request = MoveRequest { expected, make, cause, actor, at };
        let (transaction, entry) = record_move(self.transaction(), read, request)?;
        self.store.commit(transaction).await?;
        Ok(entry)
    }

    /// Adds the promotion of a change just proposed to `transaction`, where the app's policy lets it in
    /// by itself; nothing if it is held. It waits if a gate does not let it in.
    pub(crate) async fn enter(
        &self,
        app: &AppRecord,
        change: &Change,
        transaction: Transaction,
    ) -> Result<(Transaction, Entered), DeliveryError> {
        let nothing = Entered { moved: None, waits: None };
        let first = app.environments.first().filter(|_| app.policy.enter == Entry::Automatic);
        let Some(first) = first else { return Ok((transaction, nothing)) };
        let read = self.environment(app, first).await?;
        let to = change.release;
        let environment = &read.0;
        let stays = environment.held.contains(&to) || environment.plan.is_some();
        if stays || environment.stable == Some(to) {
            return Ok((transaction, nothing));
        }
        match self.eligible((app, environment), change).await {
            Ok(()) => {
                let rules = Self::rules(app, first);
                let (transaction, entry) =
                    self.bring_in(read, change, (rules, None), transaction)?;
                Ok((transaction, Entered { moved: Some(entry), waits: None }))
            }
            Err(DeliveryError::NotEligible { why, .. }) => {
                let (transaction, waits) = Self::wait(change, (first, why), transaction)?;
                Ok((transaction, Entered { moved: None, waits: Some(waits) }))
            }
            Err(error) => Err(error),
        }
    }

    /// Every slot must resolve to an artifact that may be used.
    pub(crate) async fn check_usable(&self, release: &ReleaseRecord) -> Result<(), DeliveryError> {
        for artifact in release.slots.values() {
            let state = match self.artifact(artifact).await?.map(|version| version.state) {
                Some(ArtifactState::Quarantined) => "quarantined",
                Some(ArtifactState::Deleted) => "deleted",
                None => "missing",
                Some(_) if !self.blobs.exists(&artifact.digest).await? => "missing",
                Some(_) => continue,
            };
            return Err(DeliveryError::Unusable { artifact: artifact.clone(), state });
        }
        Ok(())
    }

    /// The whole deployment log of one environment, oldest first.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn deployments(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
    ) -> Result<Vec<DeploymentEntry>, DeliveryError> {
        let stream = deployments(app, environment);
        let mut log: Vec<DeploymentEntry> = Vec::new();
        loop {
            let page = self.store.stream(&stream, log.len() as u64, PAGE).await?;
            let complete = page.len() < PAGE;
            for event in page {
                log.push(event.read()?);
            }
            if complete {
                return Ok(log);
            }
        }
    }
}

/// Makes a move, and decides it anew while somebody else is faster.
pub(crate) async fn undisturbed<T, F>(once: impl Fn() -> F) -> Result<T, DeliveryError>
where
    F: Future<Output = Result<T, DeliveryError>>,
{
    for _ in 1..ATTEMPTS {
        match once().await {
            Err(DeliveryError::Store(StoreError::Conflict { .. })) => {}
            done => return done,
        }
    }
    once().await
}

pub(crate) fn makes_stable(entry: &DeploymentEntry, release: ReleaseDigest) -> bool {
    matches!(entry.r#move, Move::Stable { to, .. } if to == release)
}

/// Whether a move made `release` the stable one, or began to roll it out.
fn promotes(entry: &DeploymentEntry, release: ReleaseDigest) -> bool {
    let begins = matches!(entry.cause, Cause::Promotion { .. })
        && matches!(entry.r#move, Move::Plan { .. })
        && entry.r#move.releases().any(|to| to == release);
    begins || makes_stable(entry, release)
}

/// Decides a move of an environment as it was read: the pointer and its log row, in one transaction.
pub(crate) fn record_move(
    transaction: Transaction,
    (mut environment, expect): (Environment, Expect),
    request: MoveRequest,
) -> Result<(Transaction, DeploymentEntry), DeliveryError> {
    let entry = environment.decide(request)?;
    environment.apply(&entry);
    let key = environment_key(&environment.app, &environment.name);
    let stream = deployments(&environment.app, &environment.name);
    let transaction = transaction.put(ENVIRONMENTS, &key, &environment, expect)?;
    Ok((transaction.emit(&stream, "deployment.moved", &entry)?, entry))
}

/// The release that was stable before the present one was promoted. A rollback takes the
/// promotions after its target back, so rolling back twice goes back two promotions.
pub(crate) fn restore_point(log: &[DeploymentEntry]) -> Option<ReleaseDigest> {
    let mut promoted = promoted(log);
    promoted.pop();
    promoted.pop()
}

/// The releases that were stable before `present`, the latest first.
pub(crate) fn stood_before(
    log: &[DeploymentEntry],
    present: ReleaseDigest,
) -> impl Iterator<Item = ReleaseDigest> {
    promoted(log).into_iter().rev().filter(move |release| *release != present)
}

/// The promotions that were not taken back, the oldest first.
fn promoted(log: &[DeploymentEntry]) -> Vec<ReleaseDigest> {
    let mut promoted: Vec<ReleaseDigest> = Vec::new();
    for entry in log {
        if let (Move::Stable { to, .. }, cause) = (&entry.r#move, &entry.cause) {
            if matches!(cause, Cause::Rollback { .. }) {
                let keep = promoted.iter().rposition(|release| release == to);
                promoted.truncate(keep.map_or(0, |at| at));
            }
            if promoted.last() != Some(to) {
                promoted.push(*to);
            }
        }
    }
    promoted
}

#[cfg(test)]
mod tests;
