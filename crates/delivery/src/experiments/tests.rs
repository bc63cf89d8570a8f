//! Experiments over a real store: what splits traffic is only ever one, and verdicts act as changes do.

use std::sync::Arc;

use evaluation::analysis::Conclusion;
use monitoring::arms::ArmOutcomes;
use release::ReleaseDigest;

use super::*;
use crate::Rollback;
use crate::desk::Desk;
use crate::rollouts::tests::{CANARY_RULES, Told as Counted, apply, desk, promote};

const SHORT: &str = "support/prod/short";

fn place() -> (AppName, EnvironmentName) {
    ("support".parse().unwrap(), "prod".parse().unwrap())
}

/// Half of the sessions get the second release; costs decide, failures must not grow.
fn wish(name: &str) -> NewExperiment {
    let file = serde_json::json!({
        "name": name, "hypothesis": "shorter answers cost less", "days": 14,
        "variants": [
            {"name": "control", "release": "1", "weight": 50},
            {"name": "short", "release": "2", "weight": 50},
        ],
        "primary": {"measure": "cost", "margin": 0.01},
        "guardrails": [{"measure": "failures", "margin": 0.02}],
    });
    serde_json::from_value(file).unwrap()
}

/// A desk with a release that is live, one that is not, and a draft of an experiment about both.
async fn drafted() -> (Desk, Arc<Counted>) {
    let (desk, counted) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Hello, in short.").await;
    let (app, environment) = place();
    desk.ada.draft_experiment((&app, &environment), &wish("short")).await.unwrap();
    (desk, counted)
}

async fn steer(desk: &Desk, id: &str, event: Event) -> Result<ExperimentRecord, DeliveryError> {
    Ok(desk.ada.steer_experiment(id, |_| event.clone()).await?.0)
}

async fn pointer(desk: &Desk) -> Environment {
    let (app, environment) = place();
    let record = desk.ada.app(&app).await.unwrap().value;
    let pointer = desk.ada.environment(&record, &environment).await.unwrap().0;
    let log = desk.ada.deployments(&app, &environment).await.unwrap();
    assert!(release::invariants::pointer_equals_folded_log(&pointer, &log));
    pointer
}

/// So many sessions of each variant in a run, which cost so much on average, of which so many failed.
fn count(counted: &Counted, run: u32, sessions: u64, (cost, failed): ([f64; 2], [u64; 2])) {
    let (mut outcomes, mut measures) = (Vec::new(), Vec::new());
    for (at, arm) in ["control", "short"].into_iter().enumerate() {
        let (arm, step) = (arm.to_owned(), run);
        let counts = ArmOutcomes { arm: arm.clone(), step, sessions, ..ArmOutcomes::default() };
        outcomes.push(ArmOutcomes { assigned: sessions, ..counts });
        let n = sessions as f64;
        let mut add = |measure: &str, sum, sum_of_squares| {
            let (arm, measure) = (arm.clone(), measure.to_owned());
            measures.push(ArmMeasure { arm, step, measure, sessions, sum, sum_of_squares });
        };
        add("cost", n * cost[at], n * cost[at] * cost[at] * 1.04);
        add("failures", failed[at] as f64, failed[at] as f64);
    }
    *counted.outcomes.lock().unwrap() = outcomes;
    *counted.measures.lock().unwrap() = measures;
}

async fn keep(desk: &Desk, counted: &Arc<Counted>) -> usize {
    desk.pass(10);
    desk.keeper().keep_experiments(&[TenantId::DEFAULT], counted.as_ref()).await.unwrap()
}

async fn stands(desk: &Desk) -> State {
    desk.ada.experiment(SHORT).await.unwrap().experiment.state
}

#[tokio::test]
async fn a_variant_that_wins_is_rolled_out_when_a_person_takes_it() {
    let (desk, counted) = drafted().await;
    assert_eq!(pointer(&desk).await.plan, None, "a draft assigns nobody");
    let record = steer(&desk, SHORT, Event::Start).await.unwrap();
    let [control, short] = [0, 1].map(|at| record.experiment.design.variants[at].release);
    let plan = pointer(&desk).await.plan.unwrap();
    assert_eq!(plan, record.experiment.plan());
    assert_eq!(plan.releases().collect::<Vec<_>>(), [short, control]);

    count(&counted, 0, 50, ([1.0, 0.5], [1, 1]));
    assert_eq!(keep(&desk, &counted).await, 0, "too few sessions");
    let looked = desk.ada.experiment(SHORT).await.unwrap().looked.unwrap();
    assert_eq!(looked.judged.verdict, Conclusion::Inconclusive);
    assert_eq!(looked.seen.assigned, [[50, 50]]);
    count(&counted, 0, 20_000, ([1.0, 0.5], [200, 200]));
    assert_eq!(keep(&desk, &counted).await, 1);
    assert_eq!(stands(&desk).await, State::Stopped { verdict: Conclusion::Win, variant: Some(1) });
    assert_eq!(pointer(&desk).await.plan, None, "the control answers everything again");

    let adopted = steer(&desk, SHORT, Event::Conclude { adopt: true }).await.unwrap();
    let concluded = State::Concluded { verdict: Conclusion::Win, chosen: Some(short) };
    assert_eq!(adopted.experiment.state, concluded);
    let (app, environment) = place();
    let rollout = desk.ada.rollouts(&app, &environment).await.unwrap().remove(0);
    assert_eq!((rollout.candidate, rollout.control), (short, control));
    assert_eq!(pointer(&desk).await.plan, Some(rollout.plan(0)));
    let moved = desk.store.tenant(&TenantId::DEFAULT).log(0, 10_000).await.unwrap();
    let moved = moved.iter().filter(|event| event.kind == MOVED).count();
    assert_eq!(moved, 4, "drafted, started, stopped, concluded");
}

#[tokio::test]
async fn harm_stops_an_experiment_and_what_did_not_win_is_not_adopted() {
    let (desk, counted) = drafted().await;
    steer(&desk, SHORT, Event::Start).await.unwrap();
    count(&counted, 0, 5_000, ([1.0, 0.5], [50, 900]));
    assert_eq!(keep(&desk, &counted).await, 1);
    let record = desk.ada.experiment(SHORT).await.unwrap();
    let harm = State::Stopped { verdict: Conclusion::Harm, variant: Some(1) };
    assert_eq!(record.experiment.state, harm);
    assert!(record.passed.last().unwrap().why.starts_with("short: failures: "));
    assert_eq!(pointer(&desk).await.plan, None);
    let refused = steer(&desk, SHORT, Event::Conclude { adopt: true }).await.unwrap_err();
    assert!(refused.to_string().contains("nothing won"), "{refused}");
    assert!(steer(&desk, SHORT, Event::Start).await.is_err());
    assert_eq!(keep(&desk, &counted).await, 0, "what is over is not looked at");
}

#[tokio::test]
async fn a_running_experiment_shares_its_environment_with_nothing() {
    let (desk, _) = drafted().await;
    let (app, environment) = place();
    desk.ada.draft_experiment((&app, &environment), &wish("other")).await.unwrap();
    let again = desk.ada.draft_experiment((&app, &environment), &wish("other")).await;
    assert!(again.is_err(), "its name is taken");
    steer(&desk, SHORT, Event::Start).await.unwrap();
    for now in [false, true] {
        let refused = promote(&desk, now).await.unwrap_err();
        assert!(matches!(refused, DeliveryError::ExperimentUnderWay(_)), "{refused}");
    }
    let refused = steer(&desk, "support/prod/other", Event::Start).await.unwrap_err();
    assert!(refused.to_string().contains("already has the traffic plan"), "{refused}");
    steer(&desk, SHORT, Event::Pause("lunch".into())).await.unwrap();
    steer(&desk, "support/prod/other", Event::Start).await.unwrap();
    assert!(steer(&desk, SHORT, Event::Resume).await.is_err());
}

#[tokio::test]
async fn a_rollback_interrupts_an_experiment_which_does_not_go_on_over_another_release() {
    let (desk, counted) = drafted().await;
    promote(&desk, true).await.unwrap();
    let (app, environment) = place();
    let wish = NewExperiment {
        variants: wish("short").variants.into_iter().rev().collect(),
        ..wish("again")
    };
    desk.ada.draft_experiment((&app, &environment), &wish).await.unwrap();
    let again = "support/prod/again";
    let refused = steer(&desk, SHORT, Event::Start).await.unwrap_err();
    assert!(refused.to_string().contains("must be the stable release"), "{refused}");
    steer(&desk, again, Event::Start).await.unwrap();

    let (release, expected, reason) = (None, None, "it is wrong".to_owned());
    let back = Rollback { app, environment, release, expected, reason };
    desk.ada.roll_back(&back).await.unwrap();
    assert_eq!(pointer(&desk).await.plan, None, "a rollback waits for nothing");
    assert_eq!(keep(&desk, &counted).await, 1);
    let record = desk.ada.experiment(again).await.unwrap();
    assert!(matches!(record.experiment.state, State::Paused { run: 0, .. }));
    assert!(steer(&desk, again, Event::Resume).await.is_err());
    let stopped = desk
        .ada
        .steer_experiment(again, |record| {
            Event::Stop(record.looked.clone().map(|looked| looked.seen).unwrap_or_default())
        })
        .await
        .unwrap();
    assert!(matches!(stopped.0.experiment.state, State::Stopped { .. }));
}

#[tokio::test]
async fn sessions_of_each_run_are_counted_by_themselves() {
    let (desk, counted) = drafted().await;
    steer(&desk, SHORT, Event::Start).await.unwrap();
    steer(&desk, SHORT, Event::Pause(String::new())).await.unwrap();
    steer(&desk, SHORT, Event::Resume).await.unwrap();
    assert_eq!(pointer(&desk).await.plan.unwrap().step, 1);
    count(&counted, 1, 30, ([1.0, 1.0], [0, 0]));
    keep(&desk, &counted).await;
    let looked = desk.ada.experiment(SHORT).await.unwrap().looked.unwrap();
    assert_eq!(looked.seen.assigned, [[0, 0], [30, 30]]);
}

#[tokio::test]
async fn a_quarantined_variant_answers_nobody_any_more() {
    let (desk, _) = drafted().await;
    let record = steer(&desk, SHORT, Event::Start).await.unwrap();
    let short = record.experiment.design.variants[1].release;
    let prompt = prompt_of(&desk, short).await;
    desk.ada.quarantine(&prompt, "it leaks").await.unwrap();
    assert_eq!(pointer(&desk).await.plan, None);
    assert!(matches!(stands(&desk).await, State::Paused { .. }));
    let refused = steer(&desk, SHORT, Event::Resume).await.unwrap_err();
    assert!(refused.to_string().contains("is quarantined"), "{refused}");
}

async fn prompt_of(desk: &Desk, release: ReleaseDigest) -> String {
    let app = "support".parse().unwrap();
    let release = desk.ada.find_release(&app, &release.to_string()).await.unwrap();
    release.slots[&release::SlotName::PROMPT].digest.to_hex()
}

#[tokio::test]
async fn drafts_that_cannot_be_run_are_refused_with_what_is_wrong() {
    let (desk, _) = drafted().await;
    let (app, environment) = place();
    let wrong = |change: fn(&mut NewExperiment)| {
        let mut draft = wish("wrong");
        change(&mut draft);
        draft
    };
    let mut told = Vec::new();
    for draft in [
        wrong(|draft| draft.variants[1].release = "77".into()),
        wrong(|draft| draft.variants[1].weight = 40.0),
        wrong(|draft| draft.primary.measure = "money".into()),
        wrong(|draft| draft.primary.measure = "requests".into()),
        wrong(|draft| draft.guardrails[0].measure = "cost".into()),
        wrong(|draft| draft.alpha = Some(0.7)),
        wrong(|draft| draft.days = 0),
    ] {
        let refused = desk.ada.draft_experiment((&app, &environment), &draft).await.unwrap_err();
        told.push(refused.to_string());
    }
    insta::assert_snapshot!(told.join("\n"));
}
