use super::Score;
use crate::recordings;

#[test]
fn our_own_cases_come_out_as_the_specification_says() {
    for text in [
        include_str!("../../tests/cases/executions.jsonl"),
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
