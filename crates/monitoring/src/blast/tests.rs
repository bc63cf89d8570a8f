//! The blast radius is what a scan of everything that was sent would find.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::rows::{Batch, Origin, RetrievalEdge, Span as Row};
use crate::tables::tests::{Desk, tenant};

/// One answer: who asked, under which release, and what grounded it.
#[derive(Debug, Clone)]
struct Asked {
    user: u8,
    conversation: u8,
    release: u8,
    documents: Vec<u8>,
    ours: bool,
    copy: bool,
    at: i64,
}

fn asked() -> impl Strategy<Value = Asked> {
    let documents = prop::collection::vec(0u8..6, 0..4);
    let ours = prop::bool::weighted(0.8);
    let copy = prop::bool::weighted(0.2);
    (0u8..4, 0u8..5, 0u8..3, documents, ours, copy, 0i64..7_200).prop_map(
        |(user, conversation, release, documents, ours, copy, at)| Asked {
            user,
            conversation,
            release,
            documents,
            ours,
            copy,
            at: 1_700_000_000 + at,
        },
    )
}

fn batch(number: usize, asked: &Asked) -> Batch {
    let origin = Origin {
        app: "support".into(),
        release: format!("r{}", asked.release),
        ..Origin::default()
    };
    let (user, conversation) = (format!("u{}", asked.user), format!("c{}", asked.conversation));
    let at = Timestamp::from_second(asked.at).unwrap();
    let trace_id = format!("{number:032x}");
    let mark = (crate::attributes::COPY_OF.to_owned(), "7".repeat(32));
    let span = Row {
        attributes: asked.copy.then_some(mark).into_iter().collect(),
        trace_id: trace_id.clone(),
        span_id: "1".into(),
        name: "answer".into(),
        started_at: at,
        outcome: "answered".into(),
        origin: origin.clone(),
        user: user.clone(),
        conversation: conversation.clone(),
        ..Row::default()
    };
    let edges = asked.documents.iter().enumerate().map(|(rank, document)| RetrievalEdge {
        chunk: format!("chunk-{document}-{}", rank % 2),
        document: format!("d{document}"),
        snapshot: format!("s{}", asked.release),
        trace_id: trace_id.clone(),
        span_id: "1".into(),
        at,
        origin: origin.clone(),
        conversation: conversation.clone(),
        user: user.clone(),
        rank: rank as i64 + 1,
        ..RetrievalEdge::default()
    });
    Batch { spans: vec![span], retrieval_edges: edges.collect(), ..Batch::default() }
}

fn hit(cause: &Cause, asked: &Asked) -> bool {
    if asked.copy {
        return false;
    }
    let documents = asked.documents.iter().enumerate();
    match cause {
        Cause::Document(path) => documents.into_iter().any(|(_, it)| *path == format!("d{it}")),
        Cause::Chunk(id) => {
            documents.into_iter().any(|(rank, it)| *id == format!("chunk-{it}-{}", rank % 2))
        }
        Cause::Snapshot(digest) => {
            *digest == format!("s{}", asked.release) && !asked.documents.is_empty()
        }
        Cause::Releases(all) => all.contains(&format!("r{}", asked.release)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_radius_is_what_a_scan_of_everything_finds(
        all in prop::collection::vec(asked(), 1..60),
        flush_every in 1usize..20,
        since in 0i64..7_200,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut desk = Desk::new().await;
            for (number, asked) in all.iter().enumerate() {
                let whose = if asked.ours { TenantId::DEFAULT } else { tenant("other") };
                desk.put(&whose, batch(number, asked));
                if number % flush_every == 0 {
                    desk.tables().flush().await.unwrap();
                }
            }
            let from = Timestamp::from_second(1_700_000_000 + since).unwrap();
            let span = Span { from, ..Span::ALL };
            let causes = [
                Cause::Document("d1".into()),
                Cause::Chunk("chunk-2-0".into()),
                Cause::Snapshot("s1".into()),
                Cause::Releases(vec!["r0".into(), "r2".into()]),
            ];
            for cause in causes {
                let found = radius(desk.queries(), &TenantId::DEFAULT, (&cause, span)).await.unwrap();
                let expected: BTreeMap<String, &Asked> = all
                    .iter()
                    .enumerate()
                    .filter(|(_, it)| it.ours && it.at >= from.as_second() && hit(&cause, it))
                    .map(|(number, it)| (format!("{number:032x}"), it))
                    .collect();
                let mut traces: Vec<_> = found.answers.iter().map(|it| it.trace.clone()).collect();
                traces.sort();
                assert_eq!(traces, expected.keys().cloned().collect::<Vec<_>>(), "{cause:?}");
                let users: BTreeSet<_> = expected.values().map(|it| format!("u{}", it.user)).collect();
                let conversations: BTreeSet<_> =
                    expected.values().map(|it| format!("c{}", it.conversation)).collect();
                assert_eq!((found.users, found.conversations), (users, conversations));
                assert!(found.answers.is_sorted_by_key(|it| it.at) && !found.cut);
            }
            desk.close().await;
        });
    }
}
