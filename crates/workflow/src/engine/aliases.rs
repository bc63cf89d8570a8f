//! Aliases: names that lead to one version of a workflow, or to two by weight.

use std::collections::BTreeSet;

use release::{Draw, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Collection, Expect};

use super::machines::MACHINES;
use super::rows::Which;
use super::versions::check_description;
use super::{EngineError, MachineRecord, TenantEngine, check_name};

pub const ALIASES: Collection = Collection("workflow.aliases");
/// How many aliases a workflow may have.
const MOST: usize = 100;
/// How many versions an alias may lead to.
const ROUTES: usize = 2;

/// Where an alias leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A version.
    pub version: u32,
    /// How many of a hundred executions it gets.
    pub weight: u8,
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The workflow.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it leads.
    pub routes: Vec<Route>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

impl AliasRecord {
    /// What it is stored under.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.machine, self.name)
    }

    /// Whether it leads to a version.
    pub fn leads_to(&self, version: u32) -> bool {
        self.routes.iter().any(|route| route.version == version)
    }

    /// The version that an execution gets: drawn from its name, so that a start that is tried again
    /// gets the same one.
    pub(super) fn draw(&self, execution: &str) -> Option<u32> {
        let seed = super::record::seed(&format!("{}/{execution}", self.key()));
        let mut left = Draw::seeded(seed).unit() * 100.0;
        let drawn = self.routes.iter().find(|route| {
            left -= f64::from(route.weight);
            left < 0.0
        });
        drawn.map(|route| route.version)
    }
}

/// What is changed of an alias; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AliasChange {
    /// What it is, for people.
    pub description: Option<String>,
    /// Where it leads.
    pub routes: Option<Vec<Route>>,
}

impl TenantEngine {
    /// Makes an alias; the same again is the same one.
    ///
    /// # Errors
    /// If the name or the routes are refused, a version is not there, or there is another alias of
    /// that name.
    pub async fn create_alias(
        &self,
        machine: &str,
        name: &str,
        change: AliasChange,
    ) -> Result<AliasRecord, EngineError> {
        check_name(name)?;
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            let why = format!("`{name}` is the number of a version: an alias has a letter");
            return Err(EngineError::Refused(why));
        }
        let now = self.engine.shared.clock.now();
        let alias = AliasRecord {
            machine: machine.to_owned(),
            name: name.to_owned(),
            description: change.description,
            routes: change.routes.unwrap_or_default(),
            created_at: now,
            changed_at: now,
        };
        let row = self.machine_row(machine).await?;
        let all = self.aliases(machine).await?;
        if let Some(known) = all.iter().find(|known| known.name == name) {
            let same = (&known.routes, &known.description) == (&alias.routes, &alias.description);
            let why = || format!("there is another alias `{machine}:{name}` already");
            return same.then(|| known.clone()).ok_or_else(|| EngineError::Conflict(why()));
        }
        if all.len() >= MOST {
            return Err(EngineError::Limit(format!("`{machine}` has {MOST} aliases: delete some")));
        }
        self.keep_alias(row, alias, "workflow.alias.made").await
    }

    /// Changes an alias. Executions that are under way keep their version.
    ///
    /// # Errors
    /// If there is none, or the routes are refused.
    pub async fn update_alias(
        &self,
        machine: &str,
        name: &str,
        change: AliasChange,
    ) -> Result<AliasRecord, EngineError> {
        let row = self.machine_row(machine).await?;
        let known = self.alias(machine, name).await?;
        let alias = AliasRecord {
            description: change.description.or_else(|| known.description.clone()),
            routes: change.routes.unwrap_or_else(|| known.routes.clone()),
            ..known.clone()
        };
        if alias == known {
            return Ok(known);
        }
        let changed_at = self.engine.shared.clock.now();
        let alias = AliasRecord { changed_at, ..alias };
        self.keep_alias(row, alias, "workflow.alias.changed").await
    }

    async fn keep_alias(
        &self,
        (machine, expect): (MachineRecord, Expect),
        alias: AliasRecord,
        told: &str,
    ) -> Result<AliasRecord, EngineError> {
        check_description(alias.description.as_deref())?;
        check_routes(&alias.routes)?;
        for route in &alias.routes {
            self.version(&alias.machine, route.version).await?;
        }
        let transaction = self
            .transaction()
            .put(ALIASES, &alias.key(), &alias, Expect::Any)?
            .put(MACHINES, &machine.name, &machine, expect)?
            .emit("workflow", told, &alias)?;
        self.save(transaction, &machine.name).await?;
        Ok(alias)
    }

    /// One alias.
    ///
    /// # Errors
    /// If there is none.
    pub async fn alias(&self, machine: &str, name: &str) -> Result<AliasRecord, EngineError> {
        let row = self.store().get(ALIASES, &format!("{machine}/{name}")).await?;
        let unknown = || EngineError::UnknownMachine(format!("{machine}:{name}"));
        Ok(row.ok_or_else(unknown)?.read()?)
    }

    /// The aliases of a workflow, by name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn aliases(&self, machine: &str) -> Result<Vec<AliasRecord>, EngineError> {
        let prefix = &format!("{machine}/");
        self.read(ALIASES, Which { prefix, index: None }).await
    }

    /// Deletes an alias; the versions it leads to stay.
    ///
    /// # Errors
    /// If there is none.
    pub async fn remove_alias(&self, machine: &str, name: &str) -> Result<(), EngineError> {
        let alias = self.alias(machine, name).await?;
        self.forget((ALIASES, &alias.key()), "workflow.alias.removed", &alias).await
    }
}

fn check_routes(routes: &[Route]) -> Result<(), EngineError> {
    let refused = |why: String| Err(EngineError::Refused(why));
    if routes.is_empty() || routes.len() > ROUTES {
        return refused(format!("an alias leads to 1 or {ROUTES} versions, not {}", routes.len()));
    }
    let versions: BTreeSet<_> = routes.iter().map(|route| route.version).collect();
    if versions.len() < routes.len() {
        return refused("both routes lead to the same version: write one".to_owned());
    }
    match routes.iter().map(|route| u32::from(route.weight)).sum() {
        100 => Ok(()),
        sum => refused(format!("the weights sum to {sum}: they must sum to 100")),
    }
}
