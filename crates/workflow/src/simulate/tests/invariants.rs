//! What holds of every execution after every commit, by name.

use crate::engine::ExecutionRecord;
use crate::history::Event;
use crate::interpreter::Status;

/// Checks all of them after a commit that told `fresh`, when `last` was told before.
pub fn hold(record: &ExecutionRecord, last: Option<&Event>, fresh: &[Event]) {
    ids_are_dense_from_one(record, last, fresh);
    fresh.iter().for_each(an_event_follows_an_earlier_one);
    let told: Vec<_> = last.into_iter().chain(fresh).collect();
    time_does_not_go_back(&told);
    it_ends_once_and_nothing_comes_after(record, &told);
    nothing_is_due_after_the_end(record);
    whoever_is_under_way_waits_for_something(record);
}

fn ids_are_dense_from_one(record: &ExecutionRecord, last: Option<&Event>, fresh: &[Event]) {
    let before = last.map_or(0, |last| last.id);
    assert!(fresh.iter().zip(before + 1..).all(|(event, id)| event.id == id), "ids are not dense");
    assert_eq!(record.run.events, before + fresh.len() as u64, "events are lost");
}

fn an_event_follows_an_earlier_one(event: &Event) {
    assert!(event.previous < event.id, "{event:?} follows a later one");
    // Only the beginning follows nothing, and what the service tells so: the first state.
    let first = event.id <= 2 || event.kind == "EvaluationFailed";
    assert!(event.previous > 0 || first, "{event:?} follows nothing");
}

fn time_does_not_go_back(told: &[&Event]) {
    assert!(told.windows(2).all(|pair| pair[0].at <= pair[1].at), "time goes back");
}

fn it_ends_once_and_nothing_comes_after(record: &ExecutionRecord, told: &[&Event]) {
    let is_end = |event: &Event| {
        let ends = ["Succeeded", "Failed", "TimedOut", "Aborted"];
        event.kind.strip_prefix("Execution").is_some_and(|how| ends.contains(&how))
    };
    for pair in told.windows(2) {
        let redriven = pair[1].kind == "ExecutionRedriven";
        assert_eq!(is_end(pair[0]), redriven, "{:?} after {:?}", pair[1].kind, pair[0].kind);
    }
    let over = record.run.status != Status::Running;
    assert_eq!(told.last().is_some_and(|last| is_end(last)), over, "status and history differ");
    assert_eq!(record.run.outcome.is_some(), over, "status and outcome differ");
    assert_eq!(record.stopped_at.is_some(), over, "status and end differ");
}

fn nothing_is_due_after_the_end(record: &ExecutionRecord) {
    if record.run.status != Status::Running {
        assert!(record.tasks.is_empty(), "tasks are left: {:?}", record.tasks);
        assert_eq!(record.due(), [], "timers are left");
    }
}

fn whoever_is_under_way_waits_for_something(record: &ExecutionRecord) {
    if record.run.status == Status::Running {
        let waits = !record.tasks.is_empty() || !record.due().is_empty();
        assert!(waits, "nothing will ever move it on: {:?}", record.run);
        for task in record.tasks.keys() {
            assert!(record.run.waits_for(task), "nobody waits for {task}");
        }
    }
}
