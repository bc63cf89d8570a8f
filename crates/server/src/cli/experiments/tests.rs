//! Files of results, and how the command ends.

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, ended};

const WORSE: &str = "name,units,failures\ncontrol,9000,90\nnew,9000,500\n";
const SAME: &str = "name,units,failures\ncontrol,900,90\nnew,900,92\n";

fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// What the command line says of a file: the report or the mistake, and how it ends.
fn told(name: &str, text: &str, flags: &[&str]) -> (String, u8) {
    let (folder, path) = file(name, text);
    let path = path.display().to_string();
    let line =
        ["groundcrew", "experiment", "analyze", &path].into_iter().chain(flags.iter().copied());
    let crate::cli::Command::Experiment(ExperimentCommand::Analyze(asked)) =
        Cli::try_parse_from(line).unwrap().command
    else {
        panic!("another command")
    };
    let report = match analyzed(&asked.file, &asked.settings) {
        Ok(report) => report,
        Err(error) => {
            let folder = folder.path().display().to_string();
            return (format!("{error:#}").replace(&format!("{folder}/"), ""), ended(&error));
        }
    };
    let code = match gate(&report) {
        Err(error) if asked.gate => ended(&error),
        _ => 0,
    };
    (report.to_string(), code)
}

#[test]
fn a_verdict_is_told_and_gates_if_asked_to() {
    let (report, code) = told("results.csv", WORSE, &[]);
    assert!(report.contains("verdict: harm"), "{report}");
    assert_eq!(code, 0, "any verdict is an answer");
    assert_eq!(told("results.csv", WORSE, &["--gate"]).1, 1);
    assert_eq!(told("results.csv", SAME, &["--gate"]).1, 3);
    assert_eq!(told("results.csv", SAME, &["--gate", "--margin", "0.2"]).1, 0, "flat");
    let uneven = ["--gate", "--share", "control=0.2", "--share", "new=0.8"];
    let (report, code) = told("results.csv", SAME, &uneven);
    assert!(report.contains("verdict: invalid"), "{report}");
    assert_eq!(code, 1);
}

#[test]
fn flags_go_before_what_the_file_says() {
    let json = r#"{"control": [1, 2, 3, 4], "treatment": [2, 3, 4, 5], "alpha": 0.1}"#;
    let flags = ["--metric", "seconds", "--direction", "lower_is_better", "--alpha", "0.2"];
    let (report, _) = told("results.json", json, &flags);
    let (first, _) = report.split_once('\n').unwrap();
    assert_eq!(first, "seconds: two samples, lower is better, alpha 0.2");
    assert!(told("results.json", json, &[]).0.contains("alpha 0.1"));
}

#[test]
fn mistakes_are_told_with_their_place_and_end_with_1() {
    let counts = "name,units,successes\na,10,11\nb,10,1\n";
    let all = [
        told("results.txt", "", &[]),
        told("results.csv", counts, &[]),
        told("results.json", "{\"arms\": 5}", &[]),
        told("results.csv", WORSE, &["--alpha", "0.7"]),
        told("results.csv", WORSE, &["--direction", "higher_is_better"]),
        told("results.csv", WORSE, &["--share", "old=1"]),
    ];
    assert!(all.iter().all(|(_, code)| *code == 1), "{all:?}");
    let all: Vec<_> = all.into_iter().map(|(told, _)| told).collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn a_flag_that_is_no_word_of_its_own_is_refused_by_the_command_line() {
    for flags in [["--direction", "up"], ["--scale", "log"], ["--share", "control"]] {
        let line = ["groundcrew", "experiment", "analyze", "f.csv"].into_iter().chain(flags);
        assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2);
    }
}
