mod invariants;
mod machine;
mod world;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Mocks, Setting, Simulated, simulate};
use crate::Machine;

fn run(states: Value, input: Value, mocks: Value) -> Simulated {
    let start = states.as_object().unwrap().keys().next().unwrap().clone();
    let definition = json!({"StartAt": start, "States": states}).to_string();
    let (machine, _) = Machine::parse(&definition).unwrap();
    let mut mocks: Mocks = serde_json::from_value(mocks).unwrap();
    simulate(&machine, &Setting::of(input), &mut mocks)
}

const TASK: &str = "arn:aws:states:local:000000000000:activity:work";

#[test]
fn an_error_is_retried_with_growing_waits_and_then_caught() {
    let states = json!({
        "Work": {"Type": "Task", "Resource": TASK, "Next": "Done",
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 3}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Done"}]},
        "Done": {"Type": "Succeed"}});
    let mocks = json!({"states": {"Work": [{"error": {"error": "Busy", "cause": "later"}}]}});
    let simulated = run(states, json!({"a": 1}), mocks);
    let outcome = simulated.run.outcome.unwrap();
    let expected = json!({"a": 1, "error": {"Error": "Busy", "Cause": "later"}});
    assert_eq!(outcome.output, Some(expected));
    // Two waits: of 2 seconds and of 6.
    let last = simulated.history.last().unwrap();
    assert_eq!(last.at.as_second(), 8);
    let scheduled = simulated.history.iter().filter(|e| e.kind == "ActivityScheduled");
    assert_eq!(scheduled.count(), 3);
}

#[test]
fn a_task_that_never_answers_times_out() {
    let states =
        json!({"Work": {"Type": "Task", "Resource": TASK, "TimeoutSeconds": 30, "End": true}});
    let simulated = run(states, json!({}), json!({"states": {"Work": [{"silent": {}}]}}));
    assert_eq!(simulated.run.status.as_str(), "FAILED");
    assert_eq!(simulated.run.outcome.unwrap().fault.unwrap().error.unwrap(), "States.Timeout");
    assert_eq!(simulated.history.last().unwrap().at.as_second(), 30);
}

#[test]
fn branches_wait_for_each_other_and_variables_stay_in_their_scope() {
    let states = json!({
        "Set": {"Type": "Pass", "Assign": {"x": 1}, "Next": "Both"},
        "Both": {"Type": "Parallel", "Next": "After", "Branches": [
            {"StartAt": "Slow", "States": {
                "Slow": {"Type": "Wait", "Seconds": 60, "Next": "Tell"},
                "Tell": {"Type": "Pass", "Parameters": {"x.$": "$x"}, "End": true}}},
            {"StartAt": "Own", "States": {
                "Own": {"Type": "Pass", "Assign": {"y": 2}, "Next": "Sum"},
                "Sum": {"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($x, $y)"}, "End": true}}}]},
        "After": {"Type": "Choice", "Choices": [{"Variable": "$y", "IsPresent": true, "Next": "Wrong"}], "Default": "Right"},
        "Wrong": {"Type": "Fail"}, "Right": {"Type": "Succeed"}});
    let simulated = run(states, json!({}), json!({}));
    assert_eq!(simulated.run.outcome.unwrap().output, Some(json!([{"x": 1}, {"sum": 3}])));
}

#[test]
fn a_failed_branch_ends_its_siblings_and_a_retry_begins_them_anew() {
    let states = json!({"Both": {"Type": "Parallel", "End": true,
        "Retry": [{"ErrorEquals": ["Once"], "MaxAttempts": 1}],
        "Branches": [
            {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": TASK, "End": true}}},
            {"StartAt": "Long", "States": {"Long": {"Type": "Wait", "Seconds": 100, "End": true}}}]}});
    let mocks = json!({"states": {"Work": [{"error": {"error": "Once"}}, {"result": 7}]}});
    let simulated = run(states, json!({}), mocks);
    assert_eq!(simulated.run.outcome.unwrap().output, Some(json!([7, {}])));
    assert_eq!(simulated.history.last().unwrap().at.as_second(), 101);
}

#[test]
fn items_run_as_many_at_once_as_allowed_and_keep_their_order() {
    let states = json!({"Each": {"Type": "Map", "MaxConcurrency": 2, "ItemsPath": "$.n", "End": true,
        "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "all.$": "States.ArrayLength($.n)"},
        "ItemProcessor": {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "SecondsPath": "$.v", "End": true}}}}});
    let simulated = run(states, json!({"n": [30, 10, 10]}), json!({}));
    let output = simulated.run.outcome.unwrap().output.unwrap();
    assert_eq!(output[0], json!({"i": 0, "v": 30, "all": 3}));
    assert_eq!(output[2]["i"], 2);
    assert_eq!(simulated.history.last().unwrap().at.as_second(), 30);
}

#[test]
fn distributed_items_tolerate_as_many_failures_as_allowed() {
    let states = |count: u64| {
        json!({"Each": {"Type": "Map", "ItemsPath": "$", "End": true,
        "ToleratedFailureCount": count, "MaxConcurrency": 1,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": TASK, "End": true}}}}})
    };
    let mocks = json!({"states": {"Work": [{"error": {"error": "Bad"}}, {"result": 1}]}});
    let tolerant = run(states(1), json!([1, 2]), mocks.clone());
    assert_eq!(tolerant.run.status.as_str(), "SUCCEEDED");
    let strict = run(states(0), json!([1, 2]), mocks);
    let fault = strict.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.unwrap(), "States.ExceedToleratedFailureThreshold");
}

#[test]
fn a_loop_without_end_stops_at_the_bound_of_its_history() {
    let states = json!({"Again": {"Type": "Pass", "Next": "Again2"}, "Again2": {"Type": "Choice",
        "Choices": [{"Variable": "$", "IsPresent": true, "Next": "Again"}], "Default": "End"}, "End": {"Type": "Succeed"}});
    let simulated = run(states, json!({}), json!({}));
    assert_eq!(simulated.run.status.as_str(), "FAILED");
    assert!(simulated.history.len() <= 25_010);
}

#[test]
fn a_payload_beyond_the_limit_fails() {
    let states =
        json!({"Grow": {"Type": "Pass", "Parameters": {"a.$": "$.a", "b.$": "$.a"}, "End": true}});
    let simulated = run(states, json!({"a": "x".repeat(200_000)}), json!({}));
    let fault = simulated.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.unwrap(), "States.DataLimitExceeded");
}

#[test]
fn a_state_without_a_mock_is_named() {
    let states = json!({"Work": {"Type": "Task", "Resource": TASK, "End": true}});
    let definition = json!({"StartAt": "Work", "States": states}).to_string();
    let (machine, _) = Machine::parse(&definition).unwrap();
    let mut mocks = Mocks::default();
    simulate(&machine, &Setting::of(json!({})), &mut mocks);
    assert_eq!(mocks.missing().collect::<Vec<_>>(), ["Work"]);
}

/// How many worlds each test run lives through.
const SEEDS: u64 = 1_000;
/// Among how many threads they are shared.
const THREADS: u64 = 2;

/// Lives the machine of a seed through, with and without a crash at every commit; the kinds of
/// events that happened.
fn live(seed: u64) -> BTreeSet<String> {
    let definition = machine::draw(seed);
    let (parsed, _) = Machine::parse(&definition.to_string())
        .unwrap_or_else(|found| panic!("{found:?} in {definition:#}"));
    let calm = world::live(&parsed, seed, false);
    if seed.is_multiple_of(4) {
        let again = world::live(&parsed, seed, false);
        assert!(calm == again, "the same seed goes another way");
    }
    let crashed = world::live(&parsed, seed, true);
    assert_eq!(crashed.0.run.outcome, calm.0.run.outcome, "a crash changes the outcome");
    for (crashed, calm) in crashed.1.iter().zip(&calm.1) {
        assert_eq!(crashed, calm, "a crash changes the history");
    }
    assert_eq!(crashed.1.len(), calm.1.len(), "a crash changes the history");
    calm.1.into_iter().map(|event| event.kind).collect()
}

/// A seed that fails is named; `GROUNDCREW_SEED=…` lives through that one alone, and shows it.
#[test]
fn a_thousand_machines_live_soundly_through_a_thousand_worlds() {
    if let Ok(seed) = std::env::var("GROUNDCREW_SEED") {
        let seed = seed.parse().unwrap();
        println!("{:#}", machine::draw(seed));
        println!("{:?}", live(seed));
        return;
    }
    let share = |thread: u64| {
        let seeds = (thread..SEEDS).step_by(THREADS as usize);
        let lived = seeds.map(|seed| match std::panic::catch_unwind(|| live(seed)) {
            Ok(kinds) => kinds,
            Err(_) => panic!("replay it with GROUNDCREW_SEED={seed}"),
        });
        lived.flatten().collect::<BTreeSet<_>>()
    };
    let kinds: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|at| scope.spawn(move || share(at))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    // What never happens is not tested.
    for happened in [
        "ExecutionSucceeded",
        "ExecutionFailed",
        "ExecutionTimedOut",
        "ExecutionAborted",
        "ExecutionRedriven",
        "PassStateExited",
        "ChoiceStateExited",
        "WaitStateExited",
        "SucceedStateExited",
        "FailStateEntered",
        "ParallelStateSucceeded",
        "ParallelStateFailed",
        "MapStateSucceeded",
        "MapIterationFailed",
        "ActivityTimedOut",
        "TaskTimedOut",
        "TaskSubmitted",
        "LambdaFunctionFailed",
        "TaskStateAborted",
    ] {
        assert!(kinds.contains(happened), "{happened} is in none of them: {kinds:?}");
    }
}

/// A distributed Map over `$.items` with these fields besides.
fn distributed(fields: Value, processor: Value) -> Value {
    let mut map = json!({"Type": "Map", "ItemsPath": "$.items", "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One", "States": {"One": processor}}});
    map.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"Each": map})
}

#[test]
fn items_are_selected_before_they_are_put_together() {
    let fields = json!({
        "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "n.$": "$.n"},
        "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"shared.$": "$.n"}}});
    let pass = json!({"Type": "Pass", "End": true});
    let simulated =
        run(distributed(fields, pass), json!({"items": ["a", "b", "c"], "n": 7}), json!({}));
    let item = |i: u64, v: &str| json!({"i": i, "v": v, "n": 7});
    let output = simulated.run.outcome.unwrap().output.unwrap();
    assert_eq!(
        output,
        json!([
        {"BatchInput": {"shared": 7}, "Items": [item(0, "a"), item(1, "b")]},
        {"BatchInput": {"shared": 7}, "Items": [item(2, "c")]}])
    );
}

#[test]
fn an_item_is_an_execution_that_sees_neither_variables_nor_the_map_around_it() {
    let context = json!({"Type": "Pass", "End": true, "Parameters": {
        "id.$": "$$.Execution.Id", "name.$": "$$.Execution.Name", "input.$": "$$.Execution.Input",
        "machine.$": "$$.StateMachine.Id"}});
    let simulated =
        run(distributed(json!({"Label": "mine"}), context), json!({"items": [5]}), json!({}));
    let told = &simulated.run.outcome.unwrap().output.unwrap()[0];
    let name = told["name"].as_str().unwrap();
    assert!(name.starts_with("00000000-") && name.len() == 36, "{name}");
    let id = format!("arn:aws:states:local:000000000000:execution:machine/mine:{name}");
    assert_eq!(told["id"], id);
    assert_eq!(told["machine"], "arn:aws:states:local:000000000000:stateMachine:machine/mine");
    assert_eq!(told["input"], 5);
    let outer = json!({"Type": "Pass", "Assign": {"x": 1}, "Next": "Each"});
    for field in ["$x", "$$.Map.Item.Index"] {
        let inner = json!({"Type": "Pass", "End": true, "Parameters": {"v.$": field}});
        let mut states = distributed(json!({"ToleratedFailureCount": 1}), inner);
        states["Set"] = outer.clone();
        let definition = json!({"StartAt": "Set", "States": states}).to_string();
        // A variable that cannot be seen is told at creation already.
        let Ok((machine, _)) = Machine::parse(&definition) else {
            assert_eq!(field, "$x");
            continue;
        };
        let simulated =
            simulate(&machine, &Setting::of(json!({"items": [5]})), &mut Mocks::default());
        let output = simulated.run.outcome.unwrap().output.unwrap();
        assert_eq!(output[0]["Status"], "FAILED", "{field}: {output}");
    }
}

#[test]
fn failures_count_by_item_and_what_is_tolerated_is_told_whole() {
    let task = json!({"Type": "Task", "Resource": TASK, "End": true});
    let fields = |share: u64| {
        json!({"ToleratedFailurePercentage": share, "MaxConcurrency": 1,
            "ItemBatcher": {"MaxItemsPerBatch": 3}})
    };
    let mocks = json!({"states": {"One": [{"error": {"error": "Bad"}}, {"result": 1}]}});
    let input = json!({"items": [1, 2, 3, 4]});
    let strict = run(distributed(fields(74), task.clone()), input.clone(), mocks.clone());
    assert_eq!(strict.run.status.as_str(), "FAILED");
    let tolerant = run(distributed(fields(75), task), input, mocks);
    let output = tolerant.run.outcome.unwrap().output.unwrap();
    assert_eq!((&output[0]["Status"], &output[0]["Error"]), (&json!("FAILED"), &json!("Bad")));
    assert_eq!(output[1], 1);
}

#[test]
fn results_that_no_payload_holds_need_a_writer() {
    let big = json!({"Type": "Pass", "End": true, "Result": "x".repeat(100_000)});
    let input = json!({"items": [1, 2, 3]});
    let simulated = run(distributed(json!({}), big.clone()), input.clone(), json!({}));
    let fault = simulated.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.unwrap(), "States.DataLimitExceeded");
    let writer = json!({"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "b", "Prefix": "runs/"}}});
    let simulated = run(distributed(writer, big), input, json!({}));
    let output = simulated.run.outcome.unwrap().output.unwrap();
    let key = output["ResultWriterDetails"]["Key"].as_str().unwrap();
    assert!(key.starts_with("runs/") && key.ends_with("/manifest.json"), "{key}");
}

#[test]
fn results_are_put_into_the_form_that_is_said() {
    let pass = json!({"Type": "Pass", "End": true});
    let input = json!({"items": [[1, 2], 3]});
    for (config, output) in [
        (json!({"Transformation": "COMPACT", "OutputType": "JSON"}), json!([[1, 2], 3])),
        (json!({"Transformation": "FLATTEN", "OutputType": "JSON"}), json!([1, 2, 3])),
        (json!({"Transformation": "FLATTEN", "OutputType": "JSONL"}), json!("1\n2\n3")),
    ] {
        let fields = json!({"ResultWriter": {"WriterConfig": config}});
        let simulated = run(distributed(fields, pass.clone()), input.clone(), json!({}));
        assert_eq!(simulated.run.outcome.unwrap().output.unwrap(), output);
    }
}

/// Whatever the order of events, items keep theirs, and a crash at every commit changes nothing.
#[test]
fn a_distributed_map_ends_alike_in_any_order_and_through_crashes() {
    let wait = json!({"Type": "Wait", "SecondsPath": "$", "End": true});
    let states = distributed(json!({"MaxConcurrency": 3}), wait);
    let definition = json!({"StartAt": "Each", "States": states}).to_string();
    let (machine, _) = Machine::parse(&definition).unwrap();
    let items: Vec<u64> = (0..20).map(|i| i * 7 % 5).collect();
    for seed in 0..100 {
        let setting =
            Setting { seed, crashes: seed % 2 == 1, ..Setting::of(json!({"items": items})) };
        let simulated = simulate(&machine, &setting, &mut Mocks::default());
        let outcome = simulated.run.outcome.unwrap();
        assert_eq!(outcome.output, Some(json!(items)), "seed {seed}: {:?}", outcome.fault);
        assert_eq!(simulated.history.len(), 8, "seed {seed}");
    }
}
