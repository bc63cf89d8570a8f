use super::{Likeness, Moved, Piece, moved, words};

fn passages(ids: &[&str]) -> Vec<(String, String)> {
    ids.iter().map(|id| ((*id).to_owned(), format!("{id}.md"))).collect()
}

#[test]
fn passages_are_kept_gained_and_lost_with_their_ranks() {
    let told = moved(&passages(&["a", "b", "c"]), &passages(&["c", "d", "a"]));
    let told: Vec<_> =
        told.iter().map(|Moved { id, before, after, .. }| (id.as_str(), *before, *after)).collect();
    let wanted = [
        ("c", Some(3), Some(1)),
        ("d", None, Some(2)),
        ("a", Some(1), Some(3)),
        ("b", Some(2), None),
    ];
    assert_eq!(told, wanted);
    assert_eq!(moved(&[], &[]), []);
}

#[test]
fn words_that_differ_stand_beside_those_that_do_not() {
    let (before, after) = ("You have 30 days.", "You have 14 days now.");
    let pieces = words(before, after).unwrap();
    let same = |text: &str| Piece::Same(text.to_owned());
    assert_eq!(pieces[0], same("You have "));
    assert!(matches!(&pieces[1], Piece::Lost(words) if words.starts_with("30")), "{pieces:?}");
    let side = |lost: bool| -> String {
        let of = pieces.iter().filter_map(|piece| match piece {
            Piece::Same(text) => Some(text.as_str()),
            Piece::Lost(text) => lost.then_some(text.as_str()),
            Piece::Gained(text) => (!lost).then_some(text.as_str()),
        });
        of.collect()
    };
    assert_eq!((side(true).as_str(), side(false).as_str()), (before, after));
    assert_eq!(words("the same", "the same"), None);
}

#[test]
fn the_same_answer_is_wholly_alike_and_another_is_not() {
    let same = Likeness::of("Thirty days.", "Thirty days.");
    assert_eq!((same.same, same.rouge_l, same.chrf), (true, Some(1.0), 100.0));
    let other = Likeness::of("Thirty days.", "We cannot tell.");
    assert!(!other.same && other.rouge_l == Some(0.0) && other.chrf < 20.0);
}
