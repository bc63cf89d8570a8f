//! Clients' requests are drawn uniformly, the same by the same seed, and no others.

use std::collections::{BTreeMap, BTreeSet};

use release::Timestamp;

use super::*;
use crate::record::tests::record;
use crate::record::{AnswerRecord, Aside, Captured, Step};
use crate::tables::tests::{Desk, tenant};

fn id(number: u16) -> TraceId {
    let digest = Digest::of(&number.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    TraceId::from_bytes(bytes)
}

fn asked(number: u16) -> AnswerRecord {
    let step = |name: &str| Step { name: name.to_owned(), begin_ns: 0, end_ns: 5 };
    let steps = vec![step("compose"), step("generate")];
    AnswerRecord { trace: id(number), tenant: tenant("a"), steps, ..record(1) }
}

async fn drawn(desk: &Desk, seed: u64) -> Vec<TraceId> {
    let of = (&"support".parse().unwrap(), &"prod".parse().unwrap());
    draw(desk.queries(), &tenant("a"), of, (Span::ALL, seed)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drawn_is_of_clients_alone_and_the_same_by_the_same_seed() {
    let desk = Desk::new().await;
    for number in 0..20 {
        desk.append(&asked(number)).await;
    }
    let embedding = vec![Step { name: "embed".to_owned(), begin_ns: 0, end_ns: 5 }];
    let others = [
        AnswerRecord { aside: Some(Aside::Evaluation("returns-1".into())), ..asked(20) },
        AnswerRecord { input: Captured::Length { bytes: 3 }, ..asked(21) },
        AnswerRecord { steps: embedding, ..asked(22) },
        AnswerRecord { environment: "dev".parse().unwrap(), ..asked(23) },
        AnswerRecord { tenant: tenant("b"), ..asked(24) },
    ];
    for other in &others {
        desk.append(other).await;
    }
    let one = drawn(&desk, 1).await;
    let all: BTreeSet<_> = (0..20).map(id).collect();
    assert_eq!(one.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(drawn(&desk, 1).await, one);
    assert_ne!(drawn(&desk, 2).await, one);

    let records = crate::answers::records(desk.queries(), &tenant("a"), &one[..3]).await.unwrap();
    assert_eq!(
        records.keys().copied().collect::<BTreeSet<_>>(),
        one[..3].iter().copied().collect()
    );
    let first = records.values().next().unwrap();
    assert!(matches!(first.input, Captured::Full { .. }) && first.steps.len() == 2);
    assert_eq!(first.settings, record(1).settings);
    let nothing = (Span { from: Timestamp::MAX, ..Span::ALL }, 1);
    let of = (&"support".parse().unwrap(), &"prod".parse().unwrap());
    assert_eq!(draw(desk.queries(), &tenant("a"), of, nothing).await.unwrap(), []);
}

#[test]
fn each_request_is_drawn_about_equally_often_over_all_seeds() {
    let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
    for seed in 0..4_000 {
        let (turn, digits) = order(seed);
        let place = |number: &u16| {
            let text = id(*number).to_string();
            let at = usize::try_from(turn).unwrap() - 1;
            let turned = format!("{}{}", &text[at..], &text[..at]);
            let digit = |c: char| digits.as_bytes()[c.to_digit(16).unwrap() as usize];
            turned.chars().map(digit).collect::<Vec<u8>>()
        };
        let first = (0..8).min_by_key(place).unwrap();
        *counts.entry(first).or_default() += 1;
    }
    // 500 each are expected, with a standard deviation of 21.
    assert!(
        counts.len() == 8 && counts.values().all(|count| (400..600).contains(count)),
        "{counts:?}"
    );
}
