//! Quarantine: what is bad, everything made from it, and every release that uses any of these.
//!
//! Marking comes first, in one transaction, so that nothing new goes live with it; then each
//! environment that uses it returns to a release that does not. Doing it twice changes nothing more,
//! so one that was cut off is done again.

use std::collections::{BTreeMap, BTreeSet};

use release::{
    AppName, ArtifactRef, ArtifactState, ArtifactVersion, Digest, Environment, EnvironmentName,
    ReleaseDigest, quarantined_closure,
};
use serde::{Deserialize, Serialize};

use crate::catalog::{ARTIFACTS, ENVIRONMENTS, RELEASES, ReleaseRecord, Versioned, artifact_key};
use crate::experiment;
use crate::experiments::split_by;
use crate::moves::stood_before;
use crate::rollout::Event;
use crate::rollouts::under_way;
use crate::{DeliveryError, Rollback, TenantDelivery};

/// The fewest digits of a digest that name an artifact.
const DIGITS: usize = 6;

/// What a quarantine reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// What is bad.
    pub artifact: ArtifactRef,
    /// What was made from it, directly or not.
    pub derived: Vec<ArtifactRef>,
    /// The releases that use any of these, by app and number.
    pub releases: Vec<AffectedRelease>,
    /// Where such a release answers.
    pub environments: Vec<AffectedEnvironment>,
}

/// A release that uses what is bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedRelease {
    /// The app.
    pub app: AppName,
    /// Its number.
    pub sequence: u64,
    /// The release.
    pub release: ReleaseDigest,
}

/// A place where a release answers that uses what is bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedEnvironment {
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// The release.
    pub release: ReleaseDigest,
    /// The release that answers instead; none if there is none to return to, or nothing was done.
    pub instead: Option<ReleaseDigest>,
}

impl TenantDelivery {
    /// What a quarantine of an artifact would reach. It is named by digits of its digest, or as
    /// `kind/name@digits`.
    ///
    /// # Errors
    /// [`DeliveryError::UnknownArtifact`] unless exactly one artifact fits.
    pub async fn quarantine_reach(&self, selector: &str) -> Result<Reached, DeliveryError> {
        Ok(self.reach(selector).await?.0)
    }

    /// Marks an artifact and what was made from it, and takes every release that uses them out of
    /// every environment that has one to return to.
    ///
    /// # Errors
    /// As [`TenantDelivery::quarantine_reach`], or if an environment cannot be moved.
    pub async fn quarantine(&self, selector: &str, reason: &str) -> Result<Reached, DeliveryError> {
        let (mut reached, versions) = self.reach(selector).await?;
        let mut transaction = self.transaction();
        let mut marked = false;
        for Versioned { value, version } in versions {
            if !value.state.may_become(ArtifactState::Quarantined) {
                continue;
            }
            let key = artifact_key(&value.artifact);
            let value = ArtifactVersion { state: ArtifactState::Quarantined, ..value };
            let stream = format!("artifacts/{}/{}", value.artifact.kind, value.artifact.name);
            let told = serde_json::json!({
                "artifact": value.artifact, "because_of": reached.artifact, "reason": reason,
            });
            transaction = transaction
                .put(ARTIFACTS, &key, &value, store::Expect::Version(version))?
                .emit(&stream, "artifact.quarantined", &told)?;
            marked = true;
        }
        if marked {
            self.store.commit(transaction).await?;
        }
        let bad: BTreeSet<_> = reached.releases.iter().map(|it| it.release).collect();
        for place in &mut reached.environments {
            place.instead = self.take_out(place, (&bad, reason)).await?;
        }
        Ok(reached)
    }

    /// Returns an environment to what does not use what is bad; none if there is no such release.
    async fn take_out(
        &self,
        place: &AffectedEnvironment,
        (bad, reason): (&BTreeSet<ReleaseDigest>, &str),
    ) -> Result<Option<ReleaseDigest>, DeliveryError> {
        let app = self.app(&place.app).await?.value;
        let (environment, _) = self.environment(&app, &place.environment).await?;
        let reason = format!("quarantine: {reason}");
        if let Some(id) = under_way(&environment)
            && bad.contains(&self.rollout(id).await?.candidate)
        {
            self.steer(id, &Event::RollBack(reason.clone())).await?;
        }
        if let Some(id) = split_by(&environment)
            && environment.releases().any(|release| bad.contains(&release))
        {
            self.steer_experiment(id, |_| experiment::Event::Pause(reason.clone())).await?;
        }
        let Some(stable) = environment.stable.filter(|stable| bad.contains(stable)) else {
            return Ok(environment.stable);
        };
        let log = self.deployments(&app.name, &place.environment).await?;
        for earlier in stood_before(&log, stable) {
            let kept = self.find_release(&app.name, &earlier.to_string()).await.is_ok();
            if bad.contains(&earlier) || !kept {
                continue;
            }
            let wish = Rollback {
                app: app.name.clone(),
                environment: place.environment.clone(),
                release: Some(earlier.to_string()),
                expected: None,
                reason,
            };
            self.roll_back(&wish).await?;
            return Ok(Some(earlier));
        }
        Ok(None)
    }

    async fn reach(
        &self,
        selector: &str,
    ) -> Result<(Reached, Vec<Versioned<ArtifactVersion>>), DeliveryError> {
        let artifacts = self.all::<ArtifactVersion>(ARTIFACTS, "").await?;
        let mut fitting = artifacts.iter().filter(|it| fits(&it.value.artifact, selector));
        let (Some(one), None) = (fitting.next(), fitting.next()) else {
            return Err(DeliveryError::UnknownArtifact(selector.to_owned()));
        };
        let artifact = one.value.artifact.clone();
        let sources: BTreeMap<Digest, BTreeSet<Digest>> = artifacts
            .iter()
            .map(|it| (it.value.artifact.digest, it.value.derived_from.iter().copied().collect()))
            .collect();
        let bad = quarantined_closure(&[artifact.digest].into(), &sources);
        let mut versions = artifacts;
        versions.retain(|it| bad.contains(&it.value.artifact.digest));
        let derived = versions.iter().map(|it| it.value.artifact.clone());
        let derived = derived.filter(|it| *it != artifact).collect();
        let releases = self.all::<ReleaseRecord>(RELEASES, "").await?.into_iter();
        let releases: Vec<_> = releases
            .map(|found| found.value)
            .filter(|it| it.slots.values().any(|slot| bad.contains(&slot.digest)))
            .map(|it| AffectedRelease { app: it.app, sequence: it.sequence, release: it.release })
            .collect();
        let used: BTreeSet<_> = releases.iter().map(|it| it.release).collect();
        let mut environments = Vec::new();
        for Versioned { value, .. } in self.all::<Environment>(ENVIRONMENTS, "").await? {
            if let Some(release) = value.releases().find(|it| used.contains(it)) {
                let (app, environment) = (value.app.clone(), value.name.clone());
                environments.push(AffectedEnvironment { app, environment, release, instead: None });
            }
        }
        Ok((Reached { artifact, derived, releases, environments }, versions))
    }
}

/// Whether `selector` names an artifact.
fn fits(artifact: &ArtifactRef, selector: &str) -> bool {
    let (named, digits) = match selector.split_once('@') {
        Some((name, digits)) => (Some(name), digits),
        None => (None, selector),
    };
    let digits = digits.strip_prefix("sha256:").unwrap_or(digits);
    let own = format!("{}/{}", artifact.kind, artifact.name);
    digits.len() >= DIGITS
        && artifact.digest.to_hex().starts_with(digits)
        && named.is_none_or(|named| named == own)
}

#[cfg(test)]
mod tests;
