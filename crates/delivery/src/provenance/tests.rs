//! From a commit to production and out again.

use release::PrincipalId;

use crate::rollout::Event;
use crate::rollout::State;
use crate::rollouts::tests::{CANARY_RULES, apply, desk, promote, stands};

#[tokio::test]
async fn a_release_tells_who_changed_what_when_it_was_live_and_why_it_went() {
    let (desk, _) = desk(CANARY_RULES).await;
    apply(&desk, CANARY_RULES, "Second.").await;
    desk.pass(60);
    promote(&desk, false).await.unwrap();
    let id = stands(&desk).await.0.id;
    desk.pass(60);
    desk.ada.steer(&id, &Event::Promote).await.unwrap();
    apply(&desk, CANARY_RULES, "Third.").await;
    desk.pass(60);
    promote(&desk, true).await.unwrap();

    let app = "support".parse().unwrap();
    let told = desk.ada.provenance(&app, "2").await.unwrap();
    let ada = PrincipalId::user("ada").unwrap();
    assert_eq!(told.changes.len(), 1);
    assert_eq!((&told.changes[0].author, told.changes[0].diff.len()), (&ada, 1));
    let prod = &told.environments[0];
    assert_eq!(prod.rollouts[0].state, State::Completed);
    assert_eq!(prod.live.len(), 1);
    let end = prod.live[0].end.as_ref().unwrap();
    assert_eq!((prod.live[0].from, end.at), (crate::desk::at("00:02"), crate::desk::at("00:03")));
    let third = desk.ada.find_release(&app, "3").await.unwrap().release;
    assert_eq!(end.after, third);
    let present = desk.ada.provenance(&app, "3").await.unwrap();
    assert_eq!(present.environments[0].live[0].end, None);
    let first = desk.ada.provenance(&app, "1").await.unwrap();
    assert!(first.environments[0].rollouts.is_empty(), "it was live from the start");
}
