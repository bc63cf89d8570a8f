use super::{Score, execution};
use crate::recordings;

#[test]
fn our_own_cases_come_out_as_the_specification_says() {
    for text in [
        include_str!("../../tests/cases/executions.jsonl"),
        include_str!("../../tests/cases/tasks.jsonl"),
        include_str!("../../tests/cases/events.jsonl"),
    ] {
        let score = Score::of(text);
        assert_eq!(score.verdicts.len(), text.lines().count());
        let wrong = score.verdicts.iter().filter(|verdict| verdict.difference.is_some());
        assert_eq!(wrong.count(), 0, "{score}");
    }
}

fn score(file: &str) -> Option<Score> {
    let path = recordings::folder()?.join(file);
    let score = Score::of(&std::fs::read_to_string(path).unwrap());
    println!("{score}");
    Some(score)
}

fn passes(file: &str, tier: &str, share: f64) {
    let Some(score) = score(file) else { return };
    let [(passed, all), ..] = score.tiers()[tier];
    assert!(all > 0 && passed as f64 >= share * all as f64, "{passed} of {all}");
}

#[test]
fn recorded_executions_without_tasks_end_alike() {
    passes("asl/dev/a_pure.jsonl", "a_pure", 0.98);
}

#[test]
fn recorded_executions_with_tasks_end_alike() {
    passes("asl/dev/b_mocked.jsonl", "b_mocked", 0.9);
}

#[test]
fn recorded_distributed_maps_end_alike() {
    passes("asl/dev/c_distributed_map_s3.jsonl", "c_distributed_map_s3", 0.9);
}

#[test]
fn recorded_choices_are_taken_alike() {
    passes("asl/dev/d_choice_cases.jsonl", "d_choice_cases", 1.0);
}

#[test]
fn recorded_tests_of_single_states_are_answered_alike() {
    passes("asl/dev/t_teststate.jsonl", "t_teststate", 0.98);
}

#[test]
fn recorded_refusals_are_refused() {
    passes("asl/dev/v_create_errors.jsonl", "v_create_errors", 1.0);
    passes("asl/dev/v_validate_definition.jsonl", "v_validate_definition", 1.0);
}

#[test]
fn recorded_patterns_match_alike_and_recorded_schedules_are_read() {
    passes("eventbridge/event_patterns.dev.jsonl", "event_patterns", 1.0);
    passes("eventbridge/schedule_expressions.dev.jsonl", "schedule_expressions", 1.0);
}

/// Every case of `text` that is an execution, run with and without a crash at each commit.
fn crashes_change_nothing(text: &str) -> usize {
    let cases = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut count = 0;
    for case in cases.filter(|case| case.get("expected").is_some()) {
        let (Ok(Ok(calm)), Ok(Ok(crashed))) =
            (execution::simulated(&case, false), execution::simulated(&case, true))
        else {
            continue;
        };
        assert_eq!(calm.run.outcome, crashed.run.outcome, "{}", case["id"]);
        assert_eq!(calm.history, crashed.history, "{}", case["id"]);
        count += 1;
    }
    count
}

#[test]
fn a_crash_at_every_commit_changes_neither_output_nor_history() {
    for (text, least) in [
        (include_str!("../../tests/cases/executions.jsonl"), 150),
        (include_str!("../../tests/cases/tasks.jsonl"), 55),
    ] {
        let own = crashes_change_nothing(text);
        assert!(own >= least, "{own} executions");
    }
    let Some(folder) = recordings::folder() else { return };
    for file in ["a_pure", "b_mocked", "c_distributed_map_s3"] {
        let path = folder.join("asl/dev").join(file).with_extension("jsonl");
        let count = crashes_change_nothing(&std::fs::read_to_string(path).unwrap());
        println!("{file}: {count} executions end alike");
        assert!(count > 10, "{file}: {count} executions");
    }
}
