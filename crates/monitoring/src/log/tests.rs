//! The log loses nothing it acknowledged and notices what it did not write.

use std::fs;

use super::*;
use crate::record::tests::record;

async fn fill(directory: &Path, options: LogOptions, traces: std::ops::Range<u8>) -> TelemetryLog {
    let log = TelemetryLog::open(directory, options).unwrap();
    for trace in traces {
        log.append(&record(trace)).await.unwrap();
    }
    log
}

fn only_segment(directory: &Path) -> PathBuf {
    segments(directory).unwrap().pop().unwrap()
}

/// The sequence numbers that a cursor reads after `after`, and what it passed over.
fn read(log: &TelemetryLog, after: u64) -> (Vec<u64>, u64) {
    let mut cursor = log.cursor(after);
    let mut found = Vec::new();
    while cursor.read() < log.last() {
        found.extend(cursor.next(log.last()).unwrap().into_iter().map(|frame| frame.sequence));
    }
    (found, cursor.corrupt())
}

#[tokio::test]
async fn what_was_written_is_read_from_any_place_on() {
    let directory = tempfile::tempdir().unwrap();
    let log = fill(directory.path(), LogOptions::default(), 1..4).await;
    assert_eq!(read(&log, 0), (vec![1, 2, 3], 0));
    assert_eq!(read(&log, 2), (vec![3], 0));
    assert_eq!(read(&log, 3), (vec![], 0));
}

#[tokio::test]
async fn what_others_send_comes_back_with_its_signal_tenant_and_moment() {
    let directory = tempfile::tempdir().unwrap();
    let log = TelemetryLog::open(directory.path(), LogOptions::default()).unwrap();
    let (tenant, at) = ("other".parse().unwrap(), Timestamp::new(1_700_000_000, 7).unwrap());
    for signal in Signal::ALL {
        log.append_otlp(&tenant, signal, at, signal.as_str().as_bytes()).unwrap();
    }
    let frames = log.cursor(0).next(3).unwrap();
    for (frame, signal) in frames.iter().zip(Signal::ALL) {
        assert_eq!((frame.signal, &frame.tenant, frame.received_at), (signal, &tenant, at));
        assert_eq!(frame.otlp, signal.as_str());
    }
    assert_eq!(frames.len(), 3);
}

#[tokio::test]
async fn a_second_process_finds_the_log_locked() {
    let directory = tempfile::tempdir().unwrap();
    let _log = fill(directory.path(), LogOptions::default(), 1..2).await;
    let second = TelemetryLog::open(directory.path(), LogOptions::default());
    assert!(matches!(second, Err(LogError::Locked(_))));
}

#[tokio::test]
async fn a_torn_end_is_cut_wherever_it_is_torn_and_sequences_go_on() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path(), LogOptions::default(), 1..4).await);
    let segment = only_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let last = Reader::open(&segment).unwrap().flatten().last().unwrap().0 as usize;
    for cut in (last + 1..whole.len()).step_by(37) {
        fs::write(&segment, &whole[..cut]).unwrap();
        let log = TelemetryLog::open(directory.path(), LogOptions::default()).unwrap();
        assert_eq!(read(&log, 0), (vec![1, 2], 0), "cut at {cut}");
        assert_eq!(log.append(&record(9)).await.unwrap().sequence, 3);
        drop(log);
    }
}

#[tokio::test]
async fn a_flipped_byte_costs_its_record_only_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path(), LogOptions::default(), 1..4).await);
    let segment = only_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let offsets: Vec<_> =
        Reader::open(&segment).unwrap().flatten().map(|(offset, _)| offset as usize).collect();
    for (frame, left) in offsets.iter().zip([vec![2, 3], vec![1, 3], vec![1, 2]]) {
        for flip in [frame + 5, frame + 40] {
            let mut bytes = whole.clone();
            bytes[flip] ^= 0x40;
            fs::write(&segment, bytes).unwrap();
            let log = TelemetryLog::open(directory.path(), LogOptions::default()).unwrap();
            // A damaged last record is not known to have been one: numbers go on after the others.
            let corrupt = u64::from(left != [1, 2]);
            assert_eq!(read(&log, 0), (left.clone(), corrupt), "flipped at {flip}");
            drop(log);
        }
    }
}

#[tokio::test]
async fn a_damaged_last_record_is_no_unfinished_write_and_is_kept_and_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path(), LogOptions::default(), 1..4).await);
    let segment = only_segment(directory.path());
    let mut bytes = fs::read(&segment).unwrap();
    let last = Reader::open(&segment).unwrap().flatten().last().unwrap().0 as usize;
    bytes[last + 60] ^= 0x40;
    fs::write(&segment, &bytes).unwrap();
    let options = LogOptions { used: 3, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    assert_eq!(log.append(&record(9)).await.unwrap().sequence, 4);
    assert_eq!(read(&log, 0), (vec![1, 2, 4], 1));
    assert!(fs::read(&segment).unwrap().starts_with(&bytes));
}

#[tokio::test]
async fn segments_rotate_and_are_all_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    drop(fill(directory.path(), options, 1..20).await);
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    assert!(segments(directory.path()).unwrap().len() > 3);
    assert_eq!(read(&log, 0), ((1..20).collect(), 0));
    assert_eq!(read(&log, 11), ((12..20).collect(), 0));
}

#[tokio::test]
async fn a_cursor_follows_what_is_written_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    let mut cursor = log.cursor(0);
    for sequence in 1..20 {
        log.append(&record(sequence as u8)).await.unwrap();
        let found = cursor.next(log.last()).unwrap();
        assert_eq!(found.iter().map(|frame| frame.sequence).collect::<Vec<_>>(), [sequence]);
    }
}

#[tokio::test]
async fn what_is_released_goes_but_not_what_somebody_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    let log = fill(directory.path(), options, 1..20).await;
    let before = (segments(directory.path()).unwrap().len(), log.stats().bytes);
    let keep = log.keep(0);
    log.release(19).unwrap();
    assert_eq!((segments(directory.path()).unwrap().len(), log.stats().bytes), before);
    keep.advance(10);
    log.release(19).unwrap();
    assert_eq!(read(&log, 10).0, (11..20).collect::<Vec<_>>());
    drop(keep);
    log.rotate().unwrap();
    log.release(19).unwrap();
    assert_eq!(segments(directory.path()).unwrap().len(), 1);
    assert_eq!(log.stats().bytes, MAGIC.len() as u64);
    drop(log);
    // What is gone is not counted anew.
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    assert_eq!(log.append(&record(1)).await.unwrap().sequence, 20);
}

#[tokio::test]
async fn sequence_numbers_that_were_used_are_not_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { used: 41, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    assert_eq!(log.append(&record(1)).await.unwrap().sequence, 42);
    assert_eq!(read(&log, 41), (vec![42], 0));
}

#[tokio::test]
async fn a_full_log_refuses_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { max_bytes: 2_000, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    let mut written = 0;
    let refused = loop {
        match log.append(&record(1)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Full { max_bytes: 2_000, .. }));
    assert!(matches!(log.admits(), Err(LogError::Full { .. })));
    let stats = log.stats();
    assert_eq!((stats.appended, stats.refused), (written, 2));
}

#[tokio::test]
async fn with_little_room_texts_go_first_and_then_nothing_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let little = LogOptions { low_bytes: u64::MAX, ..LogOptions::default() };
    let log = fill(directory.path(), little, 1..2).await;
    let frame = log.cursor(0).next(1).unwrap().remove(0);
    let rows = crate::receive::decode(frame.signal, &frame.otlp, frame.received_at);
    assert!(rows.payloads.is_empty() && rows.spans.len() > 1, "{rows:?}");
    assert_eq!(log.stats().shed, 1);
    drop(log);
    let none = LogOptions { least_bytes: u64::MAX, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), none).unwrap();
    assert!(matches!(log.append(&record(1)).await, Err(LogError::NoRoom { .. })));
    assert!(matches!(log.admits(), Err(LogError::NoRoom { .. })));
}

#[tokio::test]
async fn a_group_commit_syncs_what_was_written_soon_after() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    let mut last = None;
    for trace in 1..20 {
        last = Some(log.append(&record(trace)).await.unwrap());
    }
    last.unwrap().synced().await.unwrap();
    assert_eq!(log.stats().synced, 19);
}

#[tokio::test]
async fn a_log_that_is_closed_has_synced_every_segment() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    let log = fill(directory.path(), options, 1..20).await;
    let synced = log.shared.writer.synced();
    drop(log);
    assert_eq!(synced.borrow().sequence, 19);
}

#[tokio::test]
async fn sync_durability_waits_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { durability: Durability::Sync, ..LogOptions::default() };
    let log = TelemetryLog::open(directory.path(), options).unwrap();
    let receipt = log.append(&record(1)).await.unwrap();
    assert!(log.stats().synced >= receipt.sequence);
}
