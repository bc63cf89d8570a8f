use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Listed, Newest};
use crate::engine::tests::Fixture;
use crate::engine::tests::storage::{Storage, on_both_stores};

on_both_stores! {
    every_execution_is_on_one_page_the_newest_first_also_if_one_begins_or_ends_meanwhile,
}

async fn every_execution_is_on_one_page_the_newest_first_also_if_one_begins_or_ends_meanwhile(
    on: &Arc<Storage>,
) {
    let fixture = Fixture::on(on, 0).await;
    let tenant = fixture.tenant();
    let text =
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1e9, "End": true}}});
    tenant.define("flow", &text.to_string()).await.unwrap();
    tenant.define("flow-of-another-name", &text.to_string()).await.unwrap();
    tenant.start("flow-of-another-name", None, json!({})).await.unwrap();
    for n in 0..130 {
        // The names' order is not that of the starts, and some start at the same moment.
        let name = format!("{:03}", n * 7 % 130);
        tenant.start("flow", Some(&name), json!(n)).await.unwrap();
        if n % 2 == 0 {
            fixture.clock.advance(Duration::from_secs(1));
        }
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = Newest { status: None, after, limit: 60 };
        let (all, more) = tenant.executions("flow", page).await.unwrap();
        seen.extend(all.into_iter().map(|one| (one.run.about.started_at, one.key.name)));
        let Some(more) = more else { break };
        assert_eq!(seen.len() % 60, 0);
        // A place survives being written down.
        after = Some(more.to_string().parse::<Listed>().unwrap());
        tenant.start("flow", None, json!({})).await.unwrap();
    }
    assert_eq!(seen.len(), 130);
    assert!(seen.is_sorted_by_key(|(at, _)| std::cmp::Reverse(*at)));
    seen.sort_by(|one, other| one.1.cmp(&other.1));
    seen.dedup_by(|one, other| one.1 == other.1);
    assert_eq!(seen.len(), 130);
    let ended = Newest { status: Some("SUCCEEDED".to_owned()), after: None, limit: 60 };
    assert_eq!(tenant.executions("flow", ended).await.unwrap().0, []);
    assert!("nonsense".parse::<Listed>().is_err());
}
