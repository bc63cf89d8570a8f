//! Where the states of a graph are drawn: in layers from top to bottom, what is within a state
//! inside its box.
//!
//! After Sugiyama's method: loops are set aside, each state comes a layer below all that lead to
//! it, ways across layers get a place in each, and each layer is ordered by where its neighbours
//! are.

use super::{Edge, Flow, Node};

/// The space between boxes beside each other, and around what is within a box.
const GAP: f64 = 28.0;
/// The space between layers.
const BETWEEN: f64 = 56.0;
/// The least width of a box, and the most of one without others in it.
const WIDTH: (f64, f64) = (150.0, 270.0);
/// How wide a character is, about, of a name and of the smaller texts.
const CHARACTER: (f64, f64) = (7.8, 6.3);
/// How high a line of a box is.
const LINE: f64 = 17.0;
/// How wide the label of a way is at most.
const LABEL: f64 = 170.0;
/// How many states and passing ways are put where they look well.
const ITEMS: usize = 2_000;
/// How far apart ways run that lead back.
const BACK: f64 = 16.0;

/// A flow with places.
#[derive(Debug, Default)]
pub struct Placed {
    /// How wide it is.
    pub width: f64,
    /// How high it is.
    pub height: f64,
    /// The box of each state.
    pub boxes: Vec<Box>,
    /// The line of each way.
    pub lines: Vec<Line>,
}

/// The box of a state.
#[derive(Debug, Default)]
pub struct Box {
    /// Left, top, width and height.
    pub at: (f64, f64, f64, f64),
    /// What is within it, each with its left and top.
    pub within: Vec<(f64, f64, Placed)>,
}

/// The line of a way.
#[derive(Debug, Default)]
pub struct Line {
    /// The points it goes through, from top to bottom; if it leads back, by its corners.
    pub points: Vec<(f64, f64)>,
    /// Whether it leads back.
    pub back: bool,
    /// The middle of its label.
    pub label: (f64, f64),
}

/// What has a place in a layer: a state, or a way that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    State(usize),
    Pass(usize, usize),
}

struct Layers<'a> {
    flow: &'a Flow,
    /// How many lines of text a box has.
    sizes: Vec<(f64, f64)>,
    layers: Vec<Vec<Item>>,
    /// The middles, in the order of `layers`.
    middles: Vec<Vec<f64>>,
}

/// Places a flow whose boxes have so many lines of text.
pub fn place(flow: &Flow, lines: usize) -> Placed {
    let mut boxes: Vec<Box> = flow.nodes.iter().map(|node| size(node, lines)).collect();
    let sizes: Vec<_> = boxes.iter().map(|one| (one.at.2, one.at.3)).collect();
    let mut layers = Layers { flow, sizes, layers: Vec::new(), middles: Vec::new() };
    layers.fill();
    // Many long ways take too long to be put well.
    let items: usize = layers.layers.iter().map(Vec::len).sum();
    let rounds = if items > ITEMS { (0, 0) } else { (8, 25) };
    layers.order(rounds.0);
    layers.spread(rounds.1);
    let left = layers.extent().0;
    let mut tops = Vec::new();
    let mut top = 0.0;
    for layer in &layers.layers {
        let height = layer.iter().map(|item| layers.height(*item)).fold(0.0, f64::max);
        tops.push((top, height));
        top += height + BETWEEN;
    }
    for (layer, (items, middles)) in layers.layers.iter().zip(&layers.middles).enumerate() {
        for (item, middle) in items.iter().zip(middles) {
            if let Item::State(index) = item {
                let (_, _, width, height) = boxes[*index].at;
                let (top, room) = tops[layer];
                let at = (middle - left - width / 2.0, top + (room - height) / 2.0, width, height);
                boxes[*index].at = at;
            }
        }
    }
    let mut width = layers.extent().1 - left;
    let mut placed = Vec::new();
    let mut backs = 0.0;
    for (index, edge) in flow.edges.iter().enumerate() {
        if edge.to > edge.from {
            placed.push(forward(&layers, index, (&boxes, &tops, left)));
        } else {
            backs += 1.0;
            placed.push(back(edge, &boxes, width + BACK * backs));
        }
    }
    if backs > 0.0 {
        let labels = flow.edges.iter().filter(|edge| edge.to <= edge.from);
        let labels = labels.map(|edge| label_width(edge) / 2.0).fold(0.0, f64::max);
        width += BACK * backs + labels.max(4.0);
    }
    let height = (top - BETWEEN).max(0.0);
    Placed { width, height, boxes, lines: placed }
}

/// A box at no place yet, as large as what is in it.
fn size(node: &Node, lines: usize) -> Box {
    let text = |text: &str, width: f64| text.chars().count() as f64 * width + 36.0;
    let name = text(&node.name, CHARACTER.0);
    let more = text(&node.described(), CHARACTER.1).max(text(&node.told(), CHARACTER.1));
    let mut width = name.max(more).clamp(WIDTH.0, WIDTH.1);
    let mut height = LINE * lines as f64 + 16.0;
    let mut within = Vec::new();
    if !node.flows.is_empty() {
        let mut left = GAP / 2.0;
        let mut deepest = 0.0_f64;
        for flow in &node.flows {
            let placed = place(flow, lines);
            deepest = deepest.max(placed.height);
            // The title of a branch stands above it.
            let room = placed.width.max(110.0);
            within.push((left + (room - placed.width) / 2.0, height + 26.0, placed));
            left += room + GAP;
        }
        let room = left - GAP / 2.0;
        if room < width {
            let more = (width - room) / 2.0;
            within.iter_mut().for_each(|(left, ..)| *left += more);
        }
        width = width.max(room);
        height += deepest + 26.0 + GAP / 2.0;
    }
    Box { at: (0.0, 0.0, width, height), within }
}

fn label_width(edge: &Edge) -> f64 {
    let label = edge.label.as_ref().map_or(0, |label| label.chars().count());
    (label as f64 * CHARACTER.1 + 12.0).min(LABEL)
}

impl Layers<'_> {
    /// Puts each state a layer below all that lead to it, and each way into the layers between.
    fn fill(&mut self) {
        let mut depth = vec![0; self.flow.nodes.len()];
        for index in 0..self.flow.nodes.len() {
            for edge in self.flow.edges.iter().filter(|e| e.from == index && e.to > index) {
                depth[edge.to] = depth[edge.to].max(depth[index] + 1);
            }
        }
        let count = depth.iter().max().map_or(0, |deepest| deepest + 1);
        self.layers = vec![Vec::new(); count];
        for (index, depth) in depth.iter().enumerate() {
            self.layers[*depth].push(Item::State(index));
        }
        for (index, edge) in self.flow.edges.iter().enumerate() {
            for layer in depth[edge.from] + 1..depth[edge.to].max(depth[edge.from] + 1) {
                if edge.to > edge.from {
                    self.layers[layer].push(Item::Pass(index, layer));
                }
            }
        }
    }

    /// Orders each layer by the middle of its neighbours above, then below, a few times.
    fn order(&mut self, rounds: usize) {
        for round in 0..rounds {
            let down = round % 2 == 0;
            let count = self.layers.len();
            for step in 1..count {
                let layer = if down { step } else { count - 1 - step };
                let beside = if down { layer - 1 } else { layer + 1 };
                let places = |item: &Item| self.layers[beside].iter().position(|one| one == item);
                let mut keyed: Vec<(f64, Item)> = Vec::new();
                for (own, item) in self.layers[layer].iter().enumerate() {
                    let near = self.neighbours(*item, layer, down);
                    let near: Vec<_> = near.iter().filter_map(places).collect();
                    let mean = near.iter().sum::<usize>() as f64 / near.len() as f64;
                    keyed.push((if near.is_empty() { own as f64 } else { mean }, *item));
                }
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[layer] = keyed.into_iter().map(|(_, item)| item).collect();
            }
        }
    }

    /// The items of the layer above (or below) that ways connect an item with.
    fn neighbours(&self, item: Item, layer: usize, above: bool) -> Vec<Item> {
        let beside = if above { layer.wrapping_sub(1) } else { layer + 1 };
        let Some(items) = self.layers.get(beside) else { return Vec::new() };
        let there = |item: Item| items.contains(&item).then_some(item);
        let edges = self.flow.edges.iter().enumerate();
        let ways = edges.filter(|(index, edge)| {
            edge.to > edge.from
                && match item {
                    Item::Pass(own, _) => own == *index,
                    Item::State(state) => state == if above { edge.to } else { edge.from },
                }
        });
        let other = ways.filter_map(|(index, edge)| {
            let end = if above { edge.from } else { edge.to };
            there(Item::State(end)).or_else(|| there(Item::Pass(index, beside)))
        });
        other.collect()
    }

    /// Gives each item a middle: near its neighbours', in order, and apart from those beside it.
    fn spread(&mut self, rounds: usize) {
        for layer in &self.layers {
            let mut right = 0.0;
            let mut middles = Vec::new();
            for item in layer {
                let width = self.width(*item);
                middles.push(right + width / 2.0);
                right += width + GAP;
            }
            middles.iter_mut().for_each(|middle| *middle -= (right - GAP) / 2.0);
            self.middles.push(middles);
        }
        for round in 0..rounds {
            let down = round % 2 == 0;
            let count = self.layers.len();
            for step in 0..count {
                let layer = if down { step } else { count - 1 - step };
                self.settle(layer, down);
            }
        }
    }

    fn settle(&mut self, layer: usize, above: bool) {
        let beside = if above { layer.wrapping_sub(1) } else { layer + 1 };
        let items = &self.layers[layer];
        let mut wanted = self.middles[layer].clone();
        for (place, item) in items.iter().enumerate() {
            let near = self.neighbours(*item, layer, above);
            let near: Vec<f64> = near
                .iter()
                .filter_map(|one| self.layers[beside].iter().position(|item| item == one))
                .map(|place| self.middles[beside][place])
                .collect();
            if !near.is_empty() {
                wanted[place] = near.iter().sum::<f64>() / near.len() as f64;
            }
        }
        let apart =
            |place: usize| (self.width(items[place - 1]) + self.width(items[place])) / 2.0 + GAP;
        let (mut right, mut left) = (wanted.clone(), wanted);
        for place in 1..items.len() {
            right[place] = right[place].max(right[place - 1] + apart(place));
        }
        for place in (1..items.len()).rev() {
            left[place - 1] = left[place - 1].min(left[place] - apart(place));
        }
        self.middles[layer] = right.iter().zip(&left).map(|(a, b)| (a + b) / 2.0).collect();
    }

    fn width(&self, item: Item) -> f64 {
        match item {
            Item::State(index) => self.sizes[index].0,
            // A label stands where its way passes first.
            Item::Pass(index, layer) => {
                let from = Item::State(self.flow.edges[index].from);
                let first = self.layers[layer - 1].contains(&from);
                if first { label_width(&self.flow.edges[index]) } else { 10.0 }
            }
        }
    }

    fn height(&self, item: Item) -> f64 {
        match item {
            Item::State(index) => self.sizes[index].1,
            Item::Pass(..) => 0.0,
        }
    }

    fn middle(&self, layer: usize, item: Item) -> Option<f64> {
        let place = self.layers[layer].iter().position(|one| *one == item)?;
        Some(self.middles[layer][place])
    }

    /// The leftmost and the rightmost point.
    fn extent(&self) -> (f64, f64) {
        let (mut left, mut right) = (f64::MAX, f64::MIN);
        for (items, middles) in self.layers.iter().zip(&self.middles) {
            for (item, middle) in items.iter().zip(middles) {
                let half = self.width(*item) / 2.0;
                (left, right) = (left.min(middle - half), right.max(middle + half));
            }
        }
        if left > right { (0.0, 0.0) } else { (left, right) }
    }
}

/// The line of a way that leads down.
fn forward(
    layers: &Layers<'_>,
    index: usize,
    (boxes, tops, left): (&[Box], &[(f64, f64)], f64),
) -> Line {
    let edge = &layers.flow.edges[index];
    let (from, to) = (boxes[edge.from].at, boxes[edge.to].at);
    let forward = |one: &&Edge| one.to > one.from;
    let out = layers.flow.edges.iter().filter(forward).filter(|one| one.from == edge.from);
    let into = layers.flow.edges.iter().filter(forward).filter(|one| one.to == edge.to);
    let start = (port(from, edge, out, |one| boxes[one.to].at), from.1 + from.3);
    let end = (port(to, edge, into, |one| boxes[one.from].at), to.1);
    let mut points = vec![start];
    for (layer, (top, height)) in tops.iter().enumerate() {
        if let Some(middle) = layers.middle(layer, Item::Pass(index, layer)) {
            points.push((middle - left, *top));
            points.push((middle - left, top + height));
        }
    }
    points.push(end);
    let label = match points.len() {
        // Nearer to where it leads, where those of other ways are farther apart.
        2 => along(start, end, 0.62),
        _ => (points[1].0, points[1].1 + 4.0),
    };
    Line { points, back: false, label }
}

/// Where on the side of a box a way begins or ends: ways to the left are on the left.
fn port<'a>(
    (left, _, width, _): (f64, f64, f64, f64),
    edge: &Edge,
    ways: impl Iterator<Item = &'a Edge>,
    other: impl Fn(&Edge) -> (f64, f64, f64, f64),
) -> f64 {
    let middle = |one: &Edge| {
        let (left, _, width, _) = other(one);
        left + width / 2.0
    };
    let mut ways: Vec<_> = ways.collect();
    ways.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let place = ways.iter().position(|one| *one == edge).unwrap_or(0) as f64;
    let step = (width / (ways.len() as f64 + 1.0)).min(26.0);
    left + width / 2.0 + (place - (ways.len() as f64 - 1.0) / 2.0) * step
}

/// The line of a way that leads up, beside everything.
fn back(edge: &Edge, boxes: &[Box], lane: f64) -> Line {
    let side = |(left, top, width, height): (f64, f64, f64, f64), share: f64| {
        (left + width, top + height * share)
    };
    let (start, end) = (side(boxes[edge.from].at, 0.7), side(boxes[edge.to].at, 0.3));
    let points = vec![start, (lane, start.1), (lane, end.1), end];
    Line { points, back: true, label: (lane, (start.1 + end.1) / 2.0) }
}

/// A point on the curve from `start` to `end`, which leaves and arrives upright.
fn along((x0, y0): (f64, f64), (x1, y1): (f64, f64), t: f64) -> (f64, f64) {
    let middle = (y0 + y1) / 2.0;
    let bend = |a: f64, b: f64, c: f64, d: f64| {
        let u = 1.0 - t;
        u * u * u * a + 3.0 * u * u * t * b + 3.0 * u * t * t * c + t * t * t * d
    };
    (bend(x0, x0, x1, x1), bend(y0, middle, middle, y1))
}
