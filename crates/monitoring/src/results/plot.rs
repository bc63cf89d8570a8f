//! Plots in block characters.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::datatypes::DataType;
use release::Timestamp;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::table::cut;
use super::{Results, cell};

/// The most series that are drawn, each in a plot of its own.
const MAX_SERIES: usize = 8;
/// The most categories that are drawn.
const MAX_BARS: usize = 40;
/// Eighths of a character, from the bottom and from the left.
const UP: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const RIGHT: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// There is nothing to plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlot;

impl fmt::Display for NoPlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "there is nothing to plot: a plot needs rows, and a column of numbers, as `stats \
             count(*) by bin(5m)` gives",
        )
    }
}

impl std::error::Error for NoPlot {}

/// Which columns are what.
struct Columns {
    time: Option<usize>,
    labels: Vec<usize>,
    numbers: Vec<usize>,
}

/// One line of points.
struct Series {
    name: String,
    /// Seconds since 1970, and the value.
    points: Vec<(f64, f64)>,
}

/// See [`Results::plot`].
pub fn plot(results: &Results, width: usize, height: usize) -> Result<String, NoPlot> {
    let rows: Vec<Vec<Value>> = results.values().collect();
    let columns = columns(results);
    if rows.is_empty() || columns.numbers.is_empty() {
        return Err(NoPlot);
    }
    match columns.time {
        Some(time) => {
            let series = series(results, &rows, (time, &columns));
            if series.is_empty() { Err(NoPlot) } else { Ok(over_time(&series, width, height)) }
        }
        None => Ok(bars(results, &rows, (&columns, width))),
    }
}

fn columns(results: &Results) -> Columns {
    let mut columns = Columns { time: None, labels: Vec::new(), numbers: Vec::new() };
    for (index, field) in results.schema.fields().iter().enumerate() {
        match field.data_type() {
            DataType::Timestamp(..) if columns.time.is_none() => columns.time = Some(index),
            kind if kind.is_numeric() => columns.numbers.push(index),
            _ => columns.labels.push(index),
        }
    }
    columns
}

/// A series for each number and each combination of labels.
fn series(
    results: &Results,
    rows: &[Vec<Value>],
    (time, columns): (usize, &Columns),
) -> Vec<Series> {
    let names = results.columns();
    let mut all: BTreeMap<(String, usize), Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let at: Option<Timestamp> = row[time].as_str().and_then(|at| at.parse().ok());
        let Some(at) = at else { continue };
        let label = label(row, &columns.labels);
        for number in &columns.numbers {
            let Some(value) = row[*number].as_f64() else { continue };
            let seconds = at.as_nanosecond() as f64 / 1e9;
            all.entry((label.clone(), *number)).or_default().push((seconds, value));
        }
    }
    let named = all.into_iter().map(|((label, number), mut points)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let number = &names[number].0;
        let name = if label.is_empty() { number.clone() } else { format!("{label}: {number}") };
        Series { name, points }
    });
    named.collect()
}

fn label(row: &[Value], labels: &[usize]) -> String {
    let parts: Vec<_> = labels.iter().map(|label| cell::text(&row[*label])).collect();
    parts.join(", ")
}

fn over_time(series: &[Series], width: usize, height: usize) -> String {
    let drawn = series.len().min(MAX_SERIES);
    let each = if drawn == 1 { height.max(3) } else { (height / drawn).clamp(3, 6) };
    let points = || series[..drawn].iter().flat_map(|series| &series.points);
    let ends = points()
        .fold((f64::MAX, f64::MIN), |(first, last), (at, _)| (first.min(*at), last.max(*at)));
    let mut lines = Vec::new();
    for series in &series[..drawn] {
        lines.push(series.name.clone());
        lines.extend(chart(&series.points, ends, (width, each)));
    }
    if series.len() > drawn {
        lines.push(format!("… and {} more series", series.len() - drawn));
    }
    lines.join("\n")
}

/// One chart: values up, time to the right.
fn chart(points: &[(f64, f64)], ends: (f64, f64), (width, height): (usize, usize)) -> Vec<String> {
    let top = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let bottom = points.iter().map(|(_, value)| *value).fold(0.0, f64::min);
    let scale = [short(top), short(bottom)];
    let margin = scale.iter().map(|label| label.width()).max().unwrap_or(1);
    let room = width.saturating_sub(margin + 2).max(10);
    let heights = columns_of(points, ends, room);
    let span = if top > bottom { top - bottom } else { 1.0 };
    let mut lines = Vec::with_capacity(height + 2);
    for row in (0..height).rev() {
        let column = |value: &Option<f64>| {
            let Some(value) = value else { return ' ' };
            // What is there is seen, however small.
            let eighths = ((value - bottom) / span * (8 * height) as f64).round().max(1.0) as usize;
            UP[eighths.saturating_sub(8 * row).min(8)]
        };
        let label = match row {
            row if row + 1 == height => &scale[0],
            0 => &scale[1],
            _ => "",
        };
        let drawn: String = heights.iter().map(column).collect();
        lines.push(format!("{label:>margin$} │{drawn}").trim_end().to_owned());
    }
    lines.push(format!("{:>margin$} └{}", "", "─".repeat(heights.len())));
    let (first, last) = (moment(ends.0), moment(ends.1));
    let blank = heights.len().saturating_sub(first.len() + last.len());
    let last = if ends.0 == ends.1 || blank == 0 { String::new() } else { last };
    lines
        .push(format!("{:>margin$}  {first}{}{last}", "", " ".repeat(blank)).trim_end().to_owned());
    lines
}

/// A height for each column of the chart: the mean of the points there; none where there are none.
fn columns_of(points: &[(f64, f64)], (first, last): (f64, f64), room: usize) -> Vec<Option<f64>> {
    let gaps = points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|gap| *gap > 0.0);
    let step = gaps.fold(f64::MAX, f64::min);
    let slots = if step < f64::MAX { ((last - first) / step).round() as usize + 1 } else { 1 };
    // Fewer points than columns: each is drawn some columns wide.
    let each = (room / slots.max(1)).clamp(1, 8);
    let columns = slots.min(room);
    let mut sums = vec![(0.0, 0_u32); columns];
    for (at, value) in points {
        let place = if last > first { (at - first) / (last - first) } else { 0.0 };
        let column = (place * (columns - 1) as f64).round() as usize;
        let (sum, count) = &mut sums[column.min(columns - 1)];
        *sum += value;
        *count += 1;
    }
    let means = sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)));
    means.flat_map(|mean| std::iter::repeat_n(mean, each)).collect()
}

fn bars(results: &Results, rows: &[Vec<Value>], (columns, width): (&Columns, usize)) -> String {
    let number = columns.numbers[0];
    let shown = &rows[..rows.len().min(MAX_BARS)];
    let value = |row: &Vec<Value>| row[number].as_f64().unwrap_or(0.0);
    let most = shown.iter().map(|row| value(row).abs()).fold(0.0, f64::max);
    let labels: Vec<_> =
        shown.iter().map(|row| cut(&label(row, &columns.labels), width / 3)).collect();
    let margin = labels.iter().map(|label| label.width()).max().unwrap_or_default();
    let told: Vec<_> = shown.iter().map(|row| cell::text(&row[number])).collect();
    let widest = told.iter().map(|told| told.width()).max().unwrap_or_default();
    let room = width.saturating_sub(margin + widest + 4).max(8);
    let mut lines = vec![results.columns()[number].0.clone()];
    for ((row, label), told) in shown.iter().zip(&labels).zip(&told) {
        let share = if most > 0.0 { value(row).abs() / most } else { 0.0 };
        let eighths = (share * (8 * room) as f64).round() as usize;
        let mut bar = "█".repeat(eighths / 8);
        bar.extend(Some(RIGHT[eighths % 8]).filter(|part| *part != ' '));
        let blank = " ".repeat(margin - label.width());
        lines.push(format!("{label}{blank} │{bar} {told}"));
    }
    if rows.len() > shown.len() {
        lines.push(format!("… and {} more", rows.len() - shown.len()));
    }
    lines.join("\n")
}

/// A number in few characters.
fn short(number: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let size = number.abs();
    match UNITS.into_iter().find(|(unit, _)| size >= *unit) {
        Some((unit, sign)) => format!("{}{sign}", rounded(number / unit)),
        None => rounded(number),
    }
}

/// Three digits that count.
fn rounded(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let before = number.abs().log10().floor() as i32 + 1;
    let places = usize::try_from((3 - before).clamp(0, 9)).unwrap_or(0);
    let text = format!("{number:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn moment(seconds: f64) -> String {
    let at = Timestamp::from_second(seconds as i64);
    at.map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
