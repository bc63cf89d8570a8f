//! Candidates that their app's policy lets in by itself, as soon as the gates do.

use release::{AppName, Change, ChangeId, EnvironmentName, PrincipalId, ReleaseDigest, TenantId};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, Transaction};

use crate::catalog::{APPS, AppRecord};
use crate::project::files::Entry;
use crate::{Delivery, DeliveryError, Promotion, TenantDelivery};

/// Who lets in what waited.
const KEEPER: &str = "gates";
/// The newest candidate of each app that waits, by app.
const WAITING: Collection = Collection("gates.waiting");

/// A candidate that waits before the first environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The app.
    pub app: AppName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The change.
    pub change: ChangeId,
    /// The release.
    pub release: ReleaseDigest,
    /// Each gate that did not pass, and why.
    pub why: Vec<String>,
}

impl Delivery {
    /// Lets in what waited, where the gates pass by now; how many entered. One that cannot be looked
    /// at does not keep the others.
    ///
    /// # Errors
    /// If the records of a tenant cannot be read.
    pub async fn keep_waiting(&self, tenants: &[TenantId]) -> Result<usize, DeliveryError> {
        let mut entered = 0;
        for tenant in tenants {
            let own = self.tenant(tenant, PrincipalId::system(KEEPER));
            for waits in own.all::<Waits>(WAITING, "").await? {
                let (app, expect) = (waits.value.app.clone(), waits.expect());
                match own.let_in(&waits.value).await {
                    // It waits on.
                    Ok(None) => continue,
                    Ok(Some(moved)) => entered += usize::from(moved),
                    Err(error) => {
                        tracing::warn!(%tenant, %app, %error, "a candidate could not be looked at");
                        continue;
                    }
                }
                let transaction = own.transaction().delete(WAITING, app.as_str(), expect);
                match own.store.commit(transaction).await {
                    // A newer one waits by now.
                    Ok(_) | Err(store::StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(entered)
    }
}

impl TenantDelivery {
    /// Notes that a candidate waits, and why.
    pub(crate) fn wait(
        change: &Change,
        (environment, why): (&EnvironmentName, Vec<String>),
        transaction: Transaction,
    ) -> Result<(Transaction, Waits), DeliveryError> {
        let waits = Waits {
            app: change.app.clone(),
            environment: environment.clone(),
            change: change.id.clone(),
            release: change.release,
            why,
        };
        Ok((transaction.put(WAITING, waits.app.as_str(), &waits, Expect::Any)?, waits))
    }

    /// Promotes what waits: whether it moved, or none if it waits on.
    async fn let_in(&self, waits: &Waits) -> Result<Option<bool>, DeliveryError> {
        let Waits { app, environment, release, .. } = waits;
        let Some(found) = self.find::<AppRecord>(APPS, app.as_str()).await? else {
            return Ok(Some(false));
        };
        let record = found.value;
        let wanted = record.head == Some(*release)
            && record.policy.enter == Entry::Automatic
            && record.environments.first() == Some(environment);
        if !wanted {
            return Ok(Some(false));
        }
        let pointer = self.environment(&record, environment).await?.0;
        if pointer.releases().any(|there| there == *release) || pointer.held.contains(release) {
            return Ok(Some(false));
        }
        if pointer.plan.is_some() {
            return Ok(None);
        }
        let wish = Promotion {
            app: app.clone(),
            environment: environment.clone(),
            release: Some(release.to_string()),
            expected: Some(pointer.generation),
            now: false,
        };
        match self.promote_once(&wish).await {
            Ok(_) => Ok(Some(true)),
            Err(DeliveryError::NotEligible { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
