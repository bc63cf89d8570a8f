//! Workflows over the product's own tasks, through crashes.

use e2e::Stage;
use serde_json::Value;

const QUESTION: &str = "How many days do I have to return a helmet?";

fn ask(stage: &Stage) -> String {
    let answer = stage.json(&["ask", "support", QUESTION]).unwrap();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn define(stage: &Stage) {
    let file = "workflows/fresh-handbook.asl.json";
    stage.groundcrew(&["workflow", "validate", file]).unwrap();
    stage.groundcrew(&["workflow", "define", "fresh-handbook", file]).unwrap();
}

/// Waits until an execution is over.
fn ended(stage: &Stage, execution: &str) -> Value {
    loop {
        let shown = stage.json(&["workflow", "show", execution]).unwrap();
        if shown["status"] != "RUNNING" {
            return shown;
        }
    }
}

#[test]
fn fresh_knowledge_reaches_production_though_the_server_is_killed_on_the_way() {
    let mut stage = Stage::support_desk().unwrap();
    define(&stage);
    let before = ask(&stage);
    let (from, to) =
        ("variations/knowledge/returns-update.md", "handbook/returns/return-policy.md");
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    let start = ["workflow", "start", "fresh-handbook", "--name", "one"];
    let input = ["--input", r#"{"soak_seconds": 1}"#];
    let started = stage.json(&[&start[..], &input].concat()).unwrap();
    assert_eq!(started["status"], "RUNNING");
    for _ in 0..3 {
        stage.kill().unwrap();
        stage.start().unwrap();
    }
    let shown = ended(&stage, "fresh-handbook/one");
    assert_eq!(shown["status"], "SUCCEEDED", "{shown:#}");
    assert_ne!(ask(&stage), before);
    let history = shown["history"].as_array().unwrap();
    for (position, event) in history.iter().enumerate() {
        assert_eq!(event["id"], position as u64 + 1);
    }
    // The promotion was made once, and in the name of whoever started the execution.
    let log = stage.json(&["release", "history", "support", "--env", "prod"]).unwrap();
    let moves = log["log"].as_array().unwrap();
    assert_eq!(moves.len(), 2, "{log:#}");
    assert_eq!(moves[1]["actor"], "user:admin");

    let again = [&["workflow", "start", "fresh-handbook", "--wait"][..], &input].concat();
    let nothing = stage.json(&again).unwrap();
    assert_eq!(nothing["output"]["refreshed"]["unchanged"], true, "{nothing:#}");
}

#[test]
fn an_execution_is_stopped_by_name_and_a_failed_one_redriven() {
    let stage = Stage::support_desk().unwrap();
    define(&stage);
    let start = ["workflow", "start", "fresh-handbook", "--name"];
    // Without `soak_seconds` a changed handbook fails the execution where it is needed.
    let (from, to) =
        ("variations/knowledge/returns-update.md", "handbook/returns/return-policy.md");
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    stage.groundcrew(&[&start[..], &["two"]].concat()).unwrap();
    let failed = ended(&stage, "fresh-handbook/two");
    assert_eq!(failed["error"], "States.Runtime");
    assert!(failed["cause"].as_str().unwrap().contains("$.soak_seconds"), "{failed:#}");
    stage.groundcrew(&["workflow", "redrive", "fresh-handbook/two"]).unwrap();
    let again = ended(&stage, "fresh-handbook/two");
    let redriven = |event: &Value| event["type"] == "ExecutionRedriven";
    assert!(again["history"].as_array().unwrap().iter().any(redriven));
    let refused = stage.groundcrew(&["workflow", "stop", "fresh-handbook/two"]).unwrap_err();
    assert!(refused.to_string().contains("is FAILED"), "{refused}");
    let unknown = stage.groundcrew(&["workflow", "show", "fresh-handbook/none"]).unwrap_err();
    assert!(unknown.to_string().contains("GC0404"), "{unknown}");
    stage.write("wrong.json", r#"{"StartAt": "A", "States": {"A": {"Type": "Pass"}}}"#).unwrap();
    let wrong = stage.groundcrew(&["workflow", "define", "wrong", "wrong.json"]).unwrap_err();
    assert!(wrong.to_string().contains("One of [Next, End] is required"), "{wrong}");
}

#[test]
fn boto3_drives_workflows_with_a_signed_key_until_it_is_revoked() {
    let mut stage = Stage::empty().unwrap();
    let server = "listen = \"127.0.0.1:0\"\n\n[buckets.lists]\npath = \"lists\"\n";
    stage.write("server.toml", server).unwrap();
    stage.write("lists/in.csv", "n\n1\n2\n3\n").unwrap();
    stage.start().unwrap();
    let made = stage.json(&["key", "create", "user:admin", "--aws"]).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    stage.script("stepfunctions.py", &[id, secret]).unwrap();
    stage.script("stepfunctions_machines.py", &[id, secret]).unwrap();
    stage.groundcrew(&["key", "revoke", id]).unwrap();
    let error = stage.script("stepfunctions.py", &[id, secret]).unwrap_err().to_string();
    assert!(error.contains("UnrecognizedClientException"), "{error}");
}

#[test]
fn what_an_execution_waits_for_ends_it_though_the_server_is_killed_on_the_way() {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    stage.start().unwrap();
    let child = r#"{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 2,
        "Next": "Give"}, "Give": {"Type": "Pass", "Result": {"n": 1}, "End": true}}}"#;
    let parent = r#"{"StartAt": "Start", "States": {"Start": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": "arn:aws:states:local:000000000000:stateMachine:child"},
        "OutputPath": "$.Output"}}}"#;
    for (name, text) in [("child", child), ("parent", parent)] {
        let file = format!("{name}.asl.json");
        stage.write(&file, text).unwrap();
        stage.groundcrew(&["workflow", "define", name, &file]).unwrap();
    }
    stage.groundcrew(&["workflow", "start", "parent", "--name", "one"]).unwrap();
    for _ in 0..3 {
        stage.kill().unwrap();
        stage.start().unwrap();
    }
    let shown = ended(&stage, "parent/one");
    assert_eq!(shown["output"], serde_json::json!({"n": 1}), "{shown:#}");
    let children = stage.json(&["workflow", "list", "child"]).unwrap();
    assert_eq!(children.as_array().unwrap().len(), 1, "{children:#}");
    assert_eq!(children[0]["parent"], "parent/one");
}

#[test]
fn an_alias_moves_from_version_to_version_and_express_answers_at_once() {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    stage.start().unwrap();
    let giving = |stage: &Stage, result: &str| {
        let text = format!(
            r#"{{"StartAt": "Give", "States": {{"Give": {{"Type": "Pass", "Result": "{result}",
                "End": true}}}}}}"#
        );
        stage.write("give.asl.json", &text).unwrap();
    };
    let publish = ["workflow", "define", "give", "give.asl.json", "--publish", "--description"];
    for (version, result) in [(1, "old"), (2, "new")] {
        giving(&stage, result);
        let told = stage.groundcrew(&[&publish[..], &[result]].concat()).unwrap();
        assert!(told.contains(&format!("is defined as version {version}")), "{told}");
    }
    stage.groundcrew(&["workflow", "alias", "give", "PROD", "1"]).unwrap();
    let start = ["workflow", "start", "give:PROD", "--wait"];
    let old = stage.json(&start).unwrap();
    assert_eq!((&old["output"], &old["version"]), (&"old".into(), &1.into()), "{old:#}");
    let busy = stage.groundcrew(&["workflow", "unpublish", "give", "1"]).unwrap_err().to_string();
    assert!(busy.contains("the alias `PROD` leads to version 1"), "{busy}");
    let wrong = ["workflow", "alias", "give", "PROD", "1=50", "2=49"];
    let wrong = stage.groundcrew(&wrong).unwrap_err().to_string();
    assert!(wrong.contains("the weights sum to 99"), "{wrong}");
    let moved = stage.groundcrew(&["workflow", "alias", "give", "PROD", "2=100", "1=0"]).unwrap();
    assert!(moved.contains("version 2 (100 %), version 1 (0 %)"), "{moved}");
    assert_eq!(stage.json(&start).unwrap()["output"], "new");
    let versions = stage.groundcrew(&["workflow", "versions", "give"]).unwrap();
    assert!(versions.contains("old") && versions.contains("new"), "{versions}");
    stage.groundcrew(&["workflow", "unalias", "give", "PROD"]).unwrap();
    stage.groundcrew(&["workflow", "unpublish", "give", "1"]).unwrap();
    let gone = stage.groundcrew(&["workflow", "start", "give:1"]).unwrap_err().to_string();
    assert!(gone.contains("there is no workflow `give:1`"), "{gone}");

    let express = ["workflow", "define", "quick", "give.asl.json", "--type", "express"];
    stage.groundcrew(&express).unwrap();
    let quick = stage.json(&["workflow", "start", "quick", "--name", "one", "--wait"]).unwrap();
    assert_eq!((&quick["status"], &quick["output"]), (&"SUCCEEDED".into(), &"new".into()));
    stage.groundcrew(&["workflow", "show", "quick/one"]).unwrap_err();
}

#[test]
fn somebody_else_than_who_asked_lets_a_release_into_production() {
    let stage = Stage::support_desk().unwrap();
    let file = "workflows/approved-handbook.asl.json";
    stage.groundcrew(&["workflow", "define", "approved", file]).unwrap();
    let portable = ["workflow", "lint", "--portable", file];
    let lint = stage.groundcrew(&portable).unwrap_err().to_string();
    assert!(lint.contains("as they are"), "{lint}");
    let as_user = |name: &str, role: &str| {
        let principal = format!("user:{name}");
        stage.groundcrew(&["user", "create", &principal, "--role", role]).unwrap();
        let made = stage.json(&["key", "create", &principal]).unwrap();
        made["key"].as_str().unwrap().to_owned()
    };
    let (bob, vera) = (as_user("bob", "engineer"), as_user("vera", "viewer"));
    let before = ask(&stage);
    let (from, to) =
        ("variations/knowledge/returns-update.md", "handbook/returns/return-policy.md");
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    stage.groundcrew(&["workflow", "start", "approved", "--name", "one"]).unwrap();
    let waiting = loop {
        let waiting = stage.json(&["workflow", "approvals"]).unwrap();
        if waiting[0].is_object() {
            break waiting;
        }
    };
    assert_eq!(waiting[0]["requester"], "user:admin", "{waiting:#}");
    let approve = ["workflow", "approve", "approved/one", "-m", "read it"];
    let own = stage.groundcrew(&approve).unwrap_err().to_string();
    assert!(own.contains("asked for it and may not decide it"), "{own}");
    let viewer = stage.groundcrew_as(&vera, &approve).unwrap_err().to_string();
    assert!(viewer.contains("is not among role:engineer, role:operator"), "{viewer}");
    assert_eq!(ask(&stage), before);
    stage.groundcrew_as(&bob, &approve).unwrap();
    let shown = ended(&stage, "approved/one");
    assert_eq!(shown["status"], "SUCCEEDED", "{shown:#}");
    assert_ne!(ask(&stage), before);
    let twice = stage.groundcrew_as(&bob, &approve).unwrap_err().to_string();
    assert!(twice.contains("waits for an approval"), "{twice}");
}

#[test]
fn a_schedule_starts_an_execution_and_what_it_cannot_start_is_kept() {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    stage.start().unwrap();
    let example = e2e::repository()
        .join("examples/support-desk/workflows/fresh-handbook.schedule.toml")
        .display()
        .to_string();
    let made = stage.json(&["workflow", "schedule", "weekdays", &example]).unwrap();
    let now: jiff::Timestamp = made["last"].as_str().unwrap().parse().unwrap();
    let soon = now + jiff::SignedDuration::from_secs(2);
    let soon = soon.strftime("%Y-%m-%dT%H:%M:%S");
    let file = format!("workflow = \"hello\"\n[when]\nexpression = \"at({soon})\"\n");
    stage.write("once.schedule.toml", &file).unwrap();
    stage.groundcrew(&["workflow", "schedule", "once", "once.schedule.toml"]).unwrap();
    let letter = loop {
        let letters = stage.json(&["workflow", "dead-letters"]).unwrap();
        if let Some(id) = letters[0]["id"].as_str() {
            break id.to_owned();
        }
    };
    let text = r#"{"StartAt": "Hello", "States": {"Hello": {"Type": "Succeed"}}}"#;
    stage.write("hello.asl.json", text).unwrap();
    stage.groundcrew(&["workflow", "define", "hello", "hello.asl.json"]).unwrap();
    let delivered = stage.json(&["workflow", "deliver", &letter]).unwrap();
    assert_eq!(delivered["status"], "SUCCEEDED", "{delivered:#}");
    assert_eq!(stage.json(&["workflow", "dead-letters"]).unwrap(), serde_json::json!([]));
    stage.groundcrew(&["workflow", "unschedule", "once"]).unwrap();
    let left = stage.groundcrew(&["workflow", "schedules"]).unwrap();
    assert!(left.contains("weekdays") && !left.contains("once"), "{left}");
    stage.write("bad.schedule.toml", "workflow = \"hello\"\nwhen = 7\n").unwrap();
    let bad = ["workflow", "schedule", "bad", "bad.schedule.toml"];
    let error = stage.groundcrew(&bad).unwrap_err().to_string();
    assert!(error.contains("bad.schedule.toml:2:8"), "{error}");
}

#[test]
fn an_event_that_is_posted_starts_what_the_rule_says() {
    // The rule, and the workflow that it starts, were applied with the project.
    let stage = Stage::support_desk().unwrap();
    let emit = ["workflow", "emit", "handbook.editor"];
    stage.groundcrew(&[&emit[..], &["drafted"]].concat()).unwrap();
    stage
        .groundcrew(&[&emit[..], &["published", "--detail", "{\"page\": \"returns\"}"]].concat())
        .unwrap();
    let started = loop {
        let all = stage.json(&["workflow", "list", "fresh-handbook"]).unwrap();
        if let Some(one) = all[0]["execution"].as_str() {
            assert_eq!(all.as_array().unwrap().len(), 1, "{all:#}");
            break one.to_owned();
        }
    };
    let watched = stage.groundcrew(&["workflow", "watch", &started]).unwrap();
    assert!(watched.contains("SucceedStateEntered Nothing to do"), "{watched}");
    assert!(watched.contains("status: SUCCEEDED"), "{watched}");
    stage.groundcrew(&["workflow", "unrule", "handbook-published"]).unwrap();
    let own = stage.groundcrew(&["workflow", "emit", "groundcrew", "x"]).unwrap_err().to_string();
    assert!(own.contains("a `source` of its own"), "{own}");
}

#[test]
fn workflows_schedules_and_rules_are_applied_and_pruned_with_their_project() {
    let stage = Stage::support_desk().unwrap();
    let names = |rows: &Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let list = ["workflow", "list"];
    let own = ["groundcrew.knowledge.refresh", "groundcrew.release.promote"];
    let found = names(&stage.json(&list).unwrap());
    for name in ["approved-handbook", "fresh-handbook", own[0], own[1]] {
        assert!(found.iter().any(|one| one == name), "{found:?} has no {name}");
    }
    assert_eq!(stage.json(&["apply"]).unwrap()["defined"], serde_json::json!([]));

    let bad = r#"{"StartAt": "A",
  "States": {"A": {"Type": "Pass"}}}"#;
    stage.write("workflows/bad.asl.json", bad).unwrap();
    let when = "workflow = \"fresh-handbok\"\n[when]\nexpression = \"rate(0 hours)\"\n";
    stage.write("workflows/bad.schedule.toml", when).unwrap();
    let error = stage.groundcrew(&["apply"]).unwrap_err().to_string();
    for told in [
        "workflows/bad.asl.json:2:14: error[GC0111]: One of [Next, End] is required",
        "workflows/bad.schedule.toml:1:12: error[GC0108]: there is no `workflows/fresh-handbok.asl.json`",
        "did you mean `fresh-handbook`?",
        "workflows/bad.schedule.toml:3:14: error[GC0105]",
    ] {
        assert!(error.contains(told), "{error}");
    }
    for gone in ["bad.asl.json", "bad.schedule.toml", "fresh-handbook.schedule.toml"] {
        std::fs::remove_file(stage.path().join("workflows").join(gone)).unwrap();
    }
    let kept = stage.json(&["apply"]).unwrap()["kept"].to_string();
    assert!(kept.contains("schedule fresh-handbook: not in the files"), "{kept}");
    let pruned = stage.json(&["apply", "--prune"]).unwrap();
    assert_eq!(pruned["removed"], serde_json::json!(["schedule fresh-handbook"]));
    let left = names(&stage.json(&["workflow", "schedules"]).unwrap());
    assert!(!left.contains(&"fresh-handbook".to_owned()), "{left:?}");

    let other = stage.path().join("other");
    std::fs::create_dir_all(other.join("workflows")).unwrap();
    std::fs::write(other.join("groundcrew.toml"), "name = \"other\"\n").unwrap();
    let from = stage.path().join("workflows/fresh-handbook.asl.json");
    std::fs::copy(from, other.join("workflows/fresh-handbook.asl.json")).unwrap();
    let taken = stage.groundcrew(&["apply", "other"]).unwrap_err().to_string();
    assert!(taken.contains("workflow fresh-handbook belongs to project `support-desk`"), "{taken}");
}

#[test]
fn a_long_command_is_an_execution_and_still_the_deed_of_who_gave_it() {
    let stage = Stage::support_desk().unwrap();
    let refresh = ["knowledge", "refresh", "handbook"];
    let begun = stage.groundcrew(&[&refresh[..], &["--no-wait"]].concat()).unwrap();
    let watched = stage.groundcrew(&["workflow", "watch", begun.trim()]).unwrap();
    assert!(watched.contains("TaskStateEntered knowledge.refresh"), "{watched}");
    assert!(watched.contains("status: SUCCEEDED"), "{watched}");
    let proposed = stage.json(&["release", "propose", "support"]).unwrap();
    assert_eq!(proposed["outcome"], "unchanged");
    let first = proposed["release"].as_str().unwrap().to_owned();

    let (from, to) = ("variations/prompt/support.md", "prompts/support.md");
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    let promote = ["release", "promote", "support", "--env", "prod"];
    let moved = stage.json(&promote).unwrap();
    assert_eq!((&moved["move"]["from"], &moved["actor"]), (&first.into(), &"user:admin".into()));
    stage.groundcrew(&["release", "rollback", "support", "--env", "prod"]).unwrap();
    // A workflow does not promote what is held, whoever starts it; a person who asks for it does.
    let input = r#"{"app": "support", "environment": "prod"}"#;
    let start = ["workflow", "start", "groundcrew.release.promote", "--wait", "--input", input];
    let held = stage.groundcrew(&start).unwrap_err().to_string();
    assert!(held.contains("is FAILED"), "{held}");
    let all = stage.groundcrew(&["workflow", "list", "groundcrew.release.promote"]).unwrap();
    assert!(all.contains("FAILED") && all.contains("SUCCEEDED"), "{all}");
    assert_eq!(stage.json(&promote).unwrap()["move"]["to"], moved["move"]["to"]);

    for (wrong, code) in [
        (&["release", "promote", "support", "999", "--env", "prod"][..], "[GC0404]"),
        (&["release", "promote", "nobody", "--env", "prod"], "[GC0404]"),
        (&["release", "propose", "nobody"], "[GC0404]"),
        (&["knowledge", "refresh", "nothing"], "there is no knowledge base `nothing` [GC0404]"),
    ] {
        let error = stage.groundcrew(wrong).unwrap_err().to_string();
        assert!(error.contains(code), "{wrong:?}: {error}");
    }
    std::fs::remove_dir_all(stage.path().join("handbook")).unwrap();
    let error = stage.groundcrew(&refresh).unwrap_err().to_string();
    assert!(error.contains("[GC0305]"), "{error}");
    assert!(error.contains("hint: the snapshot before keeps serving"), "{error}");
    let own = ["workflow", "define", "groundcrew.mine", "workflows/fresh-handbook.asl.json"];
    let error = stage.groundcrew(&own).unwrap_err().to_string();
    assert!(error.contains("is Groundcrew's own"), "{error}");
}
