//! The graph as an SVG document.

use std::fmt::Write as _;

use super::layout::{Line, Placed, place};
use super::{Edge, Flow, Graph, Node, Way, cut};

/// The most states and ways that are drawn.
const MOST: usize = 1_000;
/// The space around the graph.
const MARGIN: f64 = 24.0;
/// The height of the title.
const HEAD: f64 = 40.0;
/// How wide a character is, about, of a name and of the smaller texts.
const CHARACTER: (f64, f64) = (7.8, 6.3);

/// Colours by what they are for, on light ground and on dark.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11.5px;fill:#57606a}\
.ground{fill:#ffffff}.head{font-size:15px;font-weight:600;fill:#1f2328}\
.name{font-size:13px;font-weight:600;fill:#1f2328}\
.box{fill:#f6f8fa;stroke:#8c959f;stroke-width:1.2}\
.line{fill:none;stroke:#8c959f;stroke-width:1.3}.tip{fill:#8c959f;stroke:none}\
.taken .line{stroke:#1f2328;stroke-width:2}.taken .tip{fill:#1f2328}.catch .line{stroke-dasharray:5 4}\
.label{text-anchor:middle}.behind{fill:#ffffff;fill-opacity:.85}.outer>.box{fill-opacity:.35}\
.not_begun>.box{stroke-dasharray:4 3}\
.running>.box{fill:#ddf4ff;stroke:#0969da;stroke-width:2}.running>.told{fill:#0550ae}\
.waiting>.box,.retrying>.box{fill:#fff8c5;stroke:#9a6700;stroke-width:2}.waiting>.told,.retrying>.told{fill:#7d4e00}\
.succeeded>.box{fill:#dafbe1;stroke:#1a7f37}.succeeded>.told{fill:#116329}\
.failed>.box{fill:#ffebe9;stroke:#cf222e;stroke-width:2}.failed>.told{fill:#a40e26}\
.caught>.box{fill:#fff1e5;stroke:#bc4c00}.caught>.told{fill:#953800}\
.aborted>.box{fill:#fbefff;stroke:#8250df}.aborted>.told{fill:#6639ba}\
@media (prefers-color-scheme:dark){text{fill:#9198a1}.ground{fill:#0d1117}\
.head,.name{fill:#f0f6fc}.box{fill:#161b22;stroke:#6e7681}\
.line{stroke:#6e7681}.tip{fill:#6e7681}.taken .line{stroke:#f0f6fc}.taken .tip{fill:#f0f6fc}\
.behind{fill:#0d1117}\
.running>.box{fill:#0c2d6b;stroke:#58a6ff}.running>.told{fill:#a5d6ff}\
.waiting>.box,.retrying>.box{fill:#3b2300;stroke:#d29922}.waiting>.told,.retrying>.told{fill:#f2cc60}\
.succeeded>.box{fill:#04260f;stroke:#3fb950}.succeeded>.told{fill:#7ee787}\
.failed>.box{fill:#490202;stroke:#f85149}.failed>.told{fill:#ffa198}\
.caught>.box{fill:#3d1300;stroke:#db6d28}.caught>.told{fill:#ffa657}\
.aborted>.box{fill:#271052;stroke:#a371f7}.aborted>.told{fill:#d2a8ff}}";

/// A text as XML and HTML hold it, in elements and in attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What XML cannot hold in any form.
            c if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => escaped.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Draws the graph. One that is too large to place in a moment is told of instead.
pub fn draw(graph: &Graph) -> String {
    let stands = graph.status.is_some();
    let size = graph.flow.size();
    let shown =
        if size > MOST { &Flow { nodes: Vec::new(), edges: Vec::new() } } else { &graph.flow };
    let placed = place(shown, if stands { 3 } else { 2 });
    let status = graph.status.map_or_else(String::new, |status| {
        format!(" · {}", status.as_str().replace('_', " ").to_lowercase())
    });
    let note = if size > MOST { " · too large for a picture" } else { "" };
    let head = format!("{}{status}{note}", graph.title);
    let least = head.chars().count().min(80) as f64 * 9.0;
    let width = placed.width.max(least) + 2.0 * MARGIN;
    let height = placed.height + HEAD + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"title description\" \
         width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"head\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>\n",
        escape(&head),
        escape(&summary(shown, stands)),
        MARGIN + 14.0,
        escape(&cut(&head, 80)),
    );
    let left = (width - placed.width) / 2.0;
    flow(&mut svg, shown, &placed, (left, MARGIN + HEAD, stands));
    svg.push_str("</svg>\n");
    svg
}

/// What the graph shows, in words.
fn summary(flow: &Flow, stands: bool) -> String {
    let told = flow.nodes.iter().map(|node| match stands {
        true => format!("{}: {}.", node.name, node.standing.as_str()),
        false => format!("{}: {}.", node.name, node.kind),
    });
    told.collect::<Vec<_>>().join(" ")
}

fn flow(svg: &mut String, flow: &Flow, placed: &Placed, (left, top, stands): (f64, f64, bool)) {
    // Boxes hide what passes behind them, and labels stand before both.
    let lines = flow.edges.iter().zip(&placed.lines);
    for (edge, line) in lines.clone() {
        self::line(svg, edge, line, (left, top));
    }
    for (node, one) in flow.nodes.iter().zip(&placed.boxes) {
        let (x, y, width, height) = one.at;
        let (x, y) = (x + left, y + top);
        state(svg, node, (x, y, width, height), stands);
        for (index, ((dx, dy, within), below)) in one.within.iter().zip(&node.flows).enumerate() {
            let title = escape(&Flow::title(node, index));
            let (x, y) = (x + dx, y + dy);
            put(
                svg,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{title}</text>\n",
                    x + within.width / 2.0,
                    y - 10.0
                ),
            );
            self::flow(svg, below, within, (x, y, stands));
        }
        svg.push_str("</g>\n");
    }
    for (edge, line) in lines {
        let Some(label) = &edge.label else { continue };
        let (x, y) = (line.label.0 + left, line.label.1 + top + 4.0);
        let short = cut(label, 25);
        let width = short.chars().count() as f64 * CHARACTER.1 + 8.0;
        put(
            svg,
            format_args!(
                "<rect class=\"behind\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"15\"/>\
                 <text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\"><title>{}</title>{}</text>\n",
                x - width / 2.0,
                y - 11.0,
                escape(label),
                escape(&short)
            ),
        );
    }
}

fn line(svg: &mut String, edge: &Edge, line: &Line, (left, top): (f64, f64)) {
    let points: Vec<_> = line.points.iter().map(|(x, y)| (x + left, y + top)).collect();
    let [first, .., last] = points.as_slice() else { return };
    let mut path = format!("M{:.1} {:.1}", first.0, first.1);
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = pair else { continue };
        if line.back {
            path.push_str(&format!("L{x1:.1} {y1:.1}"));
        } else {
            // The tip takes the last of it.
            let y1 = if (x1, y1) == (&last.0, &last.1) { y1 - 6.0 } else { *y1 };
            let middle = (y0 + y1) / 2.0;
            path.push_str(&format!("C{x0:.1} {middle:.1} {x1:.1} {middle:.1} {x1:.1} {y1:.1}"));
        }
    }
    let (x, y) = *last;
    let tip = if line.back {
        format!("M{x:.1} {y:.1}l8 -4.5v9z")
    } else {
        format!("M{x:.1} {y:.1}l-4.5 -8h9z")
    };
    let mut class = vec!["way"];
    class.extend((edge.way == Way::Catch).then_some("catch"));
    class.extend((edge.taken > 0).then_some("taken"));
    put(
        svg,
        format_args!(
            "<g class=\"{}\"><path class=\"line\" d=\"{path}\"/><path class=\"tip\" d=\"{tip}\"/></g>\n",
            class.join(" ")
        ),
    );
}

/// The box of a state; its group is left open.
fn state(svg: &mut String, node: &Node, (x, y, width, height): (f64, f64, f64, f64), stands: bool) {
    let class = match serde_json::to_value(node.standing) {
        Ok(serde_json::Value::String(class)) if stands => class,
        _ => "defined".to_owned(),
    };
    let (described, told) = (node.described(), node.told());
    let error = node.error.as_ref().map(|error| format!(" · {error}")).unwrap_or_default();
    let title = match told.as_str() {
        "" => format!("{}: {described}", node.name),
        told => format!("{}: {described} · {told}{error}", node.name),
    };
    put(
        svg,
        format_args!(
            "<g class=\"{class}{}\"><title>{}</title><rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" \
             width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\"/>\n",
            if node.flows.is_empty() { "" } else { " outer" },
            escape(&title)
        ),
    );
    let room = |character: f64| ((width - 24.0) / character) as usize;
    let told = if told.is_empty() { "not begun".to_owned() } else { told };
    let texts = [
        ("name", cut(&node.name, room(CHARACTER.0))),
        ("kind", cut(&described, room(CHARACTER.1))),
        ("told", cut(&told, room(CHARACTER.1))),
    ];
    let shown = if stands { 3 } else { 2 };
    for (index, (class, text)) in texts.iter().take(shown).enumerate() {
        put(
            svg,
            format_args!(
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                x + 12.0,
                y + 21.0 + 17.0 * index as f64,
                escape(text)
            ),
        );
    }
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = svg.write_fmt(text);
}
