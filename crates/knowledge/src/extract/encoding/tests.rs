//! Every encoding that can be told is told, and what cannot be is said.

use super::*;

fn text(bytes: &[u8]) -> String {
    decode(bytes, None).unwrap().text
}

#[test]
fn marks_of_byte_order_tell_the_encoding() {
    assert_eq!(text(b"\xef\xbb\xbfna\xc3\xafve"), "naïve");
    assert_eq!(text(b"\xff\xfen\0a\0\xef\0v\0e\0"), "naïve");
    assert_eq!(text(b"\xfe\xff\0n\0a\0\xef\0v\0e"), "naïve");
}

#[test]
fn utf_16_is_told_by_its_zeros() {
    let little: Vec<u8> = "Plain words".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = "Plain words".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!((text(&little), text(&big)), ("Plain words".to_owned(), "Plain words".to_owned()));
}

#[test]
fn latin_1_is_assumed_at_last_and_said_so() {
    let decoded = decode(b"caf\xe9", None).unwrap();
    assert_eq!(decoded, Decoded { text: "café".to_owned(), assumed: Some("windows-1252") });
}

#[test]
fn a_declared_encoding_counts_where_utf_8_does_not_fit() {
    let greek = declared("text/plain; charset=\"iso-8859-7\"");
    assert_eq!(decode(b"\xe1\xe2", greek).unwrap().text, "αβ");
    let page = decode_html(b"<meta charset='iso-8859-7'>\xe1", None).unwrap();
    assert!(page.text.ends_with('α') && page.assumed.is_none());
    assert_eq!(decode("ä".as_bytes(), greek).unwrap().text, "ä");
}

#[test]
fn what_is_no_text_is_refused() {
    for bytes in [&b"abc\0def"[..], b"\x7fELF\x01\x02\x03\x04\x05\x06\xff", b"\xff\xfea\0\0\xd8"] {
        assert!(decode(bytes, None).is_err(), "{bytes:?}");
    }
}

#[test]
fn lines_end_in_one_way() {
    assert_eq!(text(b"a\r\nb\rc\n"), "a\nb\nc\n");
}
