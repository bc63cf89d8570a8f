//! What is kept and what goes, and `kill -9` while knowledge changes.

use std::time::{Duration, Instant};

use e2e::Stage;
use serde_json::Value;

const SEARCH: [&str; 6] = ["knowledge", "search", "handbook", "velvet pannier", "--limit", "20"];
/// How often the server is killed in each kind of work.
const KILLS: u32 = 8;

fn batches(stage: &Stage) -> Vec<Value> {
    let batches = stage.json(&["knowledge", "batches", "handbook"]).unwrap();
    batches.as_array().unwrap().clone()
}

fn newest(stage: &Stage) -> String {
    let status = stage.json(&["knowledge", "status"]).unwrap();
    status[0]["snapshot"].as_str().unwrap().to_owned()
}

/// How often a document about velvet panniers is found, and that the newest snapshot opens at all.
fn found(stage: &Stage) -> usize {
    let found = stage.json(&SEARCH).unwrap();
    let hits = found["passages"].as_array().unwrap();
    hits.iter().filter(|hit| hit["text"].as_str().unwrap().contains("velvet pannier")).count()
}

/// Does something until nobody else does it at the same time: after a kill the server itself takes up
/// what was under way.
fn done(stage: &Stage, args: &[&str]) {
    let until = Instant::now() + Duration::from_secs(60);
    while let Err(error) = stage.groundcrew(args) {
        assert!(Instant::now() < until, "{error:#}");
    }
}

#[test]
fn a_compacted_base_answers_alike_and_storage_says_what_is_kept_and_why() {
    let stage = Stage::support_desk().unwrap();
    for number in 0..3 {
        let text = format!("# Velvet {number}\n\nThe velvet pannier number {number} is blue.\n");
        stage.write(&format!("handbook/products/velvet-{}.md", number % 2), &text).unwrap();
        stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    }
    let before = newest(&stage);
    let dry = stage.groundcrew(&["knowledge", "compact", "handbook", "--dry-run"]).unwrap();
    assert!(dry.contains("3 segments") && dry.contains("→ 1 segments"), "{dry}");
    assert!(dry.contains("nothing was done"), "{dry}");
    assert_eq!((newest(&stage), batches(&stage).len()), (before.clone(), 4));
    let compacted = stage.json(&["knowledge", "compact", "handbook"]).unwrap();
    assert_eq!(compacted["batch"]["accepted"], true, "{compacted}");
    assert!(newest(&stage) != before && found(&stage) == 2);
    assert_eq!(batches(&stage)[0]["cause"]["kind"], "compact");
    let again = stage.groundcrew(&["knowledge", "compact", "handbook"]).unwrap();
    assert_eq!(again.trim(), "handbook: there is nothing to gain");

    // Everything is young: a prune tells so and drops nothing.
    for args in [&["storage", "prune", "--dry-run"][..], &["storage", "prune"]] {
        let pruned = stage.json(args).unwrap();
        assert_eq!(pruned["dropped"]["releases"], Value::Array(Vec::new()), "{pruned}");
        assert_eq!(pruned["swept"]["deleted"]["blobs"], 0, "{pruned}");
        assert!(pruned["swept"]["pinned"]["blobs"].as_u64().unwrap() > 10, "{pruned}");
    }
    let why = stage.groundcrew(&["storage", "explain", &before]).unwrap();
    assert!(why.contains("the snapshot of batch 4 of handbook"), "{why}");
    let none = format!("sha256:{}", "0".repeat(64));
    let why = stage.groundcrew(&["storage", "explain", &none]).unwrap();
    assert!(why.contains("no such content") && why.contains("nothing names it"), "{why}");
    stage.groundcrew(&["storage", "hold", &before, "-m", "case 7"]).unwrap();
    let holds = stage.groundcrew(&["storage", "holds"]).unwrap();
    assert!(holds.contains(&before) && holds.contains("case 7"), "{holds}");
    let why = stage.groundcrew(&["storage", "explain", &before]).unwrap();
    assert!(why.contains("held by user:admin: case 7"), "{why}");
    let unknown = stage.groundcrew(&["storage", "hold", &none, "-m", "x"]).unwrap_err();
    assert!(unknown.to_string().contains("there is no content"), "{unknown}");
    stage.groundcrew(&["storage", "release", &before]).unwrap();
    assert_eq!(stage.groundcrew(&["storage", "holds"]).unwrap().trim(), "none");
}

/// Kills the server while it does `args`, at moments spread over the time that this takes; `change`
/// comes before each, and `whole` looks at what there is after it, and after it was done again.
fn killed_in(args: &[&str], change: impl Fn(&Stage, u32), whole: impl Fn(&Stage, u32, bool)) {
    let mut stage = Stage::support_desk().unwrap();
    change(&stage, 0);
    let begun = Instant::now();
    stage.groundcrew(args).unwrap();
    let takes = begun.elapsed();
    whole(&stage, 0, true);
    for kill in 1..=KILLS {
        change(&stage, kill);
        let mut working = stage.spawn(args).unwrap();
        let moment = Instant::now() + takes.mul_f64(f64::from(kill) / f64::from(KILLS));
        while Instant::now() < moment && working.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        stage.kill().unwrap();
        working.wait().unwrap();
        stage.start().unwrap();
        whole(&stage, kill, false);
        done(&stage, args);
        whole(&stage, kill, true);
    }
}

fn velvet(stage: &Stage, number: u32) {
    let text = format!("# Velvet {number}\n\nThe velvet pannier number {number} is blue.\n");
    stage.write(&format!("handbook/products/velvet-{number}.md"), &text).unwrap();
}

#[test]
fn a_refresh_that_is_killed_leaves_what_was_or_what_is_to_be_and_is_done_again() {
    let whole = |stage: &Stage, number: u32, done: bool| {
        let (found, before) = (found(stage), number as usize);
        assert!(found == before + 1 || (!done && found == before), "{found} of {before}");
        // Whatever is the newest is whole, and named by its batch. Meanwhile the server may land the
        // next one: it takes up what was killed.
        let newest = newest(stage);
        assert!(batches(stage).iter().any(|batch| batch["snapshot"] == *newest), "{newest}");
    };
    killed_in(&["knowledge", "refresh", "handbook"], velvet, whole);
}

#[test]
fn a_compaction_that_is_killed_leaves_what_was_or_what_is_to_be_and_is_done_again() {
    let change = |stage: &Stage, number: u32| {
        velvet(stage, number);
        done(stage, &["knowledge", "refresh", "handbook"]);
    };
    let whole = |stage: &Stage, number: u32, done: bool| {
        assert_eq!(found(stage), number as usize + 1);
        if done {
            let dry = stage.json(&["knowledge", "compact", "handbook", "--dry-run"]).unwrap();
            assert_eq!(dry["compaction"], Value::Null, "{dry}");
        }
    };
    killed_in(&["knowledge", "compact", "handbook"], change, whole);
}
