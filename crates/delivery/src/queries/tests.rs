use monitoring::Language;

use crate::desk::Desk;
use crate::{Applied, DeliveryError, Upload};

/// Applies a project with these files beside its own.
async fn apply(desk: &Desk, files: &[(&str, &str)], prune: bool) -> Result<Applied, DeliveryError> {
    let own = [("groundcrew.toml", "name = \"queried\"\n")];
    let all = own.iter().chain(files);
    let files = all.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    desk.ada.apply(&Upload { files, prune, ..Upload::default() }).await
}

#[tokio::test]
async fn queries_are_saved_with_a_project_and_kept_until_they_are_pruned() {
    let desk = Desk::new("[[sources]]\nkind = \"push\"\n").await;
    let slow = ("queries/slow.insights", "SOURCE spans | filter duration_ns > 1000000000\n");
    let errors = ("queries/errors.sql", "SELECT count(*) FROM spans WHERE status = 'error'\n");
    let applied = apply(&desk, &[slow, errors], false).await.unwrap();
    assert_eq!(applied.defined, ["query errors", "query slow"]);
    let saved = desk.ada.queries().await.unwrap();
    let names: Vec<_> = saved.iter().map(|query| (query.name.as_str(), query.language)).collect();
    assert_eq!(names, [("errors", Language::Sql), ("slow", Language::Insights)]);
    assert_eq!(saved[1].text, slow.1);

    let kept = apply(&desk, &[errors], false).await.unwrap();
    assert_eq!(kept.defined, [""; 0]);
    assert_eq!(kept.kept, ["query slow: not in the files, remove it with --prune"]);
    assert_eq!(desk.ada.queries().await.unwrap().len(), 2);

    let pruned = apply(&desk, &[errors], true).await.unwrap();
    assert_eq!(pruned.removed, ["query slow"]);
    assert_eq!(desk.ada.queries().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_query_that_is_misspelt_is_told_with_its_place() {
    let desk = Desk::new("[[sources]]\nkind = \"push\"\n").await;
    let files = [
        ("queries/a.insights", "fields a\n| fitler b = 1\n"),
        ("queries/b.sql", "SELECT *\nFRM spans\n"),
        ("queries/c.insights", "stats count(*)\n"),
        ("queries/c.sql", "SELECT 1\n"),
    ];
    let Err(DeliveryError::Project(found)) = apply(&desk, &files, false).await else {
        panic!("the project was applied");
    };
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}
