//! Gates over a real store: who may enter, who may say so, and what is remembered of it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use monitoring::spent::Spent;
use release::{Currency, DeploymentEntry, TenantId};
use security::Role;
use serde_json::Value;

use super::*;
use crate::desk::Desk;
use crate::gate::sources::{Answered, Drill, GateSources};
use crate::gate::{Choice, NotTaken};
use crate::{Approval, Delivery, Promotion, Rollback, Upload, Waiving};

/// What gates are told, set by hand.
#[derive(Debug, Default)]
struct Told {
    spent: Mutex<Spent>,
    drill: Mutex<Option<Drill>>,
    answer: Mutex<Option<Value>>,
    asked: Mutex<Vec<Value>>,
}

#[async_trait]
impl GateSources for Told {
    async fn spent(
        &self,
        _: &TenantId,
        _: (&AppName, &EnvironmentName, ReleaseDigest),
        _: Timestamp,
        _: Currency,
    ) -> Result<Spent, String> {
        Ok(*self.spent.lock().unwrap())
    }

    async fn drill(&self) -> Result<Option<Drill>, String> {
        Ok(self.drill.lock().unwrap().clone())
    }

    async fn ask(&self, _: &TenantId, _: &str, payload: &Value) -> Result<Answered, String> {
        self.asked.lock().unwrap().push(payload.clone());
        let answer = self.answer.lock().unwrap().clone();
        answer.map(Answered::Value).ok_or_else(|| "nobody answers".to_owned())
    }
}

struct Stage {
    desk: Desk,
    told: Arc<Told>,
}

impl Stage {
    /// A desk whose app's environments have these rules.
    async fn new(rules: &str) -> Self {
        let desk = Desk::new("[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n").await;
        let stage = Self { desk, told: Arc::default() };
        stage.apply("ada", rules, "Hello.").await;
        stage
    }

    fn server(&self) -> Delivery {
        self.desk.keeper().with_gate_sources(self.told.clone())
    }

    fn of(&self, name: &str) -> TenantDelivery {
        self.server().tenant(&TenantId::DEFAULT, PrincipalId::user(name).unwrap())
    }

    async fn apply(&self, name: &str, rules: &str, prompt: &str) -> crate::Applied {
        let app = format!("[slots]\nmodel = \"m\"\nprompt = \"p\"\n[delivery]\n{rules}\n");
        let prompt = format!("{prompt}\n");
        let project = "name = \"p\"\nenvironments = [\"staging\", \"prod\"]\n";
        let files = [
            ("groundcrew.toml", project),
            ("apps/support.toml", app.as_str()),
            ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
            ("prompts/p.md", prompt.as_str()),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let upload = Upload { files: files.into(), ..Upload::default() };
        self.of(name).apply(&upload).await.unwrap()
    }

    async fn promote(&self, to: &str, now: bool) -> Result<DeploymentEntry, DeliveryError> {
        let (app, environment) = (app(), to.parse().unwrap());
        let wish = Promotion { app, environment, release: None, expected: None, now };
        self.of("ada").promote(&wish).await
    }

    /// Why the newest candidate may not enter `prod`.
    async fn refused(&self) -> Vec<String> {
        match self.promote("prod", false).await {
            Err(DeliveryError::NotEligible { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    async fn report(&self) -> GateReport {
        self.of("ada").gates(&app(), &prod(), None).await.unwrap()
    }

    async fn decide(&self, name: &str, choice: Choice) -> Result<(), DeliveryError> {
        let release = self.report().await.release.to_string();
        let (evidence, reason) = (None, "looked at it".to_owned());
        let (app, environment) = (app(), prod());
        let wish = Approval { app, environment, release, choice, evidence, reason };
        self.of(name).approve(&wish, Role::Engineer).await.map(drop)
    }

    async fn approve(&self, name: &str) -> Result<(), DeliveryError> {
        self.decide(name, Choice::Approve).await
    }

    async fn waive(&self, name: &str, until: Timestamp) -> Result<(), DeliveryError> {
        let release = self.report().await.release.to_string();
        let (gate, reason) = ("approval".to_owned(), "the site is down".to_owned());
        let (app, environment) = (app(), prod());
        let wish = Waiving { app, environment, release, gate, until, reason };
        self.of(name).waive(&wish).await.map(drop)
    }
}

fn app() -> AppName {
    "support".parse().unwrap()
}

fn prod() -> EnvironmentName {
    "prod".parse().unwrap()
}

const APPROVAL: &str = "enter = \"manual\"\n\
    [[delivery.environments.prod.gates]]\nkind = \"approval\"\n";

#[tokio::test]
async fn a_promotion_is_refused_until_somebody_else_approves() {
    let stage = Stage::new(APPROVAL).await;
    assert_eq!(stage.refused().await, ["approval (pending): 0 of 1 approval(s)"]);
    assert!(stage.promote("prod", true).await.is_err(), "at once meets the same gates");
    let own = stage.approve("ada").await.unwrap_err();
    assert!(matches!(own, DeliveryError::NotTaken(NotTaken::Own(_))), "{own}");
    let robot = stage.server().tenant(&TenantId::DEFAULT, PrincipalId::service("ci").unwrap());
    let wish = Approval {
        app: app(),
        environment: prod(),
        release: "1".into(),
        choice: Choice::Approve,
        evidence: None,
        reason: String::new(),
    };
    let robot = robot.approve(&wish, Role::Admin).await.unwrap_err();
    assert!(matches!(robot, DeliveryError::NotTaken(NotTaken::NoPerson(_))), "{robot}");
    stage.approve("bob").await.unwrap();
    assert!(stage.report().await.eligible);
    stage.promote("prod", false).await.unwrap();
    stage.promote("prod", false).await.unwrap();
    assert_eq!(
        stage.desk.told("release.").await,
        ["release.approved: -"],
        "it is an event of the log"
    );
}

#[tokio::test]
async fn the_message_lists_every_gate_that_does_not_pass() {
    let rules = format!(
        "{APPROVAL}[[delivery.environments.prod.gates]]\nkind = \"soak\"\n\
         environment = \"staging\"\nhours = 1\n"
    );
    let stage = Stage::new(&rules).await;
    let said = stage.promote("prod", false).await.unwrap_err();
    assert_eq!(said.name(), "Groundcrew.NotEligible");
    let release = stage.report().await.release.short();
    assert_eq!(
        said.to_string(),
        format!(
            "release `{release}` may not enter `prod` of `support`:\n  approval (pending): 0 of 1 \
             approval(s)\n  soak (pending): it was never the stable release of `staging`"
        )
    );
    stage.promote("staging", false).await.unwrap();
    stage.desk.pass(3_600);
    stage.approve("bob").await.unwrap();
    stage.promote("prod", false).await.unwrap();
}

#[tokio::test]
async fn an_approval_is_void_when_the_release_or_the_rules_change() {
    let stage = Stage::new(APPROVAL).await;
    stage.approve("bob").await.unwrap();
    assert!(stage.report().await.eligible);
    stage.apply("ada", APPROVAL, "Hello, and worse.").await;
    assert_eq!(stage.refused().await, ["approval (pending): 0 of 1 approval(s)"]);
    stage.approve("bob").await.unwrap();
    let other = format!("{APPROVAL}expires_hours = 71\n");
    stage.apply("ada", &other, "Hello, and worse.").await;
    assert!(stage.refused().await[0].contains("what it rests on has changed since"));
    // The old one, sent once more, is not taken for what there is now.
    let wish = Approval {
        app: app(),
        environment: prod(),
        release: "2".into(),
        choice: Choice::Approve,
        evidence: Some(Digest::of(b"what was seen")),
        reason: String::new(),
    };
    let stale = stage.of("bob").approve(&wish, Role::Engineer).await.unwrap_err();
    assert!(matches!(stale, DeliveryError::NotTaken(NotTaken::Stale)), "{stale}");
    stage.approve("bob").await.unwrap();
    stage.desk.pass(71 * 3_600);
    assert!(stage.refused().await[0].contains("it has expired"));
}

#[tokio::test]
async fn a_denial_keeps_it_out_and_can_be_taken_back() {
    let stage = Stage::new(APPROVAL).await;
    stage.approve("bob").await.unwrap();
    stage.decide("cy", Choice::Deny).await.unwrap();
    assert_eq!(stage.refused().await, ["approval (failed): denied by user:cy: looked at it"]);
    stage.approve("cy").await.unwrap();
    stage.promote("prod", false).await.unwrap();
}

#[tokio::test]
async fn whoever_had_a_part_in_what_enters_does_not_approve_it() {
    let stage = Stage::new(APPROVAL).await;
    stage.approve("bob").await.unwrap();
    stage.promote("prod", false).await.unwrap();
    // Cy changes it, and ada changes it again: the work of both would enter.
    stage.apply("cy", APPROVAL, "By cy.").await;
    stage.apply("ada", APPROVAL, "By cy and ada.").await;
    for author in ["ada", "cy"] {
        assert!(stage.approve(author).await.is_err(), "{author}");
    }
    stage.approve("bob").await.unwrap();
    stage.promote("prod", false).await.unwrap();
    // Bob proposes what cy had proposed: it is cy's all the same.
    stage.apply("bob", APPROVAL, "By cy.").await;
    for author in ["bob", "cy"] {
        assert!(stage.approve(author).await.is_err(), "{author}");
    }
}

#[tokio::test]
async fn changed_slots_select_the_gates() {
    let rules = format!("{APPROVAL}slots = [\"model\"]\n");
    let stage = Stage::new(&rules).await;
    assert_eq!(stage.refused().await.len(), 1, "at first everything is new");
    stage.approve("bob").await.unwrap();
    stage.promote("prod", false).await.unwrap();
    stage.apply("ada", &rules, "Another prompt.").await;
    let report = stage.report().await;
    assert!(report.eligible && report.gates.is_empty());
    assert_eq!(report.not_needed, ["approval"]);
    stage.promote("prod", false).await.unwrap();
}

#[tokio::test]
async fn a_rollback_needs_no_gates() {
    let stage = Stage::new(APPROVAL).await;
    for prompt in ["One.", "Two."] {
        stage.apply("ada", APPROVAL, prompt).await;
        stage.approve("bob").await.unwrap();
        stage.promote("prod", false).await.unwrap();
    }
    stage.desk.pass(100 * 3_600);
    let (app, environment, reason) = (app(), prod(), String::new());
    let wish = Rollback { app, environment, release: None, expected: None, reason };
    stage.of("ada").roll_back(&wish).await.unwrap();
}

#[tokio::test]
async fn a_candidate_whose_artifact_vanished_does_not_enter() {
    let stage = Stage::new(APPROVAL).await;
    stage.approve("bob").await.unwrap();
    let ada = stage.of("ada");
    let release = ada.releases(&app()).await.unwrap().remove(0);
    let prompt = release.slots[&SlotName::PROMPT].digest;
    assert!(ada.blobs.delete(&prompt).await.is_ok());
    let gone = stage.promote("prod", false).await.unwrap_err();
    assert!(matches!(gone, DeliveryError::Unusable { state: "missing", .. }), "{gone}");
    assert!(ada.gates(&app(), &prod(), None).await.is_err());
}

#[tokio::test]
async fn a_waiver_lets_it_in_until_it_ends() {
    let stage = Stage::new(APPROVAL).await;
    let now = stage.desk.now();
    let hours = |hours: u64| now + Duration::from_secs(hours * 3_600);
    assert!(stage.waive("ada", hours(1)).await.is_err(), "not the author");
    let long = stage.waive("root", hours(31 * 24)).await.unwrap_err();
    assert_eq!(long.to_string(), "a waiver needs an end that is to come, within 30 days");
    stage.waive("root", hours(2)).await.unwrap();
    let report = stage.report().await;
    assert!(report.eligible);
    let judged = &report.gates[0];
    assert_eq!(judged.verdict.state, GateState::Waived);
    assert!(judged.verdict.why.contains("the site is down"), "{}", judged.verdict.why);
    assert_eq!(judged.waiver.as_ref().unwrap().by, PrincipalId::user("root").unwrap());
    stage.desk.set(hours(2));
    assert_eq!(stage.refused().await, ["approval (pending): 0 of 1 approval(s)"]);
}

#[tokio::test]
async fn what_enters_by_itself_waits_and_enters_when_it_may() {
    let rules = "[[delivery.environments.staging.gates]]\nkind = \"window\"\nfrom = \"06:00\"\n\
        until = \"18:00\"\n";
    let stage = Stage::new(rules).await;
    let applied = stage.apply("ada", rules, "Second.").await;
    assert_eq!(applied.promoted, []);
    let [waits] = applied.gated.as_slice() else { panic!("{applied:?}") };
    assert_eq!(
        waits.why,
        ["window (pending): the window is closed; it opens Thu 2026-01-01 06:00 UTC"]
    );
    let keep = || async { stage.server().keep_waiting(&[TenantId::DEFAULT]).await.unwrap() };
    assert_eq!(keep().await, 0);
    stage.desk.pass(6 * 3_600);
    assert_eq!(keep().await, 1);
    let record = stage.of("ada").app(&app()).await.unwrap().value;
    let pointer = stage.of("ada").environment(&record, &waits.environment).await.unwrap().0;
    assert_eq!(pointer.stable, Some(waits.release));
    assert_eq!(keep().await, 0, "once");
}

#[tokio::test]
async fn a_candidate_that_another_took_the_place_of_waits_no_more() {
    let rules = "[[delivery.environments.staging.gates]]\nkind = \"window\"\nfrom = \"06:00\"\n\
        until = \"18:00\"\n";
    let stage = Stage::new(rules).await;
    stage.apply("ada", "enter = \"manual\"\n", "Second.").await;
    stage.desk.pass(6 * 3_600);
    assert_eq!(stage.server().keep_waiting(&[TenantId::DEFAULT]).await.unwrap(), 0);
}

#[tokio::test]
async fn no_data_is_not_enough_and_a_function_is_asked_once_in_a_while() {
    let rules = "enter = \"manual\"\n\
        [[delivery.environments.prod.gates]]\nkind = \"budget\"\nper_request = 0.01\nin = \"staging\"\n\
        [[delivery.environments.prod.gates]]\nkind = \"drill\"\nwithin_days = 7\n\
        [[delivery.environments.prod.gates]]\nkind = \"scan\"\ncommand = \"audit\"\n";
    let stage = Stage::new(rules).await;
    let states = || async {
        let report = stage.report().await;
        report.gates.iter().map(|judged| judged.verdict.state.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["inconclusive", "failed", "error"]);
    *stage.told.spent.lock().unwrap() = Spent { answers: 50, priced: 50, cost: 0.1 };
    let ended_at = stage.desk.now();
    *stage.told.drill.lock().unwrap() = Some(Drill { backup: "b".into(), ended_at, faults: 0 });
    *stage.told.answer.lock().unwrap() = Some(json!({"passed": true, "why": "no advisory"}));
    assert_eq!(states().await, ["passed", "passed", "passed"]);
    let asked = || stage.told.asked.lock().unwrap().len();
    assert_eq!(asked(), 2, "an error is no answer");
    assert_eq!(stage.told.asked.lock().unwrap()[0]["texts"]["prompt"], "Hello.\n");
    *stage.told.answer.lock().unwrap() = Some(json!({"passed": false}));
    stage.desk.pass(24 * 3_600 - 1);
    assert_eq!((states().await[2], asked()), ("passed", 2), "it is kept for a day");
    stage.desk.pass(1);
    assert_eq!((states().await[2], asked()), ("failed", 3));
    stage.desk.pass(23 * 3_600);
    assert_eq!((states().await[2], asked()), ("failed", 3), "and from then on for another");
}

#[tokio::test]
async fn what_is_kept_says_since_when_it_stands_so() {
    let rules = "enter = \"manual\"\n\
        [[delivery.environments.prod.gates]]\nkind = \"soak\"\nenvironment = \"staging\"\nhours = 2\n";
    let stage = Stage::new(rules).await;
    let began = stage.desk.now();
    stage.report().await;
    stage.promote("staging", false).await.unwrap();
    stage.desk.pass(3_600);
    let judged = stage.report().await.gates.remove(0);
    assert_eq!((judged.verdict.state, judged.since), (GateState::Pending, began));
    stage.desk.pass(3_600);
    let judged = stage.report().await.gates.remove(0);
    assert_eq!((judged.verdict.state, judged.since), (GateState::Passed, stage.desk.now()));
    assert_eq!(stage.desk.told("gate.").await.len(), 2, "two states, two events");
}
