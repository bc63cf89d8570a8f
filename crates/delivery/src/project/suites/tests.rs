//! Suites of a project: stored with their cases, and every mistake told at its place.

use release::ArtifactKind;

use crate::project::Project;
use crate::project::files::Files;

const SUITE: &str = "cases = \"returns.jsonl\"\n\
    [scorers.right]\nmeasure = { kind = \"exact\" }\n";
const CASES: &str =
    "{\"id\": \"window\", \"input\": \"How long?\", \"expected\": \"Thirty days.\"}\n";

fn project(changes: &[(&str, &str)]) -> Files {
    let right = [
        ("groundcrew.toml", "name = \"desk\"\n"),
        ("models/small.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("evals/returns.toml", SUITE),
        ("evals/returns.jsonl", CASES),
    ];
    let all = right.iter().chain(changes);
    all.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn findings(changes: &[(&str, &str)]) -> String {
    let (project, found) = Project::load(&project(changes));
    assert!(project.is_none());
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_suite_is_an_artifact_of_its_file_and_its_cases() {
    let judged = format!("{SUITE}[judge]\nmodel = \"small\"\n");
    let (loaded, found) = Project::load(&project(&[("evals/returns.toml", &judged)]));
    assert_eq!(found, []);
    let loaded = loaded.unwrap();
    let suite = &loaded.suites[&"returns".parse().unwrap()];
    assert_eq!((suite.cases, suite.scorers.as_slice()), (1, ["right".to_owned()].as_slice()));
    assert_eq!(suite.judge.as_ref().unwrap().name.as_str(), "small");
    let artifact = loaded.artifacts.iter().find(|it| it.artifact.kind == ArtifactKind::EvalSuite);
    let artifact = artifact.unwrap();
    assert_eq!(artifact.artifact.digest, suite.digest);
    let other = CASES.replace("Thirty", "Sixty");
    let (changed, _) = Project::load(&project(&[("evals/returns.jsonl", &other)]));
    let changed = changed.unwrap();
    assert_ne!(changed.suites[&"returns".parse().unwrap()].digest, suite.digest);
}

#[test]
fn mistakes_are_told_where_they_are() {
    let wrong = "cases = \"returns.jsonl\"\nrepeats = 0\n[judge]\nmodel = \"smal\"\n\
        [scorers.right]\nmeasure = { kind = \"regex\", pattern = \"(\" }\n\
        [scorers.kind]\nmeasure = { kind = \"similarity\" }\nat_least = 2.0\n";
    let also = CASES.replace("Thirty days.\"", "Thirty days.\", \"expects\": 1");
    let all = [("evals/returns.toml", wrong), ("evals/returns.jsonl", &also)];
    insta::assert_snapshot!(findings(&all));
    let typed = "cases = \"returns.jsonl\"\nrepeat = 2\n\
        [scorers.right]\nmeasure = { kind = \"exakt\" }\n\
        [scorers.long]\nmeasure = { kind = \"length\", units = \"words\" }\nat_most = \"9\"\n";
    insta::assert_snapshot!(findings(&[("evals/returns.toml", typed)]));
}

#[test]
fn mistakes_in_cases_are_told_with_their_line() {
    let wrong = "{\"id\": \"a\", \"input\": \"Q?\"}\n\n{\"id\": \"a\", \"input\": 7}\n{\"id\": \"a\", \"input\": \"R?\"}\n";
    insta::assert_snapshot!(findings(&[("evals/returns.jsonl", wrong)]));
}

#[test]
fn cases_and_judges_that_are_not_there_are_told() {
    let wrong = "cases = \"refunds.jsonl\"\n[judge]\nmodel = \"large\"\n\
        [scorers.right]\nmeasure = { kind = \"exact\" }\n";
    insta::assert_snapshot!(findings(&[("evals/returns.toml", wrong)]));
    let judged = format!("{SUITE}[judge]\nmodel = \"smal\"\n");
    insta::assert_snapshot!(findings(&[("evals/returns.toml", &judged)]));
}

#[test]
fn production_is_scored_where_an_app_and_an_environment_are() {
    let online = |sample: &str, app: &str, environment: &str| {
        format!(
            "{SUITE}[online]\nsample = {sample}\napp = \"{app}\"\nenvironment = \"{environment}\"\n"
        )
    };
    let with_app = |suite: &str| {
        let app = "[slots]\nmodel = \"small\"\nprompt = \"p\"\n";
        [
            ("evals/returns.toml", suite.to_owned()),
            ("apps/support.toml", app.to_owned()),
            ("prompts/p.md", "Be kind.\n".to_owned()),
        ]
    };
    let good = with_app(&online("0.1", "support", "prod"));
    let good = good.each_ref().map(|(path, text)| (*path, text.as_str()));
    let (loaded, found) = Project::load(&project(&good));
    assert_eq!(found, []);
    let suite = loaded.unwrap().suites.into_values().next().unwrap();
    assert_eq!(suite.online.unwrap().sample, 0.1);
    let wrong = with_app(&online("0.1", "suport", "moon"));
    let wrong = wrong.each_ref().map(|(path, text)| (*path, text.as_str()));
    let share = with_app(&online("1.5", "support", "prod"));
    let share = share.each_ref().map(|(path, text)| (*path, text.as_str()));
    insta::assert_snapshot!(format!("{}\n{}", findings(&wrong), findings(&share)));
}
