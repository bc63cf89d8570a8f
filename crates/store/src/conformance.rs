//! What every engine and every blob store must do, as tests over a fixture.
//!
//! An implementation's test binary calls [`engine_conformance!`](crate::engine_conformance) or
//! [`blob_conformance!`](crate::blob_conformance) in a module of its own with an expression that
//! makes a fresh fixture; each test of the suite then is one `#[tokio::test]` there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test suite reports by panicking")]
#![expect(missing_docs, reason = "the tests are sentences")]

pub mod blobs;
pub mod engine;

use async_trait::async_trait;

use crate::{Blobs, Store};

/// An empty database for one test.
#[async_trait]
pub trait EngineFixture: Send + Sync {
    /// Opens it; again after the last store was closed, to see what it kept.
    async fn open(&self) -> Store;
}

/// An empty blob store for one test.
#[async_trait]
pub trait BlobFixture: Send + Sync {
    /// Opens it.
    async fn open(&self) -> Blobs;

    /// Puts `bytes` where the blob store keeps `path`, behind its back.
    async fn overwrite(&self, path: &str, bytes: Vec<u8>);
}

/// Makes a `#[tokio::test]` of every test of [`engine`](crate::conformance::engine).
#[macro_export]
macro_rules! engine_conformance {
    ($fixture:expr) => {
        $crate::conformance_tests! { engine, $fixture,
            a_record_is_put_read_changed_and_deleted,
            a_stale_expectation_conflicts_and_nothing_of_the_transaction_happens,
            records_are_listed_by_prefix_index_and_page_in_byte_order,
            a_put_replaces_the_records_index_entries,
            failing_transactions_do_not_disturb_those_committed_beside_them,
            concurrent_increments_lose_none,
            a_stream_is_dense_from_one_and_guarded_by_its_last_sequence,
            only_emitted_events_are_in_the_global_log,
            a_transaction_reports_what_it_brought_about,
            one_tenant_never_sees_anothers_records_streams_or_events,
            a_reader_racing_sixteen_writers_misses_no_event,
            a_watch_shows_the_highest_position,
            a_lease_is_held_by_one_until_it_expires_or_is_released,
            a_fenced_transaction_fails_once_the_lease_was_acquired_anew,
            what_was_committed_is_there_after_reopening,
            a_closed_store_answers_closed,
            unusable_names_and_values_are_refused,
            values_and_moments_come_back_as_they_were,
        }
    };
}

/// Makes a `#[tokio::test]` of every test of [`blobs`](crate::conformance::blobs).
#[macro_export]
macro_rules! blob_conformance {
    ($fixture:expr) => {
        $crate::conformance_tests! { blobs, $fixture,
            a_blob_is_put_found_read_and_deleted,
            putting_twice_keeps_one,
            concurrent_puts_of_the_same_bytes_all_succeed,
            one_tenant_never_sees_anothers_blobs,
            blobs_are_listed_in_order_and_by_page,
            a_flipped_byte_is_an_error_that_names_the_blob,
            a_truncated_or_foreign_file_is_corrupt,
            a_blob_of_a_newer_header_or_with_a_key_is_unsupported,
            a_large_blob_comes_back_whole,
        }
    };
}

/// The tests of one suite, by name.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, $fixture:expr, $($test:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::conformance::$suite::$test(&$fixture).await;
            }
        )+
    };
}
