//! The graph in characters: a line for each state in the order to read them, one for each way to
//! another state, and beside them a lane for each state that is not led to from right above.

use super::{Edge, Flow, Graph, Node, Standing, Way, cut};

/// The most lanes beside each other; more ways are told in words alone.
const LANES: usize = 10;
/// Branches within branches: below this width nothing more is drawn beside.
const NARROW: usize = 24;

/// How the graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How many characters a line has at most.
    pub width: usize,
    /// Whether standings are coloured.
    pub colour: bool,
}

/// Draws the graph.
pub fn draw(graph: &Graph, look: Look) -> String {
    let mut head = cut(&graph.title, look.width.saturating_sub(12));
    if let Some(status) = graph.status {
        head.push_str("  ");
        head.push_str(&status.as_str().replace('_', " ").to_lowercase());
    }
    let mut lines = vec![head, String::new()];
    lines.extend(flow(&graph.flow, look, graph.status.is_some()));
    lines.join("\n")
}

/// A line: what stands at its place in the graph.
enum Row<'a> {
    State(usize),
    /// A line of what is within a state.
    Within(String),
    Edge(&'a Edge),
}

/// The lane of a state: the rows of its ways, and its own.
struct Lane {
    rows: Vec<usize>,
    place: usize,
}

impl Lane {
    fn spans(&self, row: usize) -> bool {
        (self.rows[0]..=self.rows[self.rows.len() - 1]).contains(&row)
    }
}

fn flow(flow: &Flow, look: Look, stands: bool) -> Vec<String> {
    let adjacent = |edge: &Edge| edge.to == edge.from + 1;
    // Lanes take up to 20 columns of what is within states.
    let lanes = flow.edges.iter().filter(|edge| !adjacent(edge)).count().min(LANES);
    let inner = Look { width: look.width.saturating_sub(2 * lanes + 6), ..look };
    let mut rows = Vec::new();
    for (index, node) in flow.nodes.iter().enumerate() {
        rows.push((index, Row::State(index)));
        for (number, below) in node.flows.iter().enumerate() {
            let title = Flow::title(node, number);
            rows.push((index, Row::Within(format!("┌ {title}"))));
            let lines = if inner.width < NARROW {
                vec!["…".to_owned()]
            } else {
                self::flow(below, inner, stands)
            };
            rows.extend(lines.into_iter().map(|line| (index, Row::Within(format!("│ {line}")))));
            rows.push((index, Row::Within("└".to_owned())));
        }
        let ways = flow.edges.iter().filter(|edge| edge.from == index);
        rows.extend(ways.map(|edge| (index, Row::Edge(edge))));
    }
    let lanes = self::lanes(flow, &rows);
    let count = lanes.iter().flatten().map(|lane| lane.place + 1).max().unwrap_or(0);
    let pen = Pen { look, lanes, count };
    let mut lines = Vec::new();
    for (at, (index, row)) in rows.iter().enumerate() {
        let ways = flow.edges.iter().filter(|edge| edge.from == *index);
        let goes_on = match row {
            Row::Edge(_) => {
                let more = matches!(rows.get(at + 1), Some((_, Row::Edge(_))));
                more || ways.clone().any(adjacent)
            }
            _ => ways.clone().next().is_some(),
        };
        lines.push(match row {
            Row::State(state) => pen.state(at, *state, &flow.nodes[*state], stands),
            Row::Within(line) => pen.line(at, None, if goes_on { "│" } else { " " }, line),
            Row::Edge(edge) => pen.edge(at, edge, &flow.nodes[edge.to].name, goes_on),
        });
    }
    lines
}

/// The lane of each state that needs one; the shortest are the nearest.
fn lanes(flow: &Flow, rows: &[(usize, Row<'_>)]) -> Vec<Option<Lane>> {
    let mut lanes: Vec<Option<Lane>> = (0..flow.nodes.len()).map(|_| None).collect();
    for (at, (_, row)) in rows.iter().enumerate() {
        if let Row::Edge(edge) = row
            && edge.to != edge.from + 1
        {
            let lane = lanes[edge.to].get_or_insert_with(|| Lane { rows: Vec::new(), place: 0 });
            lane.rows.push(at);
        }
    }
    for (at, (index, row)) in rows.iter().enumerate() {
        if let (Row::State(_), Some(lane)) = (row, &mut lanes[*index]) {
            lane.rows.push(at);
            lane.rows.sort_unstable();
        }
    }
    let mut order: Vec<usize> = (0..lanes.len()).filter(|index| lanes[*index].is_some()).collect();
    let span = |lane: &Lane| lane.rows[lane.rows.len() - 1] - lane.rows[0];
    order.sort_by_key(|index| lanes[*index].as_ref().map(span));
    let mut placed: Vec<Vec<(usize, usize)>> = Vec::new();
    for index in order {
        let Some(lane) = &mut lanes[index] else { continue };
        let (from, to) = (lane.rows[0], lane.rows[lane.rows.len() - 1]);
        let free = |taken: &Vec<(usize, usize)>| taken.iter().all(|(a, b)| to < *a || *b < from);
        let place = placed.iter().position(free).unwrap_or(placed.len());
        if place == placed.len() {
            placed.push(Vec::new());
        }
        placed[place].push((from, to));
        lane.place = place;
        if place >= LANES {
            lanes[index] = None;
        }
    }
    lanes
}

struct Pen {
    look: Look,
    lanes: Vec<Option<Lane>>,
    count: usize,
}

impl Pen {
    fn state(&self, row: usize, index: usize, node: &Node, stands: bool) -> String {
        let own = self.lanes[index].is_some().then_some(index);
        let width = self.room();
        let told = if stands { cut(&node.told(), width / 2) } else { String::new() };
        let left = width.saturating_sub(told.chars().count() + 1);
        let name = cut(&node.name, left);
        let more = left.saturating_sub(name.chars().count() + 2);
        let described = if more > 3 { cut(&node.described(), more) } else { String::new() };
        let (sign, colour) = if stands { sign(node.standing) } else { ("○", "") };
        let between = width
            .saturating_sub(name.chars().count() + described.chars().count() + 2)
            .saturating_sub(told.chars().count());
        let described = self.painted("2", &described);
        let told = self.painted(colour, &told);
        let line = format!("{name}  {described}{}{told}", " ".repeat(between));
        self.line(row, own, &self.painted(colour, sign), line.trim_end())
    }

    fn edge(&self, row: usize, edge: &Edge, to: &str, goes_on: bool) -> String {
        let lane = edge.to != edge.from + 1 && self.lanes[edge.to].is_some();
        let spine = match (lane, goes_on) {
            (true, true) => "┤",
            (true, false) => "╯",
            (false, true) => "│",
            (false, false) => "╰",
        };
        let label = edge.label.as_deref().map(|label| match edge.way {
            Way::Catch => format!("on {label}"),
            _ => label.to_owned(),
        });
        let plain = edge.label.is_none() && edge.to == edge.from + 1;
        let line = if plain {
            String::new()
        } else {
            let to = format!("→ {}", cut(to, self.room() / 2));
            let room = self.room().saturating_sub(to.chars().count() + 4);
            let label = label.map(|label| format!("{} ", cut(&label, room)));
            format!("  {}{to}", label.unwrap_or_default())
        };
        let line = if edge.taken > 0 { line } else { self.painted("2", &line) };
        self.line(row, lane.then_some(edge.to), spine, &line)
    }

    /// A line with its lanes; `own` is the lane that leads to it or that it leads to.
    fn line(&self, row: usize, own: Option<usize>, spine: &str, text: &str) -> String {
        let mut line = String::new();
        let own_lane = own.and_then(|own| self.lanes[own].as_ref());
        let mut across = false;
        for place in (0..self.count).rev() {
            let mine = own_lane.filter(|lane| lane.place == place);
            let at = |lane: &&Lane| lane.place == place && lane.spans(row);
            let passes = self.lanes.iter().flatten().any(|lane| at(&lane));
            line.push(match (mine, passes, across) {
                (Some(lane), ..) if lane.rows[0] == row => '╭',
                (Some(lane), ..) if lane.rows[lane.rows.len() - 1] == row => '╰',
                (Some(_), ..) => '├',
                (None, true, true) => '┼',
                (None, true, false) => '│',
                (None, false, true) => '─',
                (None, false, false) => ' ',
            });
            across |= mine.is_some();
            line.push(if across { '─' } else { ' ' });
        }
        let arrives = across && !"┤╯".contains(spine);
        line.push_str(if arrives {
            "▸"
        } else if across {
            "─"
        } else {
            " "
        });
        line.push_str(spine);
        line.push(' ');
        line.push_str(text);
        line.trim_end().to_owned()
    }

    fn room(&self) -> usize {
        self.look.width.saturating_sub(2 * self.count + 3)
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.look.colour && !colour.is_empty() && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The sign of a standing, and its colour.
fn sign(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::NotBegun => ("○", "2"),
        Standing::Running => ("▶", "36"),
        Standing::Waiting => ("◷", "33"),
        Standing::Retrying => ("↻", "33"),
        Standing::Succeeded => ("✓", "32"),
        Standing::Failed => ("✗", "31"),
        Standing::Caught => ("!", "33"),
        Standing::Aborted => ("■", "35"),
    }
}
