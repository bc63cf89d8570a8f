//! Backups of the running product: proved by drills, restored on an empty machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::Stage;
use serde_json::{Value, json};

const PLACES: &str = "[buckets.backups]\npath = \"elsewhere/first\"\ntenants = []\n\
    [buckets.second]\npath = \"elsewhere/second\"\ntenants = []\n\
    [backup]\nbucket = \"backups\"\nreplica = \"second\"\n";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Loses a data directory, all but the installation's key.
fn empty_but_for(data: &Path, key: &[u8]) {
    if data.exists() {
        fs::remove_dir_all(data).unwrap();
    }
    fs::create_dir(data).unwrap();
    fs::write(data.join("installation.key"), key).unwrap();
}

fn search(stage: &Stage) -> Value {
    let question = "How many days do I have to return a helmet?";
    stage.json(&["knowledge", "search", "handbook", question]).unwrap()
}

#[test]
fn a_drill_passes_on_a_whole_backup_and_names_the_blob_of_which_a_byte_is_flipped() {
    let stage = Stage::support_desk_with(PLACES).unwrap();
    let taken = stage.json(&["backup", "take"]).unwrap();
    assert_eq!(taken["moved"]["copied"], taken["replicated"]["copied"]);
    let drilled = stage.json(&["backup", "drill"]).unwrap();
    assert_eq!(drilled["faults"], json!([]));
    assert_eq!(drilled["backup"], taken["backup"]);
    // Dev and prod have the same release.
    assert_eq!((&drilled["snapshots"], &drilled["releases"]), (&json!(1), &json!(2)));
    assert!(drilled["queries"].as_u64().unwrap() >= 20, "{drilled}");
    assert!(drilled["rto_seconds"].as_f64().unwrap() > 0.0, "{drilled}");
    assert!(drilled["rpo_seconds"].as_f64().unwrap() > 0.0, "{drilled}");
    assert!(!stage.path().join(".groundcrew/drill").exists(), "scratch is left");

    // The largest blob there is the segment; the original stays as it is.
    let blobs = files(&stage.path().join("elsewhere/first/default"));
    let segment = blobs.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(segment, bytes).unwrap();
    let failed = stage.groundcrew(&["backup", "drill"]).unwrap_err().to_string();
    let name = segment.file_name().unwrap().to_string_lossy();
    assert!(failed.contains(&*name), "{failed}");
    // The copy at the second place is whole.
    let replica = stage.json(&["backup", "drill", "--replica"]).unwrap();
    assert_eq!((&replica["bucket"], &replica["faults"]), (&json!("second"), &json!([])));
    // Something is erased, there and here: what is left is compared.
    let erase = ["knowledge", "erase", "handbook", "loyalty/gift-cards.md", "--reason", "a test"];
    stage.groundcrew(&erase).unwrap();
    let redacted = stage.json(&["backup", "drill", "--replica"]).unwrap();
    assert_eq!(redacted["faults"], json!([]));
    assert!(redacted["queries"].as_u64().unwrap() >= 20, "{redacted}");
    let drills = stage.json(&["backup", "list"]).unwrap();
    let verdicts = drills["drills"].as_array().unwrap().iter();
    let passed: Vec<_> = verdicts.map(|drill| drill["faults"] == json!([])).collect();
    assert_eq!(passed, [true, true, false, true]);
}

#[test]
fn an_installation_that_was_lost_is_restored_and_finds_and_serves_the_same() {
    let mut stage = Stage::support_desk_with(PLACES).unwrap();
    let found = search(&stage);
    let first = stage.json(&["backup", "take"]).unwrap();
    fs::write(stage.path().join("handbook/new.md"), "# New\n\nHelmets may be returned.\n").unwrap();
    stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    assert_ne!(search(&stage), found);
    // What the second copies is what the refresh made.
    std::thread::sleep(Duration::from_secs(1));
    let second = stage.json(&["backup", "take"]).unwrap();
    let copied = |taken: &Value| taken["moved"]["copied"].as_u64().unwrap();
    assert!(copied(&second) < copied(&first), "{first} {second}");
    let newest = search(&stage);
    stage.stop().unwrap();

    let data = stage.path().join(".groundcrew");
    let key = fs::read(data.join("installation.key")).unwrap();
    fs::remove_dir_all(&data).unwrap();
    let keyless = stage.groundcrew(&["backup", "restore"]).unwrap_err().to_string();
    assert!(keyless.contains("installation.key is missing"), "{keyless}");
    empty_but_for(&data, &key);
    stage.groundcrew(&["backup", "restore"]).unwrap();
    let again = stage.groundcrew(&["backup", "restore"]).unwrap_err().to_string();
    assert!(again.contains("empty database"), "{again}");
    stage.start().unwrap();
    assert_eq!(search(&stage), newest);
    let answer = stage.json(&["ask", "support", "Can a helmet be returned?"]).unwrap();
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().len() > 10, "{answer}");
    stage.stop().unwrap();

    // The state of the first backup, from the copy.
    empty_but_for(&data, &key);
    let at = first["taken_at"].as_str().unwrap();
    stage.groundcrew(&["backup", "restore", "--at", at, "--replica"]).unwrap();
    stage.start().unwrap();
    assert_eq!(search(&stage), found);
}

#[test]
fn a_restore_that_is_killed_is_begun_anew_and_no_server_starts_on_half_of_it() {
    let mut stage = Stage::support_desk_with(PLACES).unwrap();
    let found = search(&stage);
    stage.groundcrew(&["backup", "take"]).unwrap();
    stage.stop().unwrap();
    let data = stage.path().join(".groundcrew");
    let key = fs::read(data.join("installation.key")).unwrap();
    let mut cut = 0;
    for milliseconds in (0..400).step_by(40) {
        empty_but_for(&data, &key);
        let mut restore = stage.spawn(&["backup", "restore"]).unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        restore.kill().unwrap();
        if restore.wait().unwrap().success() {
            break;
        }
        cut += 1;
        stage.groundcrew(&["backup", "restore"]).or_else(complete).unwrap();
    }
    assert!(cut > 0, "it was never in time");
    stage.start().unwrap();
    assert_eq!(search(&stage), found);
}

/// A restore that was killed after its last step is complete.
fn complete(error: anyhow::Error) -> anyhow::Result<String> {
    match error.to_string() {
        said if said.contains("empty database") => Ok(said),
        _ => Err(error),
    }
}

#[test]
fn backups_are_for_whoever_runs_the_installation_and_go_where_nobody_else_can_look() {
    let mut stage = Stage::support_desk_with(PLACES).unwrap();
    stage.groundcrew(&["tenant", "create", "acme"]).unwrap();
    let own = ["user", "create", "user:ann", "--role", "admin"];
    stage.groundcrew(&own).unwrap();
    let key = stage.json(&["key", "create", "user:ann"]).unwrap();
    let key = key["key"].as_str().unwrap();
    let refused = stage.groundcrew_as(key, &["backup", "list"]).unwrap_err().to_string();
    assert!(refused.contains("ManageBackups"), "{refused}");
    let elsewhere = ["--tenant", "acme", "backup", "take"];
    let refused = stage.groundcrew(&elsewhere).unwrap_err().to_string();
    assert!(refused.contains("installation's"), "{refused}");
    stage.stop().unwrap();
    let wrong = [
        ("path = \"elsewhere\"\n", "open to tenants"),
        ("path = \".groundcrew/backups\"\ntenants = []\n", "lies in the data directory"),
        (
            "path = \"elsewhere\"\nbucket = \"both\"\ntenants = []\n",
            "either a `path` or a `bucket`",
        ),
    ];
    for (bucket, why) in wrong {
        let base = "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n";
        let place = format!("{base}[buckets.b]\n{bucket}[backup]\nbucket = \"b\"\n");
        stage.write("server.toml", &place).unwrap();
        let refused = stage.groundcrew(&["up"]).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    stage.start().unwrap();
    let none = stage.groundcrew(&["backup", "take"]).unwrap_err().to_string();
    assert!(none.contains("name a bucket"), "{none}");
}
