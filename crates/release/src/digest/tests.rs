//! Digests keep their text form and notice changed bytes.

use super::*;

#[test]
fn text_form_round_trips() {
    let digest = Digest::of(b"abc");
    assert_eq!(
        digest.to_string(),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(digest.to_string().parse(), Ok(digest));
}

#[test]
fn upper_case_wrong_length_and_missing_prefix_are_refused() {
    let text = Digest::of(b"abc").to_string();
    for bad in [text.to_uppercase(), text[7..].to_owned(), text[..70].to_owned()] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
}

#[test]
fn a_flipped_byte_is_named() {
    let digest = Digest::of(b"abc");
    assert_eq!(digest.verify(b"abc"), Ok(()));
    assert_eq!(digest.verify(b"abd").unwrap_err().expected, digest);
}

#[test]
fn moving_a_byte_between_fields_changes_the_digest() {
    assert_ne!(
        Digest::of_fields([b"ab".as_slice(), b"c"]),
        Digest::of_fields([b"a".as_slice(), b"bc"])
    );
}
