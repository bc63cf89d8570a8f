//! Projects that are applied when somebody pushes, as `server.toml` has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use knowledge::Offered;
use knowledge::source::{Branch, Tracked};
use release::{EnvironmentName, TenantId};
use schemars::JsonSchema;
use security::SecretRef;
use serde::{Deserialize, Serialize};

use super::ServerFile;
use crate::pushes::{Forge, Pushed, Pushes};

/// A branch of a git repository, whose project is applied when a forge tells of a push to
/// `/hooks/git/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitFile {
    /// Who tells of pushes, and so how it proves itself.
    pub kind: Forge,
    /// What it proves itself with, by reference.
    pub secret: SecretRef,
    /// The repository: a name in `[repositories]`, which has its address and credentials. Or `path`.
    #[serde(default)]
    pub repository: Option<String>,
    /// The directory of a repository on this machine; relative to `server.toml`. Or `repository`.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The branch.
    #[serde(default = "main")]
    pub branch: String,
    /// The directory of the project in the repository (default: all of it).
    #[serde(default)]
    pub directory: String,
    /// The tenant that it is applied for.
    #[serde(default = "default_tenant")]
    pub tenant: TenantId,
    /// The last environment that its candidates go to by a pipeline (default: they go nowhere).
    #[serde(default)]
    pub pipeline: Option<EnvironmentName>,
    /// For how many hours such a pipeline waits for what needs time.
    #[schemars(range(min = 1, max = 720))]
    #[serde(default = "a_week")]
    pub wait_hours: u64,
}

fn main() -> String {
    "main".to_owned()
}

const fn default_tenant() -> TenantId {
    TenantId::DEFAULT
}

const fn a_week() -> u64 {
    168
}

impl ServerFile {
    /// The branches whose projects are applied, with their secrets read; copies in `data`.
    ///
    /// # Errors
    /// If one cannot be followed as it stands.
    pub fn pushes(&self, base: &Path, data: &Path, offered: &Offered) -> Result<Pushes> {
        let mut pushed = BTreeMap::new();
        for (name, file) in &self.git {
            let one = file.pushed(name, (base, data), offered);
            pushed.insert(name.clone(), one.with_context(|| format!("[git.{name}]"))?);
        }
        Ok(Pushes::new(pushed))
    }
}

impl GitFile {
    fn pushed(
        &self,
        name: &str,
        (base, data): (&Path, &Path),
        offered: &Offered,
    ) -> Result<Pushed> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = (1..=64).contains(&name.len()) && name.chars().all(plain);
        ensure!(named, "its name must be 1 to 64 of letters, digits, `-`, `_` and `.`");
        ensure!((1..=720).contains(&self.wait_hours), "`wait_hours` is 1 to 720");
        let tracked = match (&self.repository, &self.path) {
            (Some(name), None) => {
                let known = offered.repositories.get(name);
                let known =
                    known.with_context(|| format!("there is no `[repositories.{name}]`"))?;
                Tracked::There(Box::new(known.what.clone()))
            }
            (None, Some(path)) => Tracked::Here(std::path::absolute(base.join(path))?),
            _ => bail!("it needs either a `repository` or a `path`"),
        };
        let cache = std::path::absolute(data.join("cache"))?;
        Ok(Pushed {
            forge: self.kind,
            secret: self.secret.resolve()?,
            branch: self.branch.clone(),
            source: Branch::open(tracked, (&self.branch, &self.directory), &cache)?,
            tenant: self.tenant.clone(),
            pipeline: self.pipeline.clone(),
            wait_seconds: self.wait_hours * 3_600,
            turn: tokio::sync::Mutex::default(),
        })
    }
}
