//! A project is right as a whole, or every mistake in it is told.

use super::*;

fn files(entries: &[(&str, &str)]) -> Files {
    entries.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

const RIGHT: &[(&str, &str)] = &[
    ("groundcrew.toml", "name = \"desk\"\n"),
    ("apps/support.toml", "[slots]\nmodel = \"small\"\nprompt = \"support\"\nguardrails = \"g\"\n"),
    ("models/small.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
    ("prompts/support.md", "Be kind. {% include \"_rules\" %}\r\n"),
    ("prompts/_rules.md", "Cite.\n"),
    (
        "guardrails/g.toml",
        "[[rules]]\nname = \"w\"\nkind = \"words\"\naction = \"flag\"\nwords = [\"x\"]\n",
    ),
];

fn findings(changes: &[(&str, &str)]) -> String {
    let mut all = files(RIGHT);
    all.extend(files(changes));
    let (project, found) = Project::load(&all);
    assert!(project.is_none());
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_right_project_loads_with_every_slot_filled() {
    let (project, found) = Project::load(&files(RIGHT));
    assert_eq!(found, []);
    let project = project.unwrap();
    let app = &project.apps[&"support".parse().unwrap()];
    let slots: Vec<_> = app.filled.keys().map(SlotName::as_str).collect();
    assert_eq!(slots, ["config", "guardrails", "model", "prompt"]);
    let prompt = project.artifacts.iter().find(|a| a.artifact.kind == ArtifactKind::Prompt);
    assert_eq!(prompt.unwrap().bytes, b"Be kind. Cite.\n");
}

#[test]
fn line_ends_and_byte_order_marks_change_no_digest() {
    let digests = |text: &str| {
        let mut all = files(RIGHT);
        all.extend(files(&[("prompts/support.md", text)]));
        Project::load(&all).0.unwrap().artifacts
    };
    assert_eq!(digests("One.\nTwo.\n"), digests("\u{feff}One.\r\nTwo.\r\n"));
}

#[test]
fn mistakes_in_several_files_are_told_together() {
    insta::assert_snapshot!(findings(&[
        ("groundcrew.toml", "name = \"Desk\"\nenvironmnets = []\n"),
        (
            "apps/support.toml",
            "[slots]\nmodel = \"smal\"\nprompt = \"support\"\nknowledge = \"books\"\n[config]\ntop_k = \"five\"\noverridable = [\"temprature\"]\n"
        ),
        (
            "apps/sales.toml",
            "[slots]\nmodel = \"smal\"\nprompt = \"support\"\nknowledge = \"books\"\n"
        ),
        (
            "models/small.toml",
            "provider = \"extractive\"\nmodel = \"extractive-1\"\n[parameters]\ntemperature = 9\n"
        ),
        (
            "guardrails/g.toml",
            "[[rules]]\nname = \"w\"\nkind = \"regex\"\naction = \"flag\"\npattern = \"(\"\n"
        ),
        ("knowledge/handbook.toml", "[[sources]]\nkind = \"directory\"\ndirektory = \"docs\"\n"),
    ]));
}

#[test]
fn golden_queries_are_read_with_the_knowledge_base_that_names_them() {
    let base = "[[sources]]\nkind = \"directory\"\ndirectory = \"docs\"\n[quality]\ngolden = ";
    let named = |file: &str| format!("{base}\"{file}\"\n");
    let line = "{\"query\": \"x\", \"relevant\": [\"a.md\"]}\n";
    let told = |file: &str, text: &str| {
        let base = named(file);
        let mut all = files(RIGHT);
        let own = [("knowledge/handbook.toml", base.as_str()), ("knowledge/golden.jsonl", text)];
        all.extend(files(&own));
        let found = Project::load(&all).1;
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told("golden.jsonl", line), "");
    let missing = told("other.jsonl", line);
    assert!(missing.contains("there is no `knowledge/other.jsonl`"), "{missing}");
    let wrong = told("golden.jsonl", &format!("{line}{{\"query\": \"x\"}}\n"));
    assert!(wrong.contains("knowledge/golden.jsonl:2:1"), "{wrong}");
    assert!(told("../golden.jsonl", line).contains("golden"));
}

#[test]
fn files_that_are_not_text_are_told_with_their_place() {
    let mut all = files(RIGHT);
    all.insert("models/small.toml".to_owned(), b"provider = \"x\"\nmodel = \"\xff\"\n".to_vec());
    all.insert("prompts/big.md".to_owned(), vec![b'x'; MAX_FILE + 1]);
    all.remove("groundcrew.toml");
    let (_, found) = Project::load(&all);
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn of_very_many_mistakes_in_a_definition_the_first_hundred_are_told() {
    let states: Vec<_> = (0..300).map(|n| format!(r#""s{n}": {{"Type": "Succeed"}}"#)).collect();
    let text = format!(r#"{{"StartAt": "s0", "States": {{{}}}}}"#, states.join(",\n"));
    let told = findings(&[("workflows/many.asl.json", &text)]);
    assert_eq!(told.matches("is not reachable").count(), 100);
    assert!(told.contains("199 more findings are not told"), "{told}");
}

const ALARM: &str =
    "metric = \"m\"\ncomparison_operator = \"GreaterThanThreshold\"\nthreshold = 1\n";

#[test]
fn every_app_has_alarms_that_files_change_or_turn_off() {
    let mut all = files(RIGHT);
    all.extend(files(&[
        (
            "monitors/support-latency.toml",
            "threshold = 3\n[[actions]]\nkind = \"slack\"\nconnection = \"team\"\n",
        ),
        ("monitors/support-cost.toml", "enabled = false\n"),
        ("monitors/support-blocked.toml", ALARM),
        ("monitors/bad.toml", "rule = \"ALARM(support-errors) OR ALARM(availability.burn-1h)\"\n"),
        (
            "monitors/availability.slo.toml",
            "objective = 99\n[total]\nmetric = \"a\"\n[bad]\nmetric = \"b\"\n",
        ),
    ]));
    let (project, found) = Project::load(&all);
    assert_eq!(found, []);
    let Monitors { alarms, defaults, objectives } = project.unwrap().monitors;
    assert_eq!(
        alarms.keys().collect::<Vec<_>>(),
        ["bad", "support-blocked", "support-cost", "support-errors", "support-latency"]
    );
    assert_eq!(defaults.into_iter().collect::<Vec<_>>(), ["support-errors"]);
    let latency = &alarms["support-latency"];
    assert_eq!((latency.threshold, latency.statistic.as_deref()), (Some(3.0), Some("p95")));
    assert_eq!((latency.actions.len(), latency.dimensions["environment"].as_str()), (1, "prod"));
    assert!(!alarms["support-cost"].is_enabled());
    assert_eq!(alarms["support-blocked"].metric.as_deref(), Some("m"));
    assert_eq!(objectives.len(), 1);
    assert!(alarms.values().all(|alarm| alarm.compile().is_ok()));
}

#[test]
fn mistakes_in_monitors_are_told_at_their_place() {
    insta::assert_snapshot!(findings(&[
        ("monitors/a.toml", "rule = \"ALARM(b)\"\n"),
        ("monitors/b.toml", "rule = \"ALARM(a) AND OK(support-error)\"\n"),
        ("monitors/c.toml", &format!("{ALARM}period = 7\n")),
        ("monitors/d.toml", "metrics = 5\n"),
        ("monitors/support-latency.toml", "threshold = 3\nevaluation_periods = 0\n"),
        ("monitors/off.toml", "rule = \"ALARM(support-cost)\"\n[suppressor]\nalarm = \"nobody\"\n"),
        ("monitors/support-cost.toml", "enabled = false\n"),
        ("monitors/e.slo.toml", "objective = 100\n"),
    ]));
}

#[test]
fn a_rule_of_contributors_is_read_and_its_mistakes_are_told_with_their_place() {
    let rule = |keys: &str| {
        format!(
            "{{\"Schema\": {{\"Name\": \"CloudWatchLogRule\", \"Version\": 1}},\n  \
             \"LogGroupNames\": [\"spans\"],\n  \
             \"Contribution\": {{\"Keys\": [{keys}]}}}}"
        )
    };
    let mut all = files(RIGHT);
    all.extend(files(&[("contributors/users.json", &rule("\"$.user\""))]));
    let (project, found) = Project::load(&all);
    assert_eq!(found, []);
    let contributors = project.unwrap().contributors;
    assert_eq!(contributors.keys().map(ArtifactName::as_str).collect::<Vec<_>>(), ["users"]);
    insta::assert_snapshot!(findings(&[
        ("contributors/field.json", &rule("\"$.user\", \"user\"")),
        ("contributors/broken.json", "{\n  \"Schema\": 1\n}"),
        ("contributors/Bad Name.json", &rule("\"$.user\"")),
    ]));
}

#[test]
fn gates_that_cannot_be_followed_are_told_at_their_place() {
    let app = "[slots]\nmodel = \"small\"\nprompt = \"support\"\n\
        [[delivery.environments.staging.gates]]\nkind = \"approval\"\napprovals = 2\nfrom = [\"user:bob\"]\n\
        [[delivery.environments.staging.gates]]\nkind = \"approval\"\n\
        [[delivery.environments.staging.gates]]\nkind = \"soak\"\nenvironment = \"prod\"\nhours = 1\n";
    insta::assert_snapshot!(findings(&[("apps/support.toml", app)]));
    let app = "[slots]\nmodel = \"small\"\nprompt = \"support\"\n\
        [[delivery.environments.prod.gates]]\nkind = \"soack\"\n\
        [[delivery.environments.prod.gates]]\nkind = \"approval\"\naprovals = 2\nfrom = [\"service:ci\"]\n";
    insta::assert_snapshot!(findings(&[("apps/support.toml", app)]));
}
