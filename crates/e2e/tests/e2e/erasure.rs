//! Erasure in the running product: through a `kill -9`, in old releases, and in backups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::Stage;
use serde_json::Value;

const PLACES: &str = "[buckets.backups]\npath = \"elsewhere/first\"\ntenants = []\n\
    [buckets.second]\npath = \"elsewhere/second\"\ntenants = []\n\
    [backup]\nbucket = \"backups\"\nreplica = \"second\"\n";
const LETTER: &str = "# Canary vouchers\n\nCanary vouchers are paid out in sunflowers.\n";
const QUESTION: &str = "How are canary vouchers paid out?";

fn files_with(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, word));
        } else if fs::read(&path).unwrap().windows(word.len()).any(|it| it == word.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn answer(stage: &Stage) -> (String, Value) {
    let answer = stage.json(&["ask", "support", QUESTION]).unwrap();
    (answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned(), answer)
}

fn finds_it(stage: &Stage) -> bool {
    let found = stage.json(&["knowledge", "search", "handbook", QUESTION]).unwrap();
    found.to_string().contains("sunflowers")
}

/// Waits until the erasure is completed.
fn completed(stage: &Stage) -> Value {
    let begun = Instant::now();
    loop {
        let erasures = stage.json(&["knowledge", "erasures", "handbook"]).unwrap();
        if !erasures[0]["done_at"].is_null() {
            return erasures[0].clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{erasures}");
    }
}

#[test]
fn what_is_erased_is_gone_from_answers_old_releases_data_and_backups_through_a_kill() {
    let mut stage = Stage::support_desk_with(PLACES).unwrap();
    fs::write(stage.path().join("handbook/letter.md"), LETTER).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    stage.groundcrew(&["release", "promote", "support", "--env", "prod"]).unwrap();
    let (text, said) = answer(&stage);
    assert!(text.contains("sunflowers"), "{text}");
    let backup = stage.json(&["backup", "take"]).unwrap();

    let erase = ["knowledge", "erase", "handbook", "letter.md", "--reason", "it was asked for"];
    let told = stage.json(&[&erase[..4], &["--dry-run"]].concat()).unwrap();
    assert_eq!(told["backups"][0], backup["backup"], "{told}");
    assert!(!told["releases"].as_array().unwrap().is_empty(), "{told}");
    assert!(answer(&stage).0.contains("sunflowers"), "nothing was erased");
    stage.json(&[&erase[..], &["--no-wait"]].concat()).unwrap();
    // The release that serves is the one that pins it still.
    let (text, again) = answer(&stage);
    assert_eq!(again["release"], said["release"]);
    assert!(!text.contains("sunflowers"), "{text}");
    assert!(!finds_it(&stage));
    stage.kill().unwrap();
    stage.start().unwrap();
    completed(&stage);

    assert!(!answer(&stage).0.contains("sunflowers"));
    let trace = stage.json(&["trace", "show", said["trace"].as_str().unwrap()]).unwrap();
    assert_eq!(trace["redacted"], true);
    assert_eq!(trace["output"]["json"], "[redacted]");
    let release = said["release"].as_str().unwrap();
    let shown = stage.groundcrew(&["release", "show", "support", release]).unwrap();
    assert!(shown.contains("redacted: letter.md"), "{shown}");
    for place in [".groundcrew/blobs", "elsewhere"] {
        assert_eq!(files_with(&stage.path().join(place), "sunflowers"), Vec::<PathBuf>::new());
    }
    // Its source still has it, and is not asked.
    let refreshed = stage.json(&["knowledge", "refresh", "handbook"]).unwrap();
    assert_eq!(refreshed["unchanged"], true, "{refreshed}");
    stage.stop().unwrap();

    let data = stage.path().join(".groundcrew");
    let key = fs::read(data.join("installation.key")).unwrap();
    for replica in [&[][..], &["--replica"]] {
        fs::remove_dir_all(&data).unwrap();
        fs::create_dir(&data).unwrap();
        fs::write(data.join("installation.key"), &key).unwrap();
        let restore = ["backup", "restore", backup["backup"].as_str().unwrap()];
        stage.groundcrew(&[&restore, replica].concat()).unwrap();
        stage.start().unwrap();
        assert!(!finds_it(&stage) && !answer(&stage).0.contains("sunflowers"));
        completed(&stage);
        stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
        assert!(!finds_it(&stage));
        stage.stop().unwrap();
    }
    // A person may want it back.
    stage.start().unwrap();
    stage.groundcrew(&["knowledge", "admit", "handbook", "letter.md"]).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    assert!(finds_it(&stage));
}
