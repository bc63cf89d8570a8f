use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    query: QueryArguments,
}

#[test]
fn a_query_is_given_as_text_or_by_its_name() {
    let read =
        |line: &[&str]| Line::try_parse_from([&["query"], line].concat()).map(|line| line.query);
    let given = read(&["stats count(*)", "--since", "3h", "--plot"]).unwrap();
    assert_eq!(given.text.as_deref(), Some("stats count(*)"));
    assert!(given.how.plot && given.how.since == "3h");
    let named = read(&["run", "errors", "--format", "csv"]).unwrap();
    assert!(matches!(
        named.command,
        Some(QueryCommand::Run { name, how }) if name == "errors" && how.format == Printed::Csv
    ));
    assert!(matches!(read(&["list"]).unwrap().command, Some(QueryCommand::List)));
    assert!(read(&[]).is_err());
}

#[test]
fn a_query_is_saved_into_a_project() {
    let directory = tempfile::tempdir().unwrap();
    let text = (Language::Insights, "stats count(*)\n");
    assert!(save(directory.path(), "errors", text).is_err());
    fs::write(directory.path().join("groundcrew.toml"), "").unwrap();
    save(directory.path(), "errors", text).unwrap();
    let saved = fs::read_to_string(directory.path().join("queries/errors.insights")).unwrap();
    assert_eq!(saved, "stats count(*)\n");
    assert!(save(directory.path(), "../up", text).is_err());
}
