//! What holds of every execution after every commit, by name.

use crate::engine::ExecutionRecord;
use crate::history::Event;
use crate::interpreter::Status;

/// Checks all of them.
pub fn hold(record: &ExecutionRecord, history: &[Event]) {
    ids_are_dense_from_one(record, history);
    each_event_follows_an_earlier_one(history);
    time_does_not_go_back(history);
    it_ends_once_and_nothing_comes_after(record, history);
    nothing_is_due_after_the_end(record);
    whoever_is_under_way_waits_for_something(record);
}

fn ids_are_dense_from_one(record: &ExecutionRecord, history: &[Event]) {
    assert!(history.iter().zip(1..).all(|(event, id)| event.id == id), "ids are not dense");
    assert_eq!(record.run.events, history.len() as u64, "events are lost");
}

fn each_event_follows_an_earlier_one(history: &[Event]) {
    for event in history {
        assert!(event.previous < event.id, "{event:?} follows a later one");
        // Only the beginning follows nothing, and what the service tells so: the first state.
        let first = event.id <= 2 || event.kind == "EvaluationFailed";
        assert!(event.previous > 0 || first, "{event:?} follows nothing");
    }
}

fn time_does_not_go_back(history: &[Event]) {
    assert!(history.windows(2).all(|pair| pair[0].at <= pair[1].at), "time goes back");
}

fn it_ends_once_and_nothing_comes_after(record: &ExecutionRecord, history: &[Event]) {
    let is_end = |event: &Event| {
        let ends = ["Succeeded", "Failed", "TimedOut", "Aborted"];
        event.kind.strip_prefix("Execution").is_some_and(|how| ends.contains(&how))
    };
    for pair in history.windows(2) {
        let redriven = pair[1].kind == "ExecutionRedriven";
        assert_eq!(is_end(&pair[0]), redriven, "{:?} after {:?}", pair[1].kind, pair[0].kind);
    }
    let over = record.run.status != Status::Running;
    assert_eq!(history.last().is_some_and(is_end), over, "status and history differ");
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
