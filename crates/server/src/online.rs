//! Production, scored by suites as it comes, by whoever holds the lease.
//!
//! What a scorer is asked that may cost something is noted before and after, with what it found; what
//! was found goes into telemetry once. So a server that was stopped anywhere goes on without scoring
//! or paying for the same answer twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use delivery::{OnlineAnswer, OnlineScores, SavedSuite, TenantDelivery};
use evaluation::answer::{Answer, Spend};
use evaluation::online::{Step, is_sampled};
use evaluation::scorers::{Outcome, Seen};
use evaluation::suite::{Case, OnlineSpec, Suite};
use gateway::Loaded;
use monitoring::draw::{self, PAGE};
use monitoring::receive::{Judgement, Receiver, judgements};
use monitoring::tables::Span;
use monitoring::{TraceId, answers};
use release::{PrincipalId, ReleaseDigest, TenantId, Timestamp};

use crate::evaluations::recorded::{NotRecorded, Recorded, case};
use crate::evaluations::{Bench, Evaluations};
use crate::holder::Holder;

/// How often it is looked for new answers.
const LOOK: Duration = Duration::from_secs(5);
/// What whoever scores holds a lease on.
const LEASE: &str = "online";
/// How long an answer may take, or its record be on its way, and still be found. A suite that begins
/// begins with the answers of this time.
const LATE: Duration = Duration::from_secs(300);
/// How long a suite's answers are scored before it is looked whether the lease is still held.
const AT_ONCE: Duration = Duration::from_secs(10);
/// The attribute of a score that names the suite.
const SUITE: &str = "groundcrew.suite";

/// Scores until the server stops.
pub async fn keep(evaluations: Arc<Evaluations>, receiver: Arc<Receiver>, holder: Holder) {
    loop {
        tokio::time::sleep(LOOK).await;
        let kept = async {
            for tenant in holder.tenants(LEASE).await? {
                let now = holder.clock.now();
                // One tenant's trouble does not keep the others' answers from being scored.
                if let Err(error) = tenant_pass(&evaluations, &receiver, &tenant, now).await {
                    tracing::warn!(%tenant, %error, "production could not be scored; trying again");
                }
            }
            anyhow::Ok(())
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "production could not be scored; trying again");
        }
    }
}

/// Scores what came since of one tenant.
pub async fn tenant_pass(
    evaluations: &Evaluations,
    receiver: &Receiver,
    tenant: &TenantId,
    now: Timestamp,
) -> anyhow::Result<()> {
    let delivery = evaluations.delivery.tenant(tenant, PrincipalId::system("online"));
    for (project, suites) in delivery.suites().await? {
        for saved in suites {
            let Some(spec) = saved.online.clone() else { continue };
            let found = delivery.online_scores((&project, &saved), now).await?;
            let Some((scores, version)) = found else { continue };
            let (delivery, before) = (delivery.clone(), scores.trouble.clone());
            let mut pass = Pass { evaluations, receiver, tenant, delivery, spec, scores, version };
            let trouble = pass.run(&saved, now).await.err().map(|error| error.to_string());
            if trouble != before {
                pass.scores.trouble = trouble;
                pass.keep(None).await?;
            }
        }
    }
    Ok(())
}

/// One suite's look at what came since.
struct Pass<'a> {
    evaluations: &'a Evaluations,
    receiver: &'a Receiver,
    tenant: &'a TenantId,
    delivery: TenantDelivery,
    spec: OnlineSpec,
    scores: OnlineScores,
    version: Option<u64>,
}

/// What a pass scores with.
struct Scoring {
    suite: Suite,
    bench: Bench,
    releases: HashMap<ReleaseDigest, Arc<Loaded>>,
}

impl Pass<'_> {
    async fn run(&mut self, saved: &SavedSuite, now: Timestamp) -> anyhow::Result<()> {
        self.scores.day = std::mem::take(&mut self.scores.day).at(now);
        let (mut scoring, mut looked_at) = (None, HashSet::new());
        let mut from = self.scores.until.checked_sub(LATE).unwrap_or(self.scores.until);
        let (begun, mut scored, mut known) = (Instant::now(), 0, None);
        loop {
            let (place, span) =
                ((&self.spec.app, &self.spec.environment), Span { from, until: now });
            let came = draw::arrived(&self.evaluations.queries, self.tenant, place, span).await?;
            for (trace, at) in &came {
                // A page begins with the moment that the one before ended with.
                let again = !looked_at.insert(*trace);
                if again || !is_sampled(&self.spec, self.scores.suite.as_str(), &trace.to_string())
                {
                    continue;
                }
                let known = match &mut known {
                    Some(known) => known,
                    None => known.insert(self.delivery.online_answers(&self.scores).await?),
                };
                let known = known.remove(&trace.to_string());
                if known.as_ref().is_some_and(|answer| answer.told) {
                    continue;
                }
                if begun.elapsed() > AT_ONCE {
                    return self.reached(*at).await;
                }
                let scoring = match &mut scoring {
                    Some(scoring) => scoring,
                    None => scoring.insert(
                        self.scoring(saved)
                            .await
                            .map_err(|fault| anyhow::anyhow!(fault.cause.unwrap_or_default()))?,
                    ),
                };
                self.answer(scoring, (*trace, *at), known).await?;
                scored += 1;
            }
            let last = came.last().map(|(_, at)| *at);
            match last.filter(|last| came.len() == PAGE && *last > from) {
                Some(last) => from = last,
                None => break,
            }
        }
        // What nothing came to is not worth a write each time.
        if scored > 0 || self.scores.until.checked_add(LATE).is_ok_and(|late| late <= now) {
            self.reached(now).await?;
        }
        Ok(())
    }

    /// All that arrived before `until` was looked at. What may still come is looked at again, and
    /// what is known of answers is forgotten once they are not.
    async fn reached(&mut self, until: Timestamp) -> anyhow::Result<()> {
        self.scores.until = self.scores.until.max(until);
        self.keep(None).await?;
        let before = self.scores.until.checked_sub(LATE).unwrap_or(self.scores.until);
        self.delivery.forget_online(&self.scores, before).await?;
        Ok(())
    }

    async fn scoring(&self, saved: &SavedSuite) -> Result<Scoring, workflow::Fault> {
        let suite = self.delivery.open_suite(saved.digest).await?;
        let place = (self.tenant, &self.spec.environment);
        let bench = self.evaluations.bench(&self.delivery, place, (saved, &suite)).await?;
        Ok(Scoring { suite, bench, releases: HashMap::new() })
    }

    /// Scores one answer, or goes on with it, and tells what was found.
    async fn answer(
        &mut self,
        scoring: &mut Scoring,
        (trace, at): (TraceId, Timestamp),
        known: Option<OnlineAnswer>,
    ) -> anyhow::Result<()> {
        let again = known.is_some();
        let new = || {
            let (trace, steps) = (trace.to_string(), BTreeMap::new());
            OnlineAnswer { trace, at, steps, told: false }
        };
        let mut answer = known.unwrap_or_else(new);
        match self.seen(scoring, trace).await? {
            Some((recorded, case, seen)) => {
                let told = self.delivery.instructions(recorded.record.release).await?;
                let seen = Seen { case: &case, answer: &seen };
                self.score(scoring, &mut answer, (seen, &told)).await?;
                self.tell(&answer, &recorded, again).await?;
            }
            None => self.scores.day.unreadable += 1,
        }
        self.scores.day.answers += 1;
        // What judges said may quote the answer: it stays in telemetry alone, where it can be erased.
        answer.steps.clear();
        answer.told = true;
        self.keep(Some(&answer)).await
    }

    /// An answer as scorers see it; none if it cannot be read.
    async fn seen(
        &self,
        scoring: &mut Scoring,
        trace: TraceId,
    ) -> anyhow::Result<Option<(Recorded, Case, Answer)>> {
        let recorded = match self.evaluations.recorded(&self.delivery, (self.tenant, trace)).await {
            Ok(recorded) => recorded,
            Err(error @ (NotRecorded::Query(_) | NotRecorded::Delivery(_))) => {
                return Err(error.into());
            }
            Err(_) => return Ok(None),
        };
        let Ok(case) = case(trace, &recorded.request) else { return Ok(None) };
        let given = match &recorded.record.retrieval {
            None => Vec::new(),
            Some(retrieval) => {
                let release = recorded.record.release;
                let loaded = match scoring.releases.get(&release) {
                    Some(loaded) => Arc::clone(loaded),
                    None => match self.evaluations.load(self.tenant, release).await {
                        Ok(loaded) => Arc::new(loaded),
                        // Without what it was given it cannot be judged.
                        Err(_) => return Ok(None),
                    },
                };
                scoring.releases.insert(release, Arc::clone(&loaded));
                loaded.given(retrieval)?
            }
        };
        let seen = recorded.seen(&given);
        Ok(seen.map(|seen| (recorded, case, seen)))
    }

    async fn score(
        &mut self,
        scoring: &Scoring,
        answer: &mut OnlineAnswer,
        (seen, told): (Seen<'_>, &str),
    ) -> anyhow::Result<()> {
        for scorer in &scoring.suite.scorers {
            let name = scorer.name.clone();
            let costs = scorer.spec.measure.costs();
            let mut spend = Spend::default();
            let step = match answer.steps.get(&name) {
                Some(Step::Begun) => Step::Interrupted,
                Some(_) => continue,
                None if !self.scores.day.allows(&self.spec, scorer) => Step::OverBudget,
                None => {
                    if costs {
                        answer.steps.insert(name.clone(), Step::Begun);
                        self.keep(Some(answer)).await?;
                    }
                    Step::Found(scorer.score(seen, scoring.bench.engines(told), &mut spend).await)
                }
            };
            self.scores.day.note(&name, &step, &spend);
            answer.steps.insert(name, step);
            if costs {
                self.keep(Some(answer)).await?;
            }
        }
        // Those that cost nothing, before anything of them is told.
        self.keep(Some(answer)).await
    }

    /// Puts the scores into telemetry; of an answer that is taken up `again`, those that are not there.
    async fn tell(
        &self,
        answer: &OnlineAnswer,
        recorded: &Recorded,
        again: bool,
    ) -> anyhow::Result<()> {
        let (record, suite) = (&recorded.record, self.scores.suite.to_string());
        let told = match again {
            true => answers::scores(&self.evaluations.queries, self.tenant, record.trace).await?,
            false => Vec::new(),
        };
        let is_told = |name: &str| {
            let of = |(key, value): &(String, String)| key == SUITE && *value == suite;
            told.iter().any(|score| score.name == name && score.attributes.iter().any(of))
        };
        let found = answer.steps.iter().filter_map(|(name, step)| match step {
            Step::Found(Outcome::Scored(score)) if !is_told(name) => Some((name, score)),
            _ => None,
        });
        let judged = found.map(|(name, score)| Judgement {
            trace: Some(record.trace),
            name: name.clone(),
            value: Some(score.value),
            label: match score.pass {
                Some(true) => "pass".to_owned(),
                Some(false) => "fail".to_owned(),
                None => String::new(),
            },
            explanation: score.explanation.clone().unwrap_or_default(),
            attributes: BTreeMap::from([
                ("app".to_owned(), record.app.to_string()),
                ("environment".to_owned(), record.environment.to_string()),
                ("release".to_owned(), record.release.to_string()),
                (SUITE.to_owned(), suite.clone()),
            ]),
            ..Judgement::default()
        });
        let judged: Vec<_> = judged.collect();
        if judged.is_empty() {
            return Ok(());
        }
        let export =
            judgements(judged, self.evaluations.clock.now()).map_err(anyhow::Error::msg)?;
        self.receiver.take_export(self.tenant, export).await?;
        Ok(())
    }

    async fn keep(&mut self, answer: Option<&OnlineAnswer>) -> anyhow::Result<()> {
        let known = (&self.scores, self.version);
        self.version = Some(self.delivery.keep_online(known, answer).await?);
        Ok(())
    }
}
