use super::*;

#[test]
fn a_difference_shows_the_lines_that_changed_with_context() {
    let old = "one\ntwo\nthree\nfour\nfive\nsix\n";
    let new = "one\ntwo\nthree\nfour\n5\nsix\nseven";
    assert_eq!(
        diff(old, new),
        "@@ -2,5 +2,6 @@\n two\n three\n four\n-five\n+5\n six\n+seven\n\\ No newline at end of file\n"
    );
    assert_eq!(diff(old, old), "");
}
