//! Who calls whom, how often and how long; and where errors begin.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::piece::Piece;
use crate::metrics::Sketch;

/// Services and their calls of each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Graph {
    /// How many traces it is of.
    pub traces: usize,
    /// How many spans.
    pub spans: usize,
    /// How many spans name a parent that is not among them.
    pub orphans: usize,
    /// The services, those that worked longest first.
    pub services: Vec<Service>,
    /// The calls, those that took longest in all first.
    pub edges: Vec<Edge>,
    /// Where errors begin, the most frequent first.
    pub hot_spots: Vec<HotSpot>,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub service: String,
    /// Its spans.
    pub spans: u64,
    /// Those that failed.
    pub errors: u64,
    /// Seconds that it worked itself, while no span below was under way.
    pub self_seconds: f64,
}

/// Calls of one service by another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    /// Who calls; empty where requests come in.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// How often.
    pub calls: u64,
    /// How often in vain.
    pub errors: u64,
    /// Seconds in all, as the caller waits for them.
    pub seconds: f64,
    /// The median, in seconds.
    pub p50: f64,
    /// Of a hundred calls, five are slower.
    pub p95: f64,
    /// Of a hundred calls, one is slower.
    pub p99: f64,
}

/// Where errors begin: a span failed, and none that it caused.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HotSpot {
    /// Whose span.
    pub service: String,
    /// What was done.
    pub name: String,
    /// Whom it asked, or empty.
    pub dependency: String,
    /// What went wrong.
    pub error: String,
    /// How often.
    pub errors: u64,
    /// In how many traces.
    pub traces: usize,
    /// One of the traces.
    pub example: String,
}

#[derive(Default)]
struct Calls {
    errors: u64,
    seconds: Sketch,
}

/// The graph of spans, in any order. A span that is there twice counts once.
pub fn graph(pieces: &[Piece]) -> Graph {
    let mut by_id: HashMap<(&str, &str), usize> = HashMap::with_capacity(pieces.len());
    for (at, piece) in pieces.iter().enumerate() {
        by_id.entry((&piece.trace_id, &piece.span_id)).or_insert(at);
    }
    let unique: Vec<usize> = {
        let mut unique: Vec<_> = by_id.values().copied().collect();
        unique.sort_unstable();
        unique
    };
    let parent = |piece: &Piece| {
        let found = by_id.get(&(piece.trace_id.as_str(), piece.parent_span_id.as_str())).copied();
        found.filter(|_| !piece.parent_span_id.is_empty())
    };
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    // Spans that another service answered, and spans below which something failed.
    let (mut answered, mut failed_below) = (HashSet::new(), HashSet::new());
    let mut orphans = 0;
    for &at in &unique {
        let piece = &pieces[at];
        match parent(piece) {
            Some(above) => {
                children.entry(above).or_default().push(at);
                if pieces[above].service != piece.service {
                    answered.insert(above);
                }
                if piece.failed {
                    failed_below.insert(above);
                }
            }
            None => orphans += usize::from(!piece.parent_span_id.is_empty()),
        }
    }
    let mut services: BTreeMap<&str, Service> = BTreeMap::new();
    let mut edges: BTreeMap<(&str, &str), Calls> = BTreeMap::new();
    for &at in &unique {
        let piece = &pieces[at];
        let service = services.entry(&piece.service).or_default();
        service.spans += 1;
        service.errors += u64::from(piece.failed);
        let below = children.get(&at).map(Vec::as_slice).unwrap_or_default();
        service.self_seconds += self_time(piece, below, pieces) as f64 / 1e9;
        let mut call = |caller, callee, waited: &Piece| {
            let calls = edges.entry((caller, callee)).or_default();
            calls.errors += u64::from(piece.failed);
            calls.seconds.add(waited.duration as f64 / 1e9, 1);
        };
        match parent(piece).map(|above| &pieces[above]) {
            // The caller's own span knows how long it waited.
            Some(above) if above.service != piece.service => {
                let waited = if above.is_client { above } else { piece };
                call(&above.service, &piece.service, waited);
            }
            Some(_) => {}
            None => call("", &piece.service, piece),
        }
        if !piece.dependency.is_empty() && !answered.contains(&at) {
            call(&piece.service, &piece.dependency, piece);
        }
    }
    let traces: HashSet<&str> = unique.iter().map(|at| pieces[*at].trace_id.as_str()).collect();
    let roots_of_errors = unique
        .iter()
        .map(|at| (at, &pieces[*at]))
        .filter(|(at, piece)| piece.failed && !failed_below.contains(*at));
    Graph {
        traces: traces.len(),
        spans: unique.len(),
        orphans,
        services: ranked_services(services),
        edges: ranked_edges(edges),
        hot_spots: hot_spots(roots_of_errors.map(|(_, piece)| piece)),
    }
}

fn ranked_services(services: BTreeMap<&str, Service>) -> Vec<Service> {
    let named = services.into_iter().map(|(name, it)| Service { service: name.to_owned(), ..it });
    let mut ranked: Vec<_> = named.collect();
    ranked.sort_by(|one, other| other.self_seconds.total_cmp(&one.self_seconds));
    ranked
}

fn ranked_edges(edges: BTreeMap<(&str, &str), Calls>) -> Vec<Edge> {
    let edges = edges.into_iter().map(|((caller, callee), Calls { errors, seconds })| {
        let quantile = |quantile| seconds.quantile(quantile).unwrap_or_default();
        Edge {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            calls: seconds.count(),
            errors,
            seconds: seconds.sum(),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
        }
    });
    let mut ranked: Vec<_> = edges.collect();
    ranked.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    ranked
}

fn hot_spots<'a>(failed: impl Iterator<Item = &'a Piece>) -> Vec<HotSpot> {
    type Key<'a> = (&'a str, &'a str, &'a str, &'a str);
    let mut spots: BTreeMap<Key<'a>, (u64, BTreeSet<&'a str>)> = BTreeMap::new();
    for piece in failed {
        let Piece { service, name, dependency, error, trace_id, .. } = piece;
        let (errors, traces) = spots.entry((service, name, dependency, error)).or_default();
        *errors += 1;
        traces.insert(trace_id);
    }
    let spots =
        spots.into_iter().map(|((service, name, dependency, error), (errors, traces))| HotSpot {
            service: service.to_owned(),
            name: name.to_owned(),
            dependency: dependency.to_owned(),
            error: error.to_owned(),
            errors,
            traces: traces.len(),
            example: traces.first().copied().unwrap_or_default().to_owned(),
        });
    let mut ranked: Vec<_> = spots.collect();
    ranked.sort_by_key(|spot| std::cmp::Reverse(spot.errors));
    ranked
}

/// The nanoseconds of a span in which none of its children was under way.
fn self_time(piece: &Piece, children: &[usize], pieces: &[Piece]) -> i64 {
    let mut times: Vec<_> = children
        .iter()
        .map(|at| (pieces[*at].start.max(piece.start), pieces[*at].end().min(piece.end())))
        .filter(|(start, end)| start < end)
        .collect();
    times.sort_unstable();
    let (mut covered, mut until) = (0, piece.start);
    for (start, end) in times {
        covered += (end - start.max(until)).max(0);
        until = until.max(end);
    }
    piece.duration.max(0) - covered
}
