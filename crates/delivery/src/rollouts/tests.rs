//! Rollouts over a real store: every decision and its effect are one, whoever looks and whenever.

use std::sync::{Arc, Mutex};

use release::invariants;

use super::*;
use crate::desk::{Desk, at};
use crate::rollout::evidence::Finding;
use crate::rollout::{CANARY, CONTROL};
use crate::{Promotion, Rollback, Upload};

/// What is told of rollouts, set by hand.
#[derive(Debug, Default)]
pub struct Told {
    pub outcomes: Mutex<Vec<ArmOutcomes>>,
    pub measures: Mutex<Vec<ArmMeasure>>,
    copies: Mutex<Option<(Vec<ArmOutcomes>, Copies)>>,
    alarm: Mutex<Option<String>>,
    broken: Mutex<bool>,
}

impl Told {
    fn count(&self, step: u32, canary: (u64, u64), control: (u64, u64)) {
        let arm = |arm: &str, (sessions, failed)| {
            let arm = arm.to_owned();
            ArmOutcomes {
                arm,
                step,
                sessions,
                assigned: sessions,
                failed,
                ..ArmOutcomes::default()
            }
        };
        *self.outcomes.lock().unwrap() = vec![arm(CANARY, canary), arm(CONTROL, control)];
    }
}

#[async_trait]
impl Observed for Told {
    async fn outcomes(
        &self,
        _: &TenantId,
        _: (&PlanId, Timestamp),
        _: Option<u64>,
    ) -> Result<Vec<ArmOutcomes>, String> {
        match *self.broken.lock().unwrap() {
            true => Err("a file is damaged".to_owned()),
            false => Ok(self.outcomes.lock().unwrap().clone()),
        }
    }

    async fn measures(
        &self,
        _: &TenantId,
        _: (&PlanId, Timestamp),
    ) -> Result<Vec<ArmMeasure>, String> {
        Ok(self.measures.lock().unwrap().clone())
    }

    async fn copies(
        &self,
        _: &TenantId,
        _: (&PlanId, Timestamp),
        _: Option<u64>,
        _: (Currency, Timestamp),
    ) -> Result<(Vec<ArmOutcomes>, Copies), String> {
        self.copies.lock().unwrap().clone().ok_or_else(|| "a file is damaged".to_owned())
    }

    async fn latency(
        &self,
        _: &TenantId,
        _: (&AppName, &EnvironmentName, ReleaseDigest),
        _: f64,
        _: (Timestamp, Timestamp),
    ) -> Result<Option<u64>, String> {
        Ok(None)
    }

    async fn alarm(
        &self,
        _: &TenantId,
        _: (&AppName, &EnvironmentName),
        _: Timestamp,
    ) -> Result<Option<String>, String> {
        Ok(self.alarm.lock().unwrap().clone())
    }
}

/// A desk whose app goes over to `prod` by these rules; its first release is live there.
pub async fn desk(rules: &str) -> (Desk, Arc<Told>) {
    let desk = Desk::new("[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n").await;
    apply(&desk, rules, "Hello.").await;
    promote(&desk, false).await.unwrap();
    (desk, Arc::new(Told::default()))
}

pub async fn apply(desk: &Desk, rules: &str, prompt: &str) {
    let app = format!(
        "[slots]\nmodel = \"m\"\nprompt = \"p\"\n[delivery]\nenter = \"manual\"\n\
         [delivery.environments.prod]\n{rules}\n"
    );
    let prompt = format!("{prompt}\n");
    let files = [
        ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
        ("apps/support.toml", app.as_str()),
        ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("prompts/p.md", prompt.as_str()),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    desk.ada.apply(&Upload { files: files.into(), ..Upload::default() }).await.unwrap();
}

fn prod() -> (AppName, EnvironmentName) {
    ("support".parse().unwrap(), "prod".parse().unwrap())
}

pub async fn promote(desk: &Desk, now: bool) -> Result<DeploymentEntry, DeliveryError> {
    let (app, environment) = prod();
    desk.ada.promote(&Promotion { app, environment, release: None, expected: None, now }).await
}

async fn keep(desk: &Desk, told: &Arc<Told>) -> usize {
    desk.keeper().keep_rollouts(&[TenantId::DEFAULT], told.as_ref()).await.unwrap()
}

/// The newest rollout, and the pointer, which is always what its log says.
pub async fn stands(desk: &Desk) -> (Rollout, Environment) {
    let (app, environment) = prod();
    let newest = desk.ada.rollouts(&app, &environment).await.unwrap().remove(0);
    let record = desk.ada.app(&app).await.unwrap().value;
    let pointer = desk.ada.environment(&record, &environment).await.unwrap().0;
    let log = desk.ada.deployments(&app, &environment).await.unwrap();
    assert!(invariants::pointer_equals_folded_log(&pointer, &log));
    assert!(invariants::log_is_contiguous(&log) && invariants::held_stays_held(&log));
    (newest, pointer)
}

pub const CANARY_RULES: &str = "strategy = \"canary\"\n\
    steps = [{ weight = 10, seconds = 60 }, { weight = 50, seconds = 60 }]";

#[tokio::test]
async fn a_good_release_is_rolled_out_step_by_step_and_becomes_the_stable_one() {
    let (desk, told) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Hello, friend.").await;
    let begun = promote(&desk, false).await.unwrap();
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!(begun.r#move, Move::Plan { to: Some(rollout.plan(0)) });
    assert_eq!(pointer.stable, Some(rollout.control));
    told.count(0, (10, 0), (90, 1));
    desk.pass(59);
    assert_eq!(keep(&desk, &told).await, 0, "its time is not over");
    desk.pass(1);
    assert_eq!(keep(&desk, &told).await, 1);
    assert_eq!(stands(&desk).await.1.plan.unwrap().step, 1);
    told.count(1, (1_000, 0), (1_000, 9));
    assert_eq!(keep(&desk, &told).await, 1, "evidence is enough at any time");
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!((rollout.state, pointer.stable), (State::Completed, Some(rollout.candidate)));
    assert_eq!(pointer.plan, None);
    assert_eq!(keep(&desk, &told).await, 0, "nothing is under way");
    let decided = rollout.passed.last().unwrap();
    assert_eq!(decided.looked.as_ref().unwrap().finding, Finding::Safe);
    assert_eq!(decided.by, PrincipalId::system(KEEPER));
}

#[tokio::test]
async fn a_bad_release_is_taken_back_and_held_until_a_person_wants_it() {
    let (desk, told) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Be rude.").await;
    promote(&desk, false).await.unwrap();
    told.count(0, (50, 25), (450, 5));
    assert_eq!(keep(&desk, &told).await, 1);
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!((rollout.state, pointer.stable), (State::RolledBack, Some(rollout.control)));
    assert!(pointer.held.contains(&rollout.candidate) && pointer.plan.is_none());
    let (app, environment) = prod();
    let wish = Promotion { app, environment, release: None, expected: None, now: false };
    let automation = desk.server().promote_once(&wish).await.unwrap_err();
    assert!(matches!(
        automation,
        DeliveryError::Environment(release::EnvironmentError::Held { .. })
    ));
    // A person may try it again, and then automation moves it on.
    promote(&desk, false).await.unwrap();
    told.count(0, (10, 0), (90, 1));
    desk.pass(60);
    assert_eq!(keep(&desk, &told).await, 1);
    assert_eq!(stands(&desk).await.1.plan.unwrap().step, 1);
}

#[tokio::test]
async fn an_alarm_takes_it_back_and_what_cannot_be_read_keeps_it() {
    let (desk, told) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Other.").await;
    promote(&desk, false).await.unwrap();
    *told.broken.lock().unwrap() = true;
    desk.pass(3_600);
    assert_eq!(keep(&desk, &told).await, 0);
    let looked = stands(&desk).await.0.looked.unwrap();
    assert_eq!((looked.finding, looked.why.as_str()), (Finding::Error, "a file is damaged"));
    *told.alarm.lock().unwrap() = Some("support-prod-errors".into());
    assert_eq!(keep(&desk, &told).await, 1, "an alarm is known all the same");
    let (rollout, _) = stands(&desk).await;
    assert_eq!(rollout.passed.last().unwrap().why, "alarm `support-prod-errors` went off");
}

#[tokio::test]
async fn one_rollout_at_a_time_and_a_person_steers_it() {
    let (desk, told) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Second.").await;
    promote(&desk, false).await.unwrap();
    let id = stands(&desk).await.0.id;
    apply(&desk, CANARY_RULES, "Third.").await;
    let told_so = promote(&desk, true).await.unwrap_err().to_string();
    assert_eq!(
        told_so,
        format!("rollout `{id}` is under way: wait for its end, abort it, or roll it back")
    );
    desk.ada.steer(&id, &Event::Pause("lunch".into())).await.unwrap();
    told.count(0, (10, 0), (90, 1));
    desk.pass(600);
    assert_eq!(keep(&desk, &told).await, 0);
    desk.ada.steer(&id, &Event::Resume).await.unwrap();
    assert_eq!(keep(&desk, &told).await, 1);
    desk.ada.steer(&id, &Event::Abort("the third is better".into())).await.unwrap();
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!((rollout.state, pointer.stable), (State::Aborted, Some(rollout.control)));
    assert!(pointer.held.is_empty() && pointer.plan.is_none());
    promote(&desk, false).await.unwrap();
    promote(&desk, true).await.unwrap();
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!((rollout.state, pointer.stable), (State::Completed, Some(rollout.candidate)));
}

#[tokio::test]
async fn a_rollback_takes_the_candidate_back_and_what_was_live_before_stays_reachable() {
    let (desk, _) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Second.").await;
    promote(&desk, true).await.unwrap();
    apply(&desk, CANARY_RULES, "Third.").await;
    promote(&desk, false).await.unwrap();
    let (before, _) = stands(&desk).await;
    let (app, environment) = prod();
    let reason = "it is rude".to_owned();
    let back = Rollback { app, environment, release: None, expected: None, reason };
    desk.ada.roll_back(&back).await.unwrap();
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!((rollout.state, pointer.stable), (State::RolledBack, Some(before.control)));
    assert_eq!(rollout.passed.last().unwrap().why, "it is rude");
    desk.ada.roll_back(&back).await.unwrap();
    let (_, pointer) = stands(&desk).await;
    assert_ne!(pointer.stable, Some(before.control), "the next goes back one promotion");
}

#[tokio::test]
async fn two_servers_that_look_at_once_decide_once() {
    let (desk, told) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Second.").await;
    promote(&desk, false).await.unwrap();
    told.count(0, (50, 25), (450, 5));
    let (one, other) = tokio::join!(keep(&desk, &told), keep(&desk, &told));
    assert_eq!(one + other, 1);
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!(rollout.passed.len(), 2);
    assert_eq!(pointer.generation, 3);
}

#[tokio::test]
async fn a_deadline_that_passed_while_nobody_looked_counts_when_somebody_does() {
    let rules = format!("{CANARY_RULES}\ndeadline_seconds = 300\nundecided = \"roll_back\"");
    let (desk, told) = desk(&rules).await;
    apply(&desk, &rules, "Second.").await;
    promote(&desk, false).await.unwrap();
    desk.set(at("23:00"));
    assert_eq!(keep(&desk, &told).await, 1);
    assert_eq!(stands(&desk).await.0.state, State::RolledBack);
}

#[tokio::test]
async fn a_rollout_that_is_not_there_is_said_so() {
    let (desk, _) = desk(CANARY_RULES).await;
    for id in ["support/prod/99", "support", "", "a/b/c/d"] {
        let error = desk.ada.rollout(id).await.unwrap_err().to_string();
        assert_eq!(error, format!("there is no rollout `{id}`"));
    }
}

const SHADOW_RULES: &str = "strategy = \"shadow\"\ncopies = { spend_cap = 2 }";

#[tokio::test]
async fn a_shadow_pauses_at_its_cap_and_goes_on_when_that_was_raised() {
    let (desk, told) = desk(SHADOW_RULES).await;
    apply(&desk, SHADOW_RULES, "Second.").await;
    promote(&desk, false).await.unwrap();
    let (rollout, pointer) = stands(&desk).await;
    assert!(pointer.releases().any(|it| it == rollout.candidate), "it is loaded and pinned");
    let spent = |dollars: i64| {
        let spent = release::Money { currency: Currency::USD, nanos: dollars * 1_000_000_000 };
        let copies = Copies { made: 40, dropped: 2, spent, unpriced: 0 };
        let arm = |arm: &str, failed| {
            let arm = arm.to_owned();
            ArmOutcomes { arm, sessions: 40, assigned: 40, failed, ..ArmOutcomes::default() }
        };
        let arms = vec![arm(release::SHADOW, 1), arm(monitoring::arms::MIRRORED, 1)];
        *told.copies.lock().unwrap() = Some((arms, copies));
    };
    assert_eq!(keep(&desk, &told).await, 0);
    let looked = stands(&desk).await.0.looked.unwrap();
    assert_eq!((looked.finding, looked.why.as_str()), (Finding::Error, "a file is damaged"));
    spent(1);
    assert_eq!(keep(&desk, &told).await, 0);
    assert_eq!(stands(&desk).await.0.looked.unwrap().finding, Finding::Inconclusive);
    spent(3);
    assert_eq!(keep(&desk, &told).await, 1);
    let (paused, pointer) = stands(&desk).await;
    assert_eq!(paused.passed.last().unwrap().why, "its spend cap is reached: 3.00 USD of 2.00 USD");
    let mirror = pointer.plan.unwrap().mirror.unwrap();
    assert_eq!(
        (mirror.share, mirror.release),
        (0, paused.candidate),
        "no copies, and it stays loaded"
    );
    let refused = desk.ada.steer(&paused.id, &Event::Resume).await.unwrap_err().to_string();
    assert!(refused.contains("raise the `spend_cap`"), "{refused}");
    apply(&desk, &SHADOW_RULES.replace('2', "4"), "Second.").await;
    desk.ada.steer(&paused.id, &Event::Resume).await.unwrap();
    let mirror = stands(&desk).await.1.plan.unwrap().mirror.unwrap();
    assert_eq!((mirror.share, mirror.cap.to_string().as_str()), (1_000, "4.00 USD"));
    desk.ada.steer(&paused.id, &Event::RollBack("it is slow".into())).await.unwrap();
    assert_eq!(stands(&desk).await.1.plan, None, "nothing is copied any more");
}
