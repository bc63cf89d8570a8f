use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = EventReader::default();
    let mut events = Vec::new();
    for piece in pieces {
        reader.push(piece).unwrap();
        while let Some(data) = reader.next().unwrap() {
            events.push(String::from_utf8(data.to_vec()).unwrap());
        }
    }
    events.extend(reader.finish().unwrap().map(|data| String::from_utf8(data.to_vec()).unwrap()));
    events
}

#[test]
fn every_line_end_ends_a_line() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("event: a{end}data: 1{end}data:2{end}{end}: comment{end}data{end}{end}");
        assert_eq!(read(&[text.as_bytes()]), ["1\n2", ""]);
    }
}

#[test]
fn a_byte_order_mark_comments_and_other_fields_are_left_out() {
    let text = "\u{feff}data: 1\n\n:\n\nid: 7\nretry: 3\ndatum: x\n\ndata:  2\n\n";
    assert_eq!(read(&[text.as_bytes()]), ["1", " 2"]);
}

#[test]
fn the_last_event_needs_no_empty_line() {
    assert_eq!(read(&[b"data: 1\n\ndata: 2"]), ["1", "2"]);
    assert_eq!(read(&[b"data: 1\n\ndata: 2\n"]), ["1", "2"]);
    assert_eq!(read(&[b"data: 1\n\n"]), ["1"]);
}

#[test]
fn a_line_an_event_and_a_stream_have_limits() {
    let limits = Limits { line: 10, event: 16, total: 60 };
    let reads = |text: &str| {
        let mut reader = EventReader::with_limits(limits);
        for piece in text.as_bytes().chunks(4) {
            reader.push(piece)?;
            while reader.next()?.is_some() {}
        }
        Ok(())
    };
    let what = |text: &str| match reads(text) {
        Err(ProviderError::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what("data: 1234567890"), "a line");
    assert_eq!(what("data: 1234\ndata: 5678\ndata: 9012\ndata: 3456\n"), "an event");
    assert_eq!(what(&"data: 1\n\n".repeat(7)), "a stream");
    reads(&"data: 1\n\n".repeat(6)).unwrap();
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_changes_nothing(
        text in "(data: ?[a-z{}]{0,9}|: c|id: 4|data)?(\n|\r\n|\r){1,2}",
        more in prop::collection::vec("(data: [a-zé]{0,6}|: c|)(\n|\r\n|\r){1,3}", 0..8),
        size in 1_usize..9,
    ) {
        let text = text + &more.concat();
        let whole = read(&[text.as_bytes()]);
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        prop_assert_eq!(read(&pieces), whole);
    }

    #[test]
    fn no_bytes_make_it_fail_below_its_limits(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut reader = EventReader::default();
        reader.push(&bytes).unwrap();
        while reader.next().unwrap().is_some() {}
        reader.finish().unwrap();
    }
}
