//! Events come out whole, however the bytes are cut.

use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> Vec<SseEvent> {
    let mut reader = SseReader::default();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(reader.push(piece).unwrap());
    }
    events.extend(reader.finish());
    events
}

const STREAM: &[u8] =
    b": hello\r\nevent: ping\ndata: {}\n\ndata: a\ndata:b\nid: 7\n\n\n\ndata: \xe2\x82\xac\n\ndata: last";

#[test]
fn names_data_lines_comments_and_a_missing_last_line_end_are_understood() {
    let events = read(&[STREAM]);
    let shown: Vec<_> = events.iter().map(|e| (e.name.as_str(), e.data.as_str())).collect();
    assert_eq!(shown, [("ping", "{}"), ("", "a\nb"), ("", "€"), ("", "last")]);
}

#[test]
fn an_endless_line_is_refused() {
    let mut reader = SseReader::default();
    let piece = vec![b'x'; 1 << 20];
    let refused = (0..8).find_map(|_| reader.push(&piece).err());
    assert_eq!(refused, Some(TooLong));
}

proptest! {
    #[test]
    fn cutting_the_bytes_elsewhere_changes_nothing(
        cuts in prop::collection::vec(0..STREAM.len(), 0..8),
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&STREAM[from..cut]);
            from = cut;
        }
        pieces.push(&STREAM[from..]);
        prop_assert_eq!(read(&pieces), read(&[STREAM]));
    }
}
