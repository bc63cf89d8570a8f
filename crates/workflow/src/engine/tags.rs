//! Tags: what people note about workflows and activities.

use std::collections::BTreeMap;

use store::{Collection, Expect};

use super::{EngineError, TenantEngine};

pub const TAGS: Collection = Collection("workflow.tags");
/// How many tags a thing may have.
const MOST: usize = 50;
/// The most characters of a tag's key, and of its value.
const LONGEST: (usize, usize) = (128, 256);

/// What can have tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    /// A workflow.
    Machine(String),
    /// An activity.
    Activity(String),
}

impl Tagged {
    /// What its tags are stored under.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Machine(name) => format!("workflow/{name}"),
            Self::Activity(name) => format!("activity/{name}"),
        }
    }
}

/// Refuses tags that nothing may have.
///
/// # Errors
/// If one is too long, or there are too many.
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), EngineError> {
    let long = |(key, value): &(&String, &String)| {
        key.is_empty() || key.chars().count() > LONGEST.0 || value.chars().count() > LONGEST.1
    };
    if let Some((key, _)) = tags.iter().find(long) {
        let (key_most, value_most) = LONGEST;
        let key = key.chars().take(key_most).collect::<String>();
        let why = format!(
            "the tag `{key}` is refused: a key has 1 to {key_most} characters, a value at most \
             {value_most}"
        );
        return Err(EngineError::Refused(why));
    }
    match tags.len() {
        0..=MOST => Ok(()),
        count => Err(EngineError::Limit(format!("there may be {MOST} tags, not {count}"))),
    }
}

impl TenantEngine {
    /// The tags of a workflow or an activity.
    ///
    /// # Errors
    /// If there is no such thing.
    pub async fn tags(&self, of: &Tagged) -> Result<BTreeMap<String, String>, EngineError> {
        Ok(self.tags_row(of).await?.0)
    }

    async fn tags_row(
        &self,
        of: &Tagged,
    ) -> Result<(BTreeMap<String, String>, Expect), EngineError> {
        match of {
            Tagged::Machine(name) => self.machine(name).await.map(|_| ())?,
            Tagged::Activity(name) => self.activity(name).await.map(|_| ())?,
        }
        match self.store().get(TAGS, &of.key()).await? {
            Some(row) => Ok((row.read()?, Expect::Version(row.version))),
            None => Ok((BTreeMap::new(), Expect::Absent)),
        }
    }

    /// Adds tags, in place of those with the same keys.
    ///
    /// # Errors
    /// If there is no such thing, or it has too many tags, or too long ones.
    pub async fn tag(
        &self,
        of: &Tagged,
        tags: BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        self.change_tags(of, |all| all.extend(tags)).await
    }

    /// Removes the tags with these keys.
    ///
    /// # Errors
    /// If there is no such thing.
    pub async fn untag(&self, of: &Tagged, keys: &[String]) -> Result<(), EngineError> {
        self.change_tags(of, |all| all.retain(|key, _| !keys.contains(key))).await
    }

    async fn change_tags(
        &self,
        of: &Tagged,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), EngineError> {
        let (mut tags, expect) = self.tags_row(of).await?;
        let before = tags.clone();
        change(&mut tags);
        if tags == before {
            return Ok(());
        }
        check_tags(&tags)?;
        let key = of.key();
        let transaction = self.transaction().put(TAGS, &key, &tags, expect)?;
        let told = serde_json::json!({"of": key, "tags": tags});
        self.save(transaction.emit("workflow", "workflow.tagged", &told)?, &key).await
    }
}
