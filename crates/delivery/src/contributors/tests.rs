use crate::desk::Desk;
use crate::{Applied, Upload};

async fn apply(desk: &Desk, rules: &[(&str, &str)], prune: bool) -> Applied {
    let project = ("groundcrew.toml".to_owned(), b"name = \"rules\"\n".to_vec());
    let rules = rules.iter().map(|(name, key)| {
        let rule = format!(
            r#"{{"Schema": {{"Name": "CloudWatchLogRule", "Version": 1}},
                "LogGroupNames": ["spans"], "Contribution": {{"Keys": ["{key}"]}}}}"#
        );
        (format!("contributors/{name}.json"), rule.into_bytes())
    });
    let files = rules.chain([project]).collect();
    desk.ada.apply(&Upload { files, prune, ..Upload::default() }).await.unwrap()
}

#[tokio::test]
async fn rules_are_defined_changed_kept_and_pruned() {
    let desk = Desk::new("[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n").await;
    let keys = async || {
        let rules = desk.ada.contributor_rules().await.unwrap();
        rules.into_iter().map(|(name, rule)| (name, rule.keys().concat())).collect::<Vec<_>>()
    };
    let own = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    let applied = apply(&desk, &[("users", "$.user"), ("models", "$.model")], false).await;
    assert_eq!(applied.defined, ["contributors models", "contributors users"]);
    let applied = apply(&desk, &[("users", "$.arm")], false).await;
    assert_eq!(applied.defined, ["contributors users"]);
    assert_eq!(applied.kept.len(), 1);
    assert_eq!(keys().await, [own("models", "$.model"), own("users", "$.arm")]);
    let applied = apply(&desk, &[("users", "$.arm")], true).await;
    assert_eq!(
        (applied.defined.len(), applied.removed.as_slice()),
        (0, &["contributors models".to_owned()][..])
    );
    assert_eq!(keys().await, [own("users", "$.arm")]);
}
