//! Graphs of real definitions, whole and in the middle of executions.

use serde_json::{Value, json};

use super::*;
use crate::simulate::{Mocks, Setting, simulate};

const PLAIN: Look = Look { width: 80, colour: false };

fn machine(definition: &Value) -> Machine {
    Machine::parse(&definition.to_string()).unwrap().0
}

fn activity(name: &str) -> String {
    format!("arn:aws:states:local:000000000000:activity:{name}")
}

/// The graph of an execution after its first `events` events.
fn after(definition: &Value, (input, mocks): (Value, Value), events: usize) -> Graph {
    let machine = machine(definition);
    let mut mocks: Mocks = serde_json::from_value(json!({"states": mocks})).unwrap();
    let simulated = simulate(&machine, &Setting::of(input), &mut mocks);
    let history = &simulated.history[..events.min(simulated.history.len())];
    let now = history.last().unwrap().at + jiff::SignedDuration::from_secs(5);
    let graph = Graph::of_execution("flow/one", &machine, history, now);
    let whole = events >= simulated.history.len();
    assert!(!whole || graph.status == Some(simulated.run.status));
    let told = serde_json::to_string(&graph).unwrap();
    assert_eq!(serde_json::from_str::<Graph>(&told).unwrap(), graph);
    graph
}

/// A rolling job with a loop, a choice of many ways and a handler of failures.
fn job() -> Value {
    json!({"StartAt": "Submit", "States": {
        "Submit": {"Type": "Task", "Resource": activity("training.submit"), "Next": "Wait",
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]},
        "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Look"},
        "Look": {"Type": "Task", "Resource": activity("training.look"), "Next": "How is it?",
            "Catch": [{"ErrorEquals": ["States.Timeout", "Gone"], "Next": "Tell"}]},
        "How is it?": {"Type": "Choice", "Default": "Wait", "Choices": [
            {"Variable": "$.status", "StringEquals": "done", "Next": "Evaluate"},
            {"And": [{"Variable": "$.status", "StringEquals": "stopped"},
                {"Variable": "$.steps", "NumericGreaterThan": 1000}], "Next": "Evaluate"},
            {"Variable": "$.status", "StringMatches": "fail*", "Next": "Tell"},
            {"Variable": "$.error", "IsPresent": true, "Next": "Give up"}]},
        "Evaluate": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "score"}, "Next": "Done"},
        "Tell": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"Message": "no"}, "Next": "Give up"},
        "Give up": {"Type": "Fail", "Error": "Training.Failed"},
        "Done": {"Type": "Succeed"}}})
}

#[test]
fn a_definition_with_loops_choices_and_catches_is_drawn_within_eighty_columns() {
    let graph = Graph::of("training", &machine(&job()));
    let drawn = graph.text(PLAIN);
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    insta::assert_snapshot!(drawn);
    insta::assert_snapshot!("training_svg", graph.svg());
}

#[test]
fn an_execution_shows_what_was_tried_again_and_how_often_it_went_round() {
    let mocks = json!({
        "Submit": [{"error": {"error": "Busy"}}, {"error": {"error": "Busy"}}, {"result": {}}],
        "Look": [{"result": {"status": "runs"}}, {"result": {"status": "runs"}},
            {"result": {"status": "done"}}],
        "Evaluate": [{"result": {}}]});
    let run = || (json!({}), mocks.clone());
    let retrying = after(&job(), run(), 5);
    assert_eq!(retrying.flow.nodes[0].standing, Standing::Retrying);
    let waiting = after(&job(), run(), 13);
    assert_eq!(waiting.flow.nodes[1].standing, Standing::Waiting);
    insta::assert_snapshot!(after(&job(), run(), usize::MAX).text(PLAIN));
}

#[test]
fn a_failure_that_is_caught_shows_where_it_led() {
    let mocks = json!({"Submit": [{"result": {}}], "Look": [{"error": {"error": "Gone"}}],
        "Tell": [{"result": {}}]});
    let graph = after(&job(), (json!({}), mocks), usize::MAX);
    let of = |name: &str| graph.flow.nodes.iter().find(|node| node.name == name).unwrap();
    assert_eq!(of("Look").standing, Standing::Caught);
    assert_eq!(of("Look").error.as_deref(), Some("Gone"));
    assert_eq!(of("Tell").standing, Standing::Succeeded);
    assert_eq!(of("Give up").standing, Standing::Failed);
    assert_eq!(of("Done").standing, Standing::NotBegun);
    insta::assert_snapshot!(graph.text(PLAIN));
}

#[test]
fn a_failure_that_no_event_tells_of_is_known_by_where_it_led() {
    let definition = json!({"StartAt": "Work", "States": {
        "Work": {"Type": "Task", "Resource": activity("work"), "ResultPath": "$.a", "Next": "Good",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Bad"}]},
        "Good": {"Type": "Succeed"}, "Bad": {"Type": "Pass", "End": true}}});
    let run = (json!("no object"), json!({"Work": [{"result": {}}]}));
    let graph = after(&definition, run, usize::MAX);
    assert_eq!(graph.flow.nodes[0].standing, Standing::Caught, "{graph:#?}");
    let taken: Vec<_> = graph.flow.edges.iter().map(|edge| (edge.way, edge.taken)).collect();
    assert_eq!(taken, [(Way::Next, 0), (Way::Catch, 1)]);
}

#[test]
fn what_is_redriven_goes_on_where_it_was() {
    use crate::{Fault, Input, Moment, Report, step};
    let machine = machine(&documents());
    let about = crate::About {
        execution_arn: "arn:aws:states:local:000000000000:execution:flow:one".to_owned(),
        name: "one".to_owned(),
        input: json!({"documents": [{"pages": 30}]}),
        role_arn: String::new(),
        machine_arn: String::new(),
        machine_name: "flow".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
        redrives: 0,
    };
    let mut run = crate::Run::new(about, 0);
    let mut history = Vec::new();
    let mut token = String::new;
    let mut tasks = Vec::new();
    let mut go = |input: Input| {
        let mut moment = Moment { now: Timestamp::UNIX_EPOCH, token: &mut token };
        let done = step(&machine, &mut run, input, &mut moment);
        history.extend(done.events);
        for effect in done.effects {
            if let crate::Effect::Schedule(request) = effect {
                tasks.push(request.task.clone());
            }
        }
        let graph = Graph::of_execution("one", &machine, &history, Timestamp::UNIX_EPOCH);
        (graph, tasks.clone())
    };
    go(Input::Started);
    let (stopped, _) = go(Input::Stopped(Fault::default()));
    let standings = |graph: &Graph| {
        let map = &graph.flow.nodes[1];
        let check = &map.flows[0].nodes[0];
        let ask = &check.flows[1].nodes[1];
        (map.standing, check.standing, ask.standing, ask.entered)
    };
    let (running, waiting) = (Standing::Running, Standing::Waiting);
    let cut = Standing::Aborted;
    assert_eq!(standings(&stopped), (cut, cut, cut, 1));
    let (again, tasks) = go(Input::Redriven);
    assert_eq!(standings(&again), (running, running, waiting, 2));
    for task in &tasks {
        go(Input::Reported { task: task.clone(), report: Report::Succeeded(json!({})) });
    }
    let (done, _) = go(Input::Continued);
    let well = Standing::Succeeded;
    assert_eq!(standings(&done), (well, well, well, 2));
    assert_eq!(done.status, Some(Status::Succeeded));
}

#[test]
fn a_definition_that_is_too_large_for_a_picture_is_told_of_in_a_moment() {
    let mut states = serde_json::Map::new();
    for index in 0..2_000 {
        let next = format!("s{}", index + 1);
        let end = format!("s{}", 2_000);
        states.insert(
            format!("s{index}"),
            json!({"Type": "Task", "Resource": activity("work"), "Next": next,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": end}]}),
        );
    }
    states.insert("s2000".to_owned(), json!({"Type": "Succeed"}));
    let graph = Graph::of("large", &machine(&json!({"StartAt": "s0", "States": states})));
    assert_eq!((graph.flow.nodes.len(), graph.flow.edges.len()), (2_001, 4_000));
    assert!(graph.svg().contains("too large for a picture"));
    assert!(graph.text(PLAIN).contains("○ s1999"));
}

/// For each document, two checks side by side; one of them waits for a person.
fn documents() -> Value {
    json!({"StartAt": "Split", "States": {
        "Split": {"Type": "Pass", "Next": "Each document"},
        "Each document": {"Type": "Map", "ItemsPath": "$.documents", "MaxConcurrency": 1,
            "ItemProcessor": {"StartAt": "Check", "States": {
                "Check": {"Type": "Parallel", "Next": "Keep", "Branches": [
                    {"StartAt": "Screen", "States": {
                        "Screen": {"Type": "Task", "Resource": activity("groundcrew.screen"),
                            "End": true}}},
                    {"StartAt": "Is it long?", "States": {
                        "Is it long?": {"Type": "Choice", "Default": "Fine", "Choices": [
                            {"Variable": "$.pages", "NumericGreaterThan": 10, "Next": "Ask"}]},
                        "Ask": {"Type": "Task", "Resource": activity("groundcrew.approval"),
                            "TimeoutSeconds": 600, "End": true},
                        "Fine": {"Type": "Succeed"}}}]},
                "Keep": {"Type": "Pass", "End": true}}},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tidy up"}],
            "Next": "Publish"},
        "Publish": {"Type": "Succeed"},
        "Tidy up": {"Type": "Pass", "End": true}}})
}

#[test]
fn branches_within_iterations_are_drawn_inside_with_their_counts() {
    let input = json!({"documents": [{"pages": 3}, {"pages": 30}, {"pages": 4}]});
    let mocks = json!({"Screen": [{"result": {}}], "Ask": [{"result": {}}]});
    let waiting = after(&documents(), (input.clone(), mocks.clone()), 32);
    let map = &waiting.flow.nodes[1];
    let items = Items { total: 3, begun: 2, succeeded: 1, failed: 0 };
    assert_eq!((map.standing, map.items), (Standing::Running, Some(items)));
    let ask = &map.flows[0].nodes[0].flows[1].nodes[1];
    assert_eq!((ask.name.as_str(), ask.standing), ("Ask", Standing::Waiting));
    insta::assert_snapshot!(waiting.text(PLAIN));
    insta::assert_snapshot!("documents_svg", waiting.svg());
    let done = after(&documents(), (input, mocks), usize::MAX);
    assert_eq!(done.flow.nodes[1].standing, Standing::Succeeded);
}

#[test]
fn a_failure_within_branches_fails_what_is_around_and_cuts_off_the_rest() {
    let input = json!({"documents": [{"pages": 30}, {"pages": 4}]});
    let mocks = json!({"Screen": [{"error": {"error": "Virus"}}], "Ask": [{"silent": {}}]});
    let graph = after(&documents(), (input, mocks), usize::MAX);
    let map = &graph.flow.nodes[1];
    assert_eq!(map.standing, Standing::Caught, "{map:#?}");
    let check = &map.flows[0].nodes[0];
    assert_eq!(check.standing, Standing::Failed, "{check:#?}");
    assert_eq!(check.flows[0].nodes[0].standing, Standing::Failed);
    assert_eq!(check.flows[0].nodes[0].error.as_deref(), Some("Virus"));
    assert_eq!(check.flows[1].nodes[1].standing, Standing::Aborted);
    assert_eq!(graph.status, Some(Status::Succeeded));
}

#[test]
fn names_steer_neither_a_terminal_nor_a_browser() {
    let name = "</title><script>alert(1)</script>\u{1b}[31m\u{0}";
    let definition = json!({"StartAt": name, "States": {name: {"Type": "Pass", "End": true}}});
    let graph = Graph::of(name, &machine(&definition));
    assert!(!graph.text(PLAIN).contains('\u{1b}'));
    let svg = graph.svg();
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && !svg.contains('\u{0}'));
    assert!(svg.contains("&lt;script&gt;"));
    let coloured = graph.text(Look { colour: true, ..PLAIN });
    assert!(!coloured.contains("\u{1b}[31m"), "{coloured:?}");
}
