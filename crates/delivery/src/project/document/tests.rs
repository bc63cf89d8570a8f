//! Every mistake is found, at its place, with a hint.

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are tested")]
struct Shelf {
    name: String,
    size: Option<u32>,
    #[serde(default)]
    sources: Vec<Source>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Automatic,
    Manual,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are tested")]
enum Source {
    Directory { path: String, include: Option<Vec<String>> },
    Feed { url: String },
}

fn findings(text: &str) -> String {
    let found = Document::parse("shelf.toml", text).and_then(|document| document.read::<Shelf>());
    let found = found.map(|shelf| format!("{shelf:?}")).unwrap_err();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_right_file_is_read() {
    let text = "name = \"a\"\n[[sources]]\nkind = \"directory\"\npath = \"docs\"\n";
    let shelf: Shelf = Document::parse("shelf.toml", text).unwrap().read().unwrap();
    assert_eq!(shelf.sources.len(), 1);
}

#[test]
fn unknown_missing_mistyped_and_misspelt_are_reported_together() {
    insta::assert_snapshot!(findings(
        "nmae = \"a\"\nsize = \"big\"\nmode = \"manul\"\n\n[[sources]]\nkind = \"directory\"\npth = \"docs\"\n\n[[sources]]\nkind = \"ftp\"\nurl = \"x\"\n"
    ));
}

#[test]
fn syntax_errors_are_all_placed() {
    insta::assert_snapshot!(findings("name = \n[sources\nsize = 1 2\n"));
}

#[test]
fn numbers_that_do_not_fit_are_placed() {
    insta::assert_snapshot!(findings("name = \"a\"\nsize = nan\n"));
}
