//! The routing table: the one value in which the release path and the request path touch.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::environment::{Environment, Mirror, PlanId, RouteMatch, SHADOW};
use crate::{AppName, EnvironmentName, ReleaseDigest, TenantId, bucket};

/// Where every app is live. Delivery publishes it; the gateway watches it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutingTable {
    position: u64,
    tenants: HashMap<TenantId, HashMap<AppName, HashMap<EnvironmentName, Environment>>>,
}

/// What a request is assigned by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Unit {
    /// A session, conversation or user: all its requests go to the same arm.
    Stuck(String),
    /// The request's own id: assigned, but left out of verdicts.
    Unstuck(String),
}

impl Unit {
    /// The text that is hashed.
    pub fn id(&self) -> &str {
        match self {
            Self::Stuck(id) | Self::Unstuck(id) => id,
        }
    }
}

/// The parts of a request that decide where it goes.
pub struct Caller<'a> {
    /// The tenant whose app is called.
    pub tenant: &'a TenantId,
    /// What the request is assigned by.
    pub unit: Unit,
    /// Looks up a request header by its lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// What a request is bound to, from arrival to its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The release that answers.
    pub release: ReleaseDigest,
    /// The environment.
    pub environment: EnvironmentName,
    /// The traffic plan in force, if any.
    pub plan: Option<PlanId>,
    /// Which step of the plan's owner it was.
    pub step: Option<u32>,
    /// The arm the unit fell into; none without a plan or when a route decided.
    pub arm: Option<String>,
    /// What the request was assigned by.
    pub unit: Unit,
}

/// A request for something that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTarget {
    /// No such app in this tenant.
    #[error("there is no app `{0}`")]
    App(AppName),
    /// The app is not known in that environment.
    #[error("app `{app}` has no environment `{environment}`")]
    Environment {
        /// The app.
        app: AppName,
        /// The environment asked for.
        environment: EnvironmentName,
    },
    /// Nothing was promoted there yet.
    #[error("app `{app}` has no release in `{environment}` yet")]
    NothingLive {
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
    },
}

impl RoutingTable {
    /// An empty table as of event position `position`.
    pub fn at(position: u64) -> Self {
        Self { position, tenants: HashMap::new() }
    }

    /// The position in the global event log that this table reflects.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Moves the table forward to event position `position`.
    pub fn advance(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// Puts an environment's present state into the table.
    pub fn insert(&mut self, tenant: TenantId, environment: Environment) {
        self.tenants
            .entry(tenant)
            .or_default()
            .entry(environment.app.clone())
            .or_default()
            .insert(environment.name.clone(), environment);
    }

    /// The apps of `tenant` that are live in `environment`, in the order of their names.
    pub fn apps(&self, tenant: &TenantId, environment: &EnvironmentName) -> BTreeSet<AppName> {
        let live = |environments: &HashMap<EnvironmentName, Environment>| {
            environments.get(environment).is_some_and(|environment| environment.stable.is_some())
        };
        let apps = self.tenants.get(tenant).into_iter().flatten();
        apps.filter(|(_, environments)| live(environments)).map(|(app, _)| app.clone()).collect()
    }

    /// One environment, as the table has it.
    pub fn environment(
        &self,
        tenant: &TenantId,
        app: &AppName,
        environment: &EnvironmentName,
    ) -> Option<&Environment> {
        self.tenants.get(tenant)?.get(app)?.get(environment)
    }

    /// Every (tenant, environment) of the table, in no particular order.
    pub fn environments(&self) -> impl Iterator<Item = (&TenantId, &Environment)> {
        self.tenants.iter().flat_map(|(tenant, apps)| {
            apps.values().flat_map(HashMap::values).map(move |environment| (tenant, environment))
        })
    }

    /// Binds a request to one release: routes first, then the arm that owns the unit's bucket,
    /// else the stable release. Pure, so a retry binds alike.
    ///
    /// # Errors
    /// [`UnknownTarget`] if there is nothing to bind to.
    pub fn bind(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
        caller: Caller<'_>,
    ) -> Result<Binding, UnknownTarget> {
        let environments = self
            .tenants
            .get(caller.tenant)
            .and_then(|apps| apps.get(app))
            .ok_or_else(|| UnknownTarget::App(app.clone()))?;
        let live = environments.get(environment).ok_or_else(|| UnknownTarget::Environment {
            app: app.clone(),
            environment: environment.clone(),
        })?;
        let stable = live.stable.ok_or_else(|| UnknownTarget::NothingLive {
            app: app.clone(),
            environment: environment.clone(),
        })?;
        let mut binding = Binding {
            release: stable,
            environment: environment.clone(),
            plan: None,
            step: None,
            arm: None,
            unit: caller.unit,
        };
        if let Some(plan) = &live.plan {
            binding.plan = Some(plan.id.clone());
            binding.step = Some(plan.step);
            let taken = plan.routes.iter().find(|route| match &route.when {
                RouteMatch::Header { name, value } => (caller.header)(name) == Some(value),
                RouteMatch::Tenant(tenant) => tenant == caller.tenant,
            });
            if let Some(route) = taken {
                binding.release = route.release;
            } else if let Some(arm) = plan.arm(bucket(&plan.id.0, binding.unit.id())) {
                binding.release = arm.release;
                binding.arm = Some(arm.name.clone());
            }
        }
        Ok(binding)
    }

    /// To what a copy of a request is bound that is bound like this: nothing, unless the plan it is
    /// bound by is in force, mirrors its unit, and put it into an arm of another release.
    pub fn copy(
        &self,
        tenant: &TenantId,
        app: &AppName,
        binding: &Binding,
    ) -> Option<(&Mirror, Binding)> {
        let plan = self.environment(tenant, app, &binding.environment)?.plan.as_ref()?;
        let same = binding.plan.as_ref() == Some(&plan.id) && binding.step == Some(plan.step);
        let mirror = plan.mirror_of(binding.unit.id())?;
        let wanted = same && binding.arm.is_some() && binding.release != mirror.release;
        wanted.then(|| {
            let (release, arm) = (mirror.release, Some(SHADOW.to_owned()));
            (mirror, Binding { release, arm, ..binding.clone() })
        })
    }
}

#[cfg(test)]
mod tests;
