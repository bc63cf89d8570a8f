//! Gates over the store: what each decides on is fetched here, and what it says is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use evaluation::statistics::paired::Gate;
use evaluation::suite::JAILBREAK;
use knowledge::Manifest;
use models::ModelSpec;
use release::{
    AppName, ArtifactName, CanonicalError, CanonicalJson, Change, ChangeId, Digest, Environment,
    EnvironmentName, PrincipalId, Release, ReleaseDigest, ReleaseError, Reproducibility, SlotName,
    Timestamp,
};
use serde_json::json;
use store::{BlobError, Collection, StoreError};

use crate::catalog::{AppRecord, CHANGES, change_key, expect};
use crate::gate::approval::{self, Subject};
use crate::gate::file::{
    ApprovalGate, BudgetGate, Check, DrillGate, EvalGate, GateFile, ScanGate, SoakGate,
};
use crate::gate::scan::{Pinned, ScannedModel};
use crate::gate::{
    Decision, GateRecord, GateReport, GateState, Judged, Verdict, Waiver, budget, drill, evidence,
    is_ahead, scan, soak, version, window,
};
use crate::pins::ModelFiles;
use crate::{DeliveryError, TenantDelivery};

/// What gates said, by release.
pub(crate) const VERDICTS: Collection = Collection("gates.verdicts");
/// What people decided, by release.
pub(crate) const DECISIONS: Collection = Collection("gates.decisions");
/// What was waived, by release.
pub(crate) const WAIVERS: Collection = Collection("gates.waivers");

/// What is judged: a release before an environment.
#[derive(Debug)]
struct Candidate<'a> {
    app: &'a AppRecord,
    environment: &'a Environment,
    release: Release,
    change: &'a Change,
    /// Whose work would enter with it.
    authors: Vec<PrincipalId>,
}

/// A report, and what whoever decides on it needs to know.
#[derive(Debug)]
pub(crate) struct Looked {
    pub report: GateReport,
    /// The gates that apply.
    pub gates: Vec<GateFile>,
    /// Whose work would enter.
    pub authors: Vec<PrincipalId>,
}

/// What a gate says now.
struct Said {
    verdict: Verdict,
    /// What it was decided on.
    inputs: Digest,
    /// Whether a function was asked for it: then it is kept from now on.
    asked: bool,
}

impl Candidate<'_> {
    fn prefix(&self) -> String {
        kept_for(&self.app.name, self.release.digest(), &self.environment.name)
    }
}

/// What the keys of everything that gates keep of a release begin with.
pub(crate) fn kept_of(app: &AppName, release: ReleaseDigest) -> String {
    format!("{app}/{}/", release.digest().to_hex())
}

/// What the keys of everything that is kept of a release before an environment begin with.
pub(crate) fn kept_for(
    app: &AppName,
    release: ReleaseDigest,
    environment: &EnvironmentName,
) -> String {
    format!("{}{environment}/", kept_of(app, release))
}

/// The stream of what is told of an environment's gates.
pub(crate) fn stream(app: &AppName, environment: &EnvironmentName) -> String {
    format!("gates/{app}/{environment}")
}

impl TenantDelivery {
    /// How a release (the newest candidate if none) stands before the gates of an environment: all
    /// that apply now.
    ///
    /// # Errors
    /// If the app, environment or release is unknown, or an artifact of it is unusable.
    pub async fn gates(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
        release: Option<&str>,
    ) -> Result<GateReport, DeliveryError> {
        Ok(self.look_at_gates(app, environment, release).await?.report)
    }

    /// The same, for whoever decides on it.
    pub(crate) async fn look_at_gates(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
        release: Option<&str>,
    ) -> Result<Looked, DeliveryError> {
        let record = self.app(app).await?.value;
        let release = self.wanted(&record, release).await?;
        self.check_usable(&release).await?;
        let environment = self.environment(&record, environment).await?.0;
        let change = self.change(&release.change).await?;
        let candidate = self.candidate((&record, &environment), &change).await?;
        let report = self.report(&candidate).await?;
        let rules = record.policy.environments.get(&environment.name);
        let mut gates = rules.map(|rules| rules.gates.clone()).unwrap_or_default();
        gates.retain(|gate| !report.not_needed.iter().any(|name| name == gate.name()));
        Ok(Looked { report, gates, authors: candidate.authors })
    }

    /// Refuses a release that does not pass every gate that applies. What is stable there already has
    /// entered.
    ///
    /// # Errors
    /// [`DeliveryError::NotEligible`] with each gate that does not pass.
    pub(crate) async fn eligible(
        &self,
        (app, environment): (&AppRecord, &Environment),
        change: &Change,
    ) -> Result<(), DeliveryError> {
        let gated = app.policy.environments.get(&environment.name);
        let gated = gated.is_some_and(|rules| !rules.gates.is_empty());
        if !gated || environment.stable == Some(change.release) {
            return Ok(());
        }
        let candidate = self.candidate((app, environment), change).await?;
        let report = self.report(&candidate).await?;
        if report.eligible {
            return Ok(());
        }
        let why = report.missing();
        let GateReport { app, environment, release, .. } = report;
        Err(DeliveryError::NotEligible { app, environment, release, why })
    }

    /// The change that proposed a release.
    pub(crate) async fn change(&self, id: &ChangeId) -> Result<Change, DeliveryError> {
        let found = self.find::<Change>(CHANGES, &change_key(id)).await?;
        let unknown = || {
            let (app, selector) = (id.app().clone(), id.to_string());
            DeliveryError::UnknownRelease { app, selector }
        };
        Ok(found.ok_or_else(unknown)?.value)
    }

    async fn candidate<'a>(
        &self,
        (app, environment): (&'a AppRecord, &'a Environment),
        change: &'a Change,
    ) -> Result<Candidate<'a>, DeliveryError> {
        let release = self.open_release(change.release).await?;
        let changes = self.changes(&app.name).await?;
        let authors = authors(&changes, change, environment.stable);
        Ok(Candidate { app, environment, release, change, authors })
    }

    async fn report(&self, candidate: &Candidate<'_>) -> Result<GateReport, DeliveryError> {
        let Candidate { app, environment, release, change, .. } = candidate;
        let now = self.clock.now();
        let rules = app.policy.environments.get(&environment.name).cloned().unwrap_or_default();
        let differs = self.differs(environment.stable, release).await?;
        let applies = |gate: &&GateFile| {
            gate.slots().is_empty() || gate.slots().iter().any(|slot| differs.contains(slot))
        };
        let (applying, not_needed): (Vec<_>, Vec<_>) = rules.gates.iter().partition(applies);
        let waivers = self.all::<Waiver>(WAIVERS, &candidate.prefix()).await?;
        let mut judged: Vec<Judged> = Vec::new();
        // What people decide on comes first.
        let (approvals, others): (Vec<_>, Vec<_>) =
            applying.iter().partition(|gate| matches!(gate, GateFile::Approval(_)));
        let mut seen = evidence(&rules, &judged).map_err(form)?;
        for gate in others.into_iter().chain(approvals) {
            let version = version(gate).map_err(form)?;
            let said = self.verdict(candidate, gate, (version, seen)).await?;
            let kept = self.keep_verdict(candidate, gate, (version, said)).await?;
            let counts = |waiver: &&Waiver| waiver.gate == kept.gate && waiver.counts(version, now);
            let waiver = waivers.iter().map(|found| &found.value).find(counts);
            let verdict = match waiver {
                Some(waiver) => waiver.over(kept.verdict),
                None => kept.verdict,
            };
            let waiver = waiver.filter(|_| verdict.state == GateState::Waived).cloned();
            let GateRecord { gate, kind, since, .. } = kept;
            judged.push(Judged { gate, kind, version, verdict, since, waiver });
            seen = evidence(&rules, &judged).map_err(form)?;
        }
        let place = |name: &str| applying.iter().position(|gate| gate.name() == name);
        judged.sort_by_key(|judged| place(&judged.gate));
        Ok(GateReport {
            app: app.name.clone(),
            environment: environment.name.clone(),
            release: release.digest(),
            change: change.id.clone(),
            eligible: judged.iter().all(|judged| judged.verdict.state.lets_in()),
            evidence: seen,
            gates: judged,
            not_needed: not_needed.into_iter().map(|gate| gate.name().to_owned()).collect(),
            at: now,
        })
    }

    /// The slots that another artifact fills than in the stable release: all if there is none.
    async fn differs(
        &self,
        stable: Option<ReleaseDigest>,
        to: &Release,
    ) -> Result<Vec<SlotName>, DeliveryError> {
        let from = match stable {
            Some(stable) => Some(self.open_release(stable).await?),
            None => None,
        };
        let diff = release::slot_diff(from.as_ref(), to).into_iter();
        Ok(diff.map(|diff| diff.slot).collect())
    }

    /// What a gate says now, and what it was decided on. `version` are its settings, `seen` is the
    /// evidence that people decide on.
    async fn verdict(
        &self,
        candidate: &Candidate<'_>,
        gate: &GateFile,
        (version, seen): (Digest, Digest),
    ) -> Result<Said, DeliveryError> {
        let release = candidate.release.digest().digest();
        let mut inputs = Digest::of_fields([version.as_bytes().as_slice(), release.as_bytes()]);
        let mut asked = false;
        let verdict = match gate {
            GateFile::Eval(gate) => {
                let told = self.evaluated(candidate, gate).await;
                if let Ok((_, runs)) = &told {
                    inputs = Digest::of_fields([inputs.as_bytes().as_slice(), runs.as_bytes()]);
                }
                told.map(|(verdict, _)| verdict)
            }
            GateFile::Soak(gate) => self.soaked(candidate, gate).await,
            GateFile::Window(gate) => Ok(window::decide(gate, self.clock.now())),
            GateFile::Budget(gate) => Ok(self.spent(candidate, gate).await),
            GateFile::Drill(gate) => Ok(self.drilled(gate).await),
            GateFile::Scan(gate) => {
                let attempts = self.attempts(candidate, gate).await;
                if let Ok(Some((_, run))) = &attempts {
                    inputs = Digest::of_fields([inputs.as_bytes().as_slice(), run.as_bytes()]);
                }
                let scanned = match attempts {
                    Ok(attempts) => self.scanned(candidate, (gate, inputs), attempts).await,
                    Err(error) => Err(error),
                };
                asked = scanned.as_ref().is_ok_and(|(_, asked)| *asked);
                scanned.map(|(verdict, _)| verdict)
            }
            GateFile::Approval(gate) => {
                let change = candidate.change.id.to_string();
                let fields = [inputs.as_bytes().as_slice(), seen.as_bytes(), change.as_bytes()];
                inputs = Digest::of_fields(fields);
                self.approved(candidate, gate, seen).await
            }
        };
        // What cannot be looked at does not pass, and the others are told all the same.
        let verdict = verdict.unwrap_or_else(|error| Verdict::error(error.to_string()));
        Ok(Said { verdict, inputs, asked })
    }

    /// What runs that are there say, and which they are.
    async fn evaluated(
        &self,
        candidate: &Candidate<'_>,
        gate: &EvalGate,
    ) -> Result<(Verdict, String), DeliveryError> {
        let of = (&candidate.app.name, &gate.suite);
        let (release, place) = (candidate.release.digest(), &candidate.environment.name);
        let told = self.evaluation_verdict(of, release, place, gate.margin).await?;
        let state = match told.gate {
            Gate::Pass => GateState::Passed,
            Gate::Fail => GateState::Failed,
            Gate::Inconclusive => GateState::Inconclusive,
        };
        let runs = told.runs.join(", ");
        let why = match runs.is_empty() {
            true => told.reason,
            false => format!("{} (by {runs})", told.reason),
        };
        Ok((Verdict::of(state, why), runs))
    }

    async fn soaked(
        &self,
        candidate: &Candidate<'_>,
        gate: &SoakGate,
    ) -> Result<Verdict, DeliveryError> {
        let log = self.deployments(&candidate.app.name, &gate.environment).await?;
        Ok(soak::decide(gate, &log, candidate.release.digest(), self.clock.now()))
    }

    async fn spent(&self, candidate: &Candidate<'_>, gate: &BudgetGate) -> Verdict {
        let of = (&candidate.app.name, &gate.r#in, candidate.release.digest());
        let hours = Duration::from_secs(gate.hours.saturating_mul(3_600));
        let since = self.clock.now().checked_sub(hours).unwrap_or(Timestamp::MIN);
        match self.gate_sources.spent(&self.tenant, of, since, gate.currency).await {
            Ok(spent) => budget::decide(gate, spent),
            Err(why) => Verdict::error(why),
        }
    }

    async fn drilled(&self, gate: &DrillGate) -> Verdict {
        match self.gate_sources.drill().await {
            Ok(newest) => drill::decide(gate, newest, self.clock.now()),
            Err(why) => Verdict::error(why),
        }
    }

    /// What the newest run of the jailbreak suite says, and which it is; none if no scan asks.
    async fn attempts(
        &self,
        candidate: &Candidate<'_>,
        gate: &ScanGate,
    ) -> Result<Option<(Verdict, String)>, DeliveryError> {
        if !gate.checks.contains(&Check::Jailbreak) {
            return Ok(None);
        }
        let name: ArtifactName = JAILBREAK.parse()?;
        let suite = self.suite(&candidate.app.name, &name).await?;
        let release = candidate.release.digest();
        let run = self.newest_run(&candidate.app.name, &suite, release).await?;
        let id = run.as_ref().map(|run| run.plan.id.clone()).unwrap_or_default();
        Ok(Some((scan::attempts(gate, run.as_ref()), id)))
    }

    /// Texts are looked at each time; a function is asked once in a while, and it is told whether it
    /// was.
    async fn scanned(
        &self,
        candidate: &Candidate<'_>,
        (gate, inputs): (&ScanGate, Digest),
        attempts: Option<(Verdict, String)>,
    ) -> Result<(Verdict, bool), DeliveryError> {
        let mut texts = BTreeMap::new();
        for (slot, digest) in candidate.release.slots() {
            if [SlotName::PROMPT, SlotName::GUARDRAILS, SlotName::CONFIG].contains(slot) {
                let bytes = self.artifact_bytes(digest).await?;
                texts.insert(slot.clone(), String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        let mut findings = scan::findings(gate, &texts);
        let mut notes = Vec::new();
        if gate.checks.contains(&Check::ModelFiles) {
            for model in self.models_of(&candidate.release).await? {
                let (found, note) = scan::model(gate, &model);
                findings.extend(found);
                notes.extend(note);
            }
        }
        if let Some((verdict, _)) = attempts {
            if findings.is_empty() && verdict.state != GateState::Passed {
                return Ok((verdict, false));
            }
            notes.push(verdict.why);
        }
        let Some(name) = gate.command.as_deref().filter(|_| findings.is_empty()) else {
            return Ok((scan::decide(&findings, None).noted(notes), false));
        };
        let key = format!("{}{}", candidate.prefix(), inputs.to_hex());
        let now = self.clock.now();
        if let Some(known) = self.find::<GateRecord>(VERDICTS, &key).await? {
            let GateRecord { verdict, at, .. } = known.value;
            let age = now.as_second() - at.as_second();
            let kept = i64::try_from(gate.keep_hours).unwrap_or(i64::MAX).saturating_mul(3_600);
            let decided = matches!(verdict.state, GateState::Passed | GateState::Failed);
            if decided && age < kept && !is_ahead(at, now) {
                return Ok((verdict, false));
            }
        }
        let payload = json!({
            "app": candidate.app.name,
            "environment": candidate.environment.name,
            "release": candidate.release.digest(),
            "change": candidate.change.id,
            "slots": candidate.release.slots(),
            "texts": texts,
        });
        let answered = self.gate_sources.ask(&self.tenant, name, &payload).await;
        Ok((scan::decide(&findings, Some((name, answered))).noted(notes), true))
    }

    /// The models that a release answers and finds with, and how their files are.
    async fn models_of(&self, release: &Release) -> Result<Vec<ScannedModel>, DeliveryError> {
        let mut models = Vec::new();
        if let Some(digest) = release.slots().get(&SlotName::MODEL) {
            let bytes = self.artifact_bytes(digest).await?.to_vec();
            let spec: ModelSpec = CanonicalJson::from_stored(bytes)
                .and_then(|json| json.read().map_err(CanonicalError::Unacceptable))
                .map_err(form)?;
            let pinned = match spec.reproducibility() {
                Reproducibility::Bytes => Pinned::Program,
                Reproducibility::ByName => Pinned::ByName,
            };
            models.push(ScannedModel { slot: SlotName::MODEL, name: spec.model, pinned });
        }
        if let Some(digest) = release.slots().get(&SlotName::KNOWLEDGE) {
            let manifest = Manifest::read(*digest, &self.blobs.get(digest).await?)?;
            if let Some(entry) = manifest.embedding {
                let pinned = match entry.artifact {
                    None => Pinned::ByName,
                    Some(artifact) => self.files_of(artifact).await?,
                };
                let name = entry.spec.model;
                models.push(ScannedModel { slot: SlotName::KNOWLEDGE, name, pinned });
            }
        }
        Ok(models)
    }

    /// Reads an imported model's files, each against its digest.
    async fn files_of(&self, artifact: Digest) -> Result<Pinned, DeliveryError> {
        let bytes = self.blobs.get(&artifact).await?;
        let manifest = serde_json::from_slice::<ModelFiles>(&bytes).map_err(|error| {
            let why = format!("its files cannot be told: {error}");
            BlobError::Corrupt { digest: artifact, why }
        })?;
        let mut broken = Vec::new();
        for (path, file) in &manifest.files {
            if let Err(error) = self.blobs.get(&file.digest).await {
                broken.push(format!("`{path}`: {error}"));
            }
        }
        Ok(Pinned::Files { licence: manifest.licence, broken })
    }

    async fn approved(
        &self,
        candidate: &Candidate<'_>,
        gate: &ApprovalGate,
        seen: Digest,
    ) -> Result<Verdict, DeliveryError> {
        let found = self.all::<Decision>(DECISIONS, &candidate.prefix()).await?;
        let decisions: Vec<_> = found.into_iter().map(|found| found.value).collect();
        let subject = Subject {
            change: candidate.change.id.clone(),
            release: candidate.release.digest(),
            environment: candidate.environment.name.clone(),
            evidence: seen,
            authors: candidate.authors.clone(),
        };
        Ok(approval::decide(gate, &subject, &decisions, self.clock.now()))
    }

    /// Keeps what a gate said, if it says something else than before.
    async fn keep_verdict(
        &self,
        candidate: &Candidate<'_>,
        gate: &GateFile,
        (version, Said { verdict, inputs, asked }): (Digest, Said),
    ) -> Result<GateRecord, DeliveryError> {
        let key = format!("{}{}", candidate.prefix(), inputs.to_hex());
        let known = self.find::<GateRecord>(VERDICTS, &key).await?;
        let before = known.as_ref().map(|known| &known.value);
        if let Some(before) = before.filter(|before| before.verdict == verdict && !asked) {
            return Ok(before.clone());
        }
        let now = self.clock.now();
        let same = before.filter(|before| before.verdict.state == verdict.state);
        let record = GateRecord {
            gate: gate.name().to_owned(),
            kind: gate.kind().to_owned(),
            app: candidate.app.name.clone(),
            environment: candidate.environment.name.clone(),
            release: candidate.release.digest(),
            version,
            inputs,
            since: same.map_or(now, |before| before.since),
            verdict,
            at: now,
            by: self.actor.clone(),
        };
        let mut transaction = self.transaction().put(VERDICTS, &key, &record, expect(&known))?;
        if same.is_none() {
            let stream = stream(&record.app, &record.environment);
            transaction = transaction.emit(&stream, "gate.judged", &record)?;
        }
        match self.store.commit(transaction).await {
            // Somebody else looked at the same time, and saw the same.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(record),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whose work would enter with a change: whoever proposed this release, and whoever proposed a change
/// on the way from the stable release to it.
fn authors(changes: &[Change], change: &Change, stable: Option<ReleaseDigest>) -> Vec<PrincipalId> {
    let number = change.id.number();
    let earlier = changes.iter().filter(|other| other.id.number() < number);
    let from = earlier.filter(|other| Some(other.release) == stable).map(|it| it.id.number()).max();
    let on_the_way = |other: &&Change| {
        let within = from.is_some_and(|from| (from + 1..number).contains(&other.id.number()));
        within || other.release == change.release
    };
    let entering = || changes.iter().filter(on_the_way).chain([change]);
    let mut authors: Vec<_> = entering().map(|entering| entering.author.clone()).collect();
    authors.extend(entering().filter_map(|it| it.commit_author.as_deref()).flat_map(writers));
    authors.sort();
    authors.dedup();
    authors
}

/// The users that whoever wrote a commit may be here: their address is a name, or begins with it.
fn writers(author: &str) -> Vec<PrincipalId> {
    let address = author.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let address = address.map_or(author, |(address, _)| address).trim();
    let names = [address, address.split('@').next().unwrap_or_default()];
    names.into_iter().filter_map(|name| PrincipalId::user(name).ok()).collect()
}

fn form(error: CanonicalError) -> DeliveryError {
    ReleaseError::from(error).into()
}

#[cfg(test)]
mod tests;
