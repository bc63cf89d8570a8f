//! What is bad leaves every environment, and nothing new goes live with it.

use release::{PrincipalId, invariants};

use super::*;
use crate::rollouts::tests::{CANARY_RULES, apply, desk, promote, stands};

async fn prompt_of(desk: &crate::desk::Desk, release: ReleaseDigest) -> String {
    let record = desk.ada.find_release(&"support".parse().unwrap(), &release.to_string()).await;
    let prompt = record.unwrap().slots[&release::SlotName::PROMPT].clone();
    format!("prompt/p@{}", prompt.digest.to_hex())
}

#[tokio::test]
async fn a_release_that_uses_it_is_taken_out_and_cannot_come_back() {
    let (desk, _) = desk(CANARY_RULES).await;
    let good = stands_at(&desk).await;
    apply(&desk, CANARY_RULES, "Second.").await;
    promote(&desk, true).await.unwrap();
    let bad = stands_at(&desk).await;
    let prompt = prompt_of(&desk, bad).await;

    let reach = desk.ada.quarantine_reach(&prompt).await.unwrap();
    assert_eq!(reach.releases.iter().map(|it| it.release).collect::<Vec<_>>(), [bad]);
    assert_eq!(reach.environments[0].instead, None, "nothing was done yet");

    let reached = desk.ada.quarantine(&prompt, "it leaks").await.unwrap();
    assert_eq!(reached.environments[0].instead, Some(good));
    assert_eq!(stands_at(&desk).await, good);
    let again = promote(&desk, true).await.unwrap_err().to_string();
    assert!(again.ends_with("is quarantined and may not go live"), "{again}");
    let twice = desk.ada.quarantine(&prompt, "it leaks").await.unwrap();
    assert_eq!(twice.environments, [], "it answers nowhere any more");
    let told = desk.told("artifact.quarantined").await;
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn a_rollout_of_it_is_rolled_back() {
    let (desk, _) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Second.").await;
    promote(&desk, false).await.unwrap();
    let (rollout, pointer) = stands(&desk).await;
    let prompt = prompt_of(&desk, rollout.candidate).await;
    let reached = desk.ada.quarantine(&prompt, "it leaks").await.unwrap();
    assert_eq!(reached.environments[0].instead, pointer.stable);
    let (rollout, pointer) = stands(&desk).await;
    assert_eq!(rollout.state, crate::rollout::State::RolledBack);
    assert!(pointer.held.contains(&rollout.candidate));
    assert_eq!(rollout.passed.last().unwrap().by, PrincipalId::user("ada").unwrap());
    assert!(invariants::plan_is_whole(&rollout.plan(0)));
}

#[tokio::test]
async fn what_is_not_exactly_one_artifact_is_refused() {
    let (desk, _) = desk(CANARY_RULES).await;
    for unknown in ["", "abc", "prompt/p@", "model/p@abcdef", "zzzzzzzz"] {
        let error = desk.ada.quarantine(unknown, "why").await.unwrap_err();
        assert!(matches!(error, DeliveryError::UnknownArtifact(_)), "{unknown}: {error}");
    }
}

async fn stands_at(desk: &crate::desk::Desk) -> ReleaseDigest {
    let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
    let (_, pointer) = desk.ada.history(&app, &environment, None).await.unwrap();
    pointer.stable.unwrap()
}
