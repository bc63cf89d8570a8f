//! What traces wait for: the critical path, from the end of a trace back to its beginning. Work
//! that went on beside something longer did not delay anything.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::piece::Piece;

/// A part of the critical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waited {
    /// Which of the spans.
    pub piece: usize,
    /// The nanoseconds that the trace waited for the span itself.
    pub nanoseconds: i64,
}

/// What many traces wait for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Waiting {
    /// Whose span.
    pub service: String,
    /// What was done.
    pub name: String,
    /// Whom it asked, or empty.
    pub dependency: String,
    /// In how many traces it was waited for.
    pub traces: usize,
    /// Seconds in all.
    pub seconds: f64,
    /// Of the time that all traces took, from 0 to 1.
    pub share: f64,
}

/// The critical path of one trace's spans, in any order: how long was waited for each, the first
/// to begin first. It adds up to the duration of the longest root.
pub fn critical_path(pieces: &[Piece]) -> Vec<Waited> {
    let mut by_id: HashMap<&str, usize> = HashMap::with_capacity(pieces.len());
    for (at, piece) in pieces.iter().enumerate() {
        by_id.entry(&piece.span_id).or_insert(at);
    }
    let is_root = |piece: &&Piece| {
        piece.parent_span_id.is_empty() || !by_id.contains_key(piece.parent_span_id.as_str())
    };
    let root = pieces.iter().filter(is_root).max_by_key(|piece| piece.duration);
    let Some(&root) = root.and_then(|root| by_id.get(root.span_id.as_str())) else {
        return Vec::new();
    };
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, piece) in pieces.iter().enumerate() {
        // A span that is there twice counts once.
        if by_id.get(piece.span_id.as_str()) == Some(&at)
            && let Some(&above) = by_id.get(piece.parent_span_id.as_str())
            && above != at
        {
            children.entry(above).or_default().push(at);
        }
    }
    let mut path = Vec::new();
    // A list of what is left to do rather than a recursion: traces may be deep.
    let mut left = vec![(root, (pieces[root].start, pieces[root].end()))];
    while let Some((at, (begin, end))) = left.pop() {
        let mut below = children.remove(&at).unwrap_or_default();
        below.sort_by_key(|child| std::cmp::Reverse((pieces[*child].end(), pieces[*child].start)));
        let (mut cursor, mut itself) = (end, 0);
        for child in below {
            let (start, ended) = (pieces[child].start.max(begin), pieces[child].end());
            // What outlives its parent was waited for only as long as that; what ended after the
            // cursor went on beside what was waited for.
            let ended = if cursor == end { ended.min(end) } else { ended };
            if ended > cursor || ended <= start {
                continue;
            }
            itself += cursor - ended;
            left.push((child, (start, ended)));
            cursor = start;
        }
        itself += cursor - begin;
        path.push(Waited { piece: at, nanoseconds: itself });
    }
    path.sort_by_key(|waited| pieces[waited.piece].start);
    path
}

/// What all traces together wait for, the longest first. Spans of one trace need not stand
/// together.
pub fn waiting(pieces: &[Piece]) -> Vec<Waiting> {
    let mut traces: BTreeMap<&str, Vec<Piece>> = BTreeMap::new();
    for piece in pieces {
        traces.entry(&piece.trace_id).or_default().push(piece.clone());
    }
    let mut all: BTreeMap<(String, String, String), (usize, i64)> = BTreeMap::new();
    let mut total = 0;
    for trace in traces.values() {
        let mut here: BTreeMap<(String, String, String), i64> = BTreeMap::new();
        for waited in critical_path(trace) {
            let Piece { service, name, dependency, .. } = &trace[waited.piece];
            let key = (service.clone(), name.clone(), dependency.clone());
            *here.entry(key).or_default() += waited.nanoseconds;
        }
        for (key, nanoseconds) in here.into_iter().filter(|(_, nanoseconds)| *nanoseconds > 0) {
            let (traces, sum) = all.entry(key).or_default();
            *traces += 1;
            *sum += nanoseconds;
            total += nanoseconds;
        }
    }
    let waiting = all.into_iter().map(|((service, name, dependency), (traces, sum))| Waiting {
        service,
        name,
        dependency,
        traces,
        seconds: sum as f64 / 1e9,
        share: sum as f64 / total as f64,
    });
    let mut ranked: Vec<_> = waiting.collect();
    ranked.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    ranked
}
