//! What online scoring has done, as records: what was scored, spent and left out of each suite, and
//! which answers are under way, so that none is scored or paid for twice after a crash.

use std::collections::BTreeMap;

use evaluation::online::{Day, Step};
use release::{AppName, ArtifactName, EnvironmentName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect};

use super::SavedSuite;
use crate::catalog::Versioned;
use crate::{DeliveryError, TenantDelivery};

/// How far each suite has come.
const ONLINE: Collection = Collection("evaluations.online");
/// The answers that were looked at lately.
const ANSWERS: Collection = Collection("evaluations.online.answers");

/// How far a suite has come with production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnlineScores {
    /// The project.
    pub project: String,
    /// The suite.
    pub suite: ArtifactName,
    /// The app whose answers are scored.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// All answers that arrived before this moment were looked at.
    pub until: Timestamp,
    /// What was scored, spent and left out today, or on the last day that anything was.
    pub day: Day,
    /// Why nothing can be scored at the moment, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// An answer that is scored or was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnlineAnswer {
    /// Its trace.
    pub trace: String,
    /// When it arrived.
    pub at: Timestamp,
    /// What became of each scorer; nothing once it is told.
    pub steps: BTreeMap<String, Step>,
    /// Whether the scores are in telemetry.
    pub told: bool,
}

impl OnlineScores {
    /// A suite that begins at `now`.
    fn new(project: &str, saved: &SavedSuite, now: Timestamp) -> Option<Self> {
        let online = saved.online.as_ref()?;
        Some(Self {
            project: project.to_owned(),
            suite: saved.name.clone(),
            app: online.app.clone(),
            environment: online.environment.clone(),
            until: now,
            day: Day::default(),
            trouble: None,
        })
    }

    fn key(&self) -> String {
        format!("{}/{}", self.project, self.suite)
    }

    fn answer_key(&self, trace: &str) -> String {
        format!("{}/{trace}", self.key())
    }
}

impl TenantDelivery {
    /// How far a suite has come, and the version of that. One that has not begun, or scores another
    /// app's answers now, begins at `now`; none if it scores none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn online_scores(
        &self,
        (project, saved): (&str, &SavedSuite),
        now: Timestamp,
    ) -> Result<Option<(OnlineScores, Option<u64>)>, DeliveryError> {
        let Some(new) = OnlineScores::new(project, saved, now) else { return Ok(None) };
        let found = self.find::<OnlineScores>(ONLINE, &new.key()).await?;
        Ok(Some(match found {
            Some(Versioned { value, version })
                if (&value.app, &value.environment) == (&new.app, &new.environment) =>
            {
                (value, Some(version))
            }
            Some(Versioned { value, version }) => {
                (OnlineScores { day: value.day, ..new }, Some(version))
            }
            None => (new, None),
        }))
    }

    /// What became of the answers that were looked at lately, by their traces.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn online_answers(
        &self,
        scores: &OnlineScores,
    ) -> Result<BTreeMap<String, OnlineAnswer>, DeliveryError> {
        let rows = self.all::<OnlineAnswer>(ANSWERS, &format!("{}/", scores.key())).await?;
        let rows = rows.into_iter().map(|row| row.value);
        Ok(rows.map(|answer| (answer.trace.clone(), answer)).collect())
    }

    /// Keeps how far a suite has come, and what became of an answer, together; the new version. Only
    /// one may do so at a time: another version than `known` is refused.
    ///
    /// # Errors
    /// If another has gone on meanwhile, or it cannot be written.
    pub async fn keep_online(
        &self,
        (scores, known): (&OnlineScores, Option<u64>),
        answer: Option<&OnlineAnswer>,
    ) -> Result<u64, DeliveryError> {
        let expect = known.map_or(Expect::Absent, Expect::Version);
        let mut transaction = self.transaction().put(ONLINE, &scores.key(), scores, expect)?;
        if let Some(answer) = answer {
            let key = scores.answer_key(&answer.trace);
            transaction = transaction.put(ANSWERS, &key, answer, Expect::Any)?;
        }
        self.store.commit(transaction).await?;
        Ok(known.map_or(1, |version| version + 1))
    }

    /// Forgets answers that arrived before `before` and are told: they are not looked at again.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn forget_online(
        &self,
        scores: &OnlineScores,
        before: Timestamp,
    ) -> Result<(), DeliveryError> {
        let known = self.online_answers(scores).await?.into_values();
        let old = known.filter(|answer| answer.told && answer.at < before);
        for answers in old.collect::<Vec<_>>().chunks(500) {
            let mut transaction = self.transaction();
            for answer in answers {
                let key = scores.answer_key(&answer.trace);
                transaction = transaction.delete(ANSWERS, &key, Expect::Any);
            }
            self.store.commit(transaction).await?;
        }
        Ok(())
    }

    /// How far all suites have come that score production.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn all_online_scores(&self) -> Result<Vec<OnlineScores>, DeliveryError> {
        let suites = self.suites().await?;
        let online = |scores: &OnlineScores| {
            let suites = suites.get(&scores.project).into_iter().flatten();
            suites.into_iter().any(|it| it.name == scores.suite && it.online.is_some())
        };
        let found = self.all::<OnlineScores>(ONLINE, "").await?.into_iter();
        Ok(found.map(|found| found.value).filter(online).collect())
    }
}
