use crate::embed::tests::{Counting, embedding};
use crate::snapshot::tests::Base;
use crate::{Check, RefreshInput, refresh};

#[tokio::test]
async fn a_batch_that_speaks_of_something_else_moves_the_middle() {
    let mut base = Base::new(&[]);
    for number in 0..60 {
        base.write(&format!("{number}.md"), &format!("Helmets of number {number}."));
    }
    let embedder = Counting::new("fake");
    let mut drift = async |limit: f64| -> Option<Check> {
        let mut input =
            RefreshInput { embedding: Some(embedding(&base, &embedder).await), ..base.input(100) };
        input.spec.quality.max_drift = Some(limit);
        let refreshed = refresh(input).await.unwrap();
        (base.parent, base.ledger) = (Some(refreshed.manifest), Some(refreshed.ledger));
        for number in 0..30 {
            base.write(&format!("{number}.md"), &format!("Quite other words, {number} of them."));
        }
        refreshed.report.quality.checks.into_iter().find(|check| check.gate == "max_drift")
    };
    assert_eq!(drift(0.01).await, None, "there is nothing to compare with");
    let moved = drift(0.01).await.unwrap();
    assert!(!moved.passed && moved.measured > 0.01, "{moved:?}");
    assert_eq!(drift(0.01).await, None, "nothing changed");
}
