//! Pipelines and promotions as executions over a real store.

use std::sync::Arc;
use std::time::Duration;

use release::{PrincipalId, TenantId};
use workflow::Fault;
use workflow::engine::{Task, TenantEngine};

use super::*;
use crate::desk::Desk;
use crate::rollout::{Rollout, State};
use crate::tasks::PromoteTask;
use crate::{Applied, Upload};

const CANARY: &str = "[delivery.environments.prod]\nstrategy = \"canary\"\n\
    steps = [{ weight = 10, seconds = 3600 }]\n";

struct Stage {
    desk: Desk,
    engine: Engine,
}

impl Stage {
    async fn new() -> Self {
        let desk = Desk::new("[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n").await;
        let pipelines = Arc::new(PipelineTask::new(desk.keeper()));
        let promote = Arc::new(PromoteTask(desk.keeper()));
        let tasks: Vec<Arc<dyn Task>> = vec![pipelines.clone(), promote];
        let engine = desk.engine_with("here", tasks);
        pipelines.engine(engine.clone());
        Self { desk, engine }
    }

    async fn apply(&self, rules: &str, prompt: &str) -> Applied {
        let app = format!("[slots]\nmodel = \"m\"\nprompt = \"p\"\n[delivery]\n{rules}\n");
        let files = [
            ("groundcrew.toml", "name = \"p\"\nenvironments = [\"dev\", \"staging\", \"prod\"]\n"),
            ("apps/support.toml", app.as_str()),
            ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
            ("prompts/p.md", prompt),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let upload = Upload { files: files.into(), ..Upload::default() };
        self.delivery().apply(&upload).await.unwrap()
    }

    fn delivery(&self) -> TenantDelivery {
        self.desk.keeper().tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap())
    }

    fn workflows(&self) -> TenantEngine {
        self.engine.tenant(&TenantId::DEFAULT, PrincipalId::service("ci").unwrap())
    }

    async fn begin(&self, wait_seconds: u64) -> ExecutionRecord {
        let (app, to) = ("support".parse().unwrap(), None);
        let wish = NewPipeline { app, release: None, to, wait_seconds };
        self.delivery().begin_pipeline(&self.workflows(), &wish).await.unwrap()
    }

    async fn run(&self, wait_seconds: u64) -> PipelineReport {
        let begun = self.begin(wait_seconds).await;
        let ended = self.workflows().ended(&begun.key).await.unwrap();
        let outcome = ended.run.outcome.unwrap();
        let output = outcome.output.unwrap_or_else(|| panic!("{:?}", outcome.fault));
        serde_json::from_value(output).unwrap()
    }

    /// The newest rollout into prod, once it stands so.
    async fn rollout(&self, stands: impl Fn(State) -> bool) -> Rollout {
        let (app, prod) = ("support".parse().unwrap(), "prod".parse().unwrap());
        for _ in 0..500 {
            let newest = self.delivery().rollouts(&app, &prod).await.unwrap().into_iter().next();
            if let Some(rollout) = newest.filter(|rollout| stands(rollout.state)) {
                return rollout;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no rollout stands so");
    }
}

fn states(report: &PipelineReport) -> Vec<StageState> {
    report.stages.iter().map(|stage| stage.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_goes_through_the_environments_once() {
    let stage = Stage::new().await;
    stage.apply("", "Hello.\n").await;
    let report = stage.run(60).await;
    assert_eq!(report.outcome, Outcome::Live);
    assert_eq!(states(&report), [StageState::Live; 3]);
    // Again it finds all of it done.
    let again = stage.run(60).await;
    assert_eq!(again, PipelineReport { stages: again.stages.clone(), ..report.clone() });
    let since =
        |report: &PipelineReport| report.stages.iter().map(|it| it.since).collect::<Vec<_>>();
    assert_eq!(since(&again), since(&report));
    let (app, prod) = ("support".parse().unwrap(), "prod".parse().unwrap());
    assert_eq!(stage.delivery().deployments(&app, &prod).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_where_a_person_must_act_and_a_held_release_stays_out() {
    let stage = Stage::new().await;
    stage.apply("[[delivery.environments.staging.gates]]\nkind = \"approval\"", "Hello.\n").await;
    let report = stage.run(60).await;
    assert_eq!(report.outcome, Outcome::Waiting);
    let expected = [StageState::Live, StageState::Waiting, StageState::NotReached];
    assert_eq!(states(&report), expected);
    assert!(report.stages[1].next.as_ref().unwrap().starts_with("groundcrew release approve"));

    stage.apply("", "Hello.\n").await;
    let (app, staging) = ("support".parse().unwrap(), "staging".parse().unwrap());
    let release = report.release.to_string();
    stage.delivery().hold_back(&app, &staging, &release, "it is odd").await.unwrap();
    let report = stage.run(60).await;
    assert_eq!(report.outcome, Outcome::Waiting);
    assert!(report.stages[1].next.as_ref().unwrap().starts_with("groundcrew release unhold"));
    stage.delivery().clear_hold(&app, &staging, &release, "it is not").await.unwrap();
    assert_eq!(stage.run(60).await.outcome, Outcome::Live);
    // What answers is rolled back, not held.
    stage.delivery().hold_back(&app, &staging, &release, "").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_under_way_is_joined_and_its_rollout_ends_with_it_if_it_is_stopped() {
    let stage = Stage::new().await;
    stage.apply(CANARY, "Hello.\n").await;
    assert_eq!(stage.run(60).await.outcome, Outcome::Live);
    stage.apply(CANARY, "Hello you.\n").await;
    let begun = stage.begin(3_600).await;
    stage.rollout(|state| !state.is_over()).await;
    // Whoever waits for another time joins it too.
    assert_eq!(stage.begin(7_200).await.key, begun.key);
    let fault = Fault::new("Stopped", "not now".to_owned());
    stage.workflows().stop(&begun.key, fault).await.unwrap();
    let rollout = stage.rollout(State::is_over).await;
    assert_eq!(rollout.state, State::Aborted);
    assert_eq!(rollout.passed.last().unwrap().by, PrincipalId::service("ci").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_is_stopped_aborts_the_rollout_that_it_began_and_no_other() {
    let stage = Stage::new().await;
    stage.apply(CANARY, "Hello.\n").await;
    assert_eq!(stage.run(60).await.outcome, Outcome::Live);
    stage.apply(CANARY, "Hello you.\n").await;
    let workflows = stage.workflows();
    let promote = |name: &str| {
        let input = json!({"app": "support", "environment": "prod"});
        workflows.do_task_once("release.promote", name.to_owned(), input)
    };
    let fault = || Fault::new("Stopped", "not now".to_owned());
    let first = promote("first").await.unwrap();
    stage.rollout(|state| !state.is_over()).await;
    let other = stage.engine.tenant(&TenantId::DEFAULT, PrincipalId::service("other").unwrap());
    let input = json!({"app": "support", "environment": "prod"});
    let second = other.do_task_once("release.promote", "second".to_owned(), input).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    other.stop(&second.key, fault()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.rollout(|state| !state.is_over()).await;
    workflows.stop(&first.key, fault()).await.unwrap();
    assert_eq!(stage.rollout(State::is_over).await.state, State::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_change_does_not_replace_a_newer_one() {
    let stage = Stage::new().await;
    let first = stage.apply("", "Hello.\n").await.changes[0].release.to_string();
    stage.apply("", "Hello you.\n").await;
    assert_eq!(stage.run(60).await.outcome, Outcome::Live);
    let wish = NewPipeline {
        app: "support".parse().unwrap(),
        release: Some(first),
        to: None,
        wait_seconds: 60,
    };
    let begun = stage.delivery().begin_pipeline(&stage.workflows(), &wish).await.unwrap();
    let ended = stage.workflows().ended(&begun.key).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output.unwrap()["outcome"], "overtaken");
}
