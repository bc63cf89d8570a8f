//! A table for the terminal.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Results, cell};

/// What stands between two columns.
const GAP: usize = 2;
/// Cells are not cut below this, except in columns that never were wider.
const LEAST: usize = 8;

/// See [`Results::table`].
pub fn table(results: &Results, width: usize) -> String {
    let names: Vec<_> = results.columns().into_iter().map(|(name, _)| name).collect();
    let rows: Vec<Vec<Value>> = results.values().collect();
    if rows.is_empty() {
        return "no rows".to_owned();
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|value| on_one_line(&cell::text(value))).collect())
        .collect();
    let mut widths: Vec<_> = names.iter().map(|name| name.width()).collect();
    for row in &cells {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.width());
        }
    }
    let Some(widths) = fit(widths, width) else {
        return lists(&names, &cells, width);
    };
    let right: Vec<_> = (0..names.len())
        .map(|column| rows.iter().all(|row| row[column].is_number() || row[column].is_null()))
        .collect();
    let line = |cells: &[String]| {
        let columns = cells.iter().zip(&widths).zip(&right);
        let padded = columns.map(|((cell, width), right)| {
            let cell = cut(cell, *width);
            let blank = " ".repeat(width - cell.width());
            if *right { blank + &cell } else { cell + &blank }
        });
        padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let rule: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let lines = [line(&names), line(&rule)].into_iter().chain(cells.iter().map(|row| line(row)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Takes from the widest columns until all fit; none if they cannot.
fn fit(mut widths: Vec<usize>, width: usize) -> Option<Vec<usize>> {
    let room = width.checked_sub(GAP * widths.len().saturating_sub(1))?;
    while widths.iter().sum::<usize>() > room {
        let widest = *widths.iter().max()?;
        if widest <= LEAST {
            return None;
        }
        // Down to the next widest, or as far as is needed.
        let next = widths.iter().copied().filter(|width| *width < widest).max().unwrap_or(LEAST);
        let wide = widths.iter().filter(|width| **width == widest).count();
        let excess = widths.iter().sum::<usize>() - room;
        let taken = (excess.div_ceil(wide)).min(widest - next.max(LEAST)).max(1);
        widths.iter_mut().filter(|width| **width == widest).for_each(|width| *width -= taken);
    }
    Some(widths)
}

/// Each row as a list of names and values.
fn lists(names: &[String], cells: &[Vec<String>], width: usize) -> String {
    let widest = names.iter().map(|name| name.width()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (index, row) in cells.iter().enumerate() {
        lines.push(format!("── row {}", index + 1));
        for (name, cell) in names.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let blank = " ".repeat(widest - name.width() + GAP);
            let room = width.saturating_sub(widest + GAP).max(LEAST);
            lines.push(format!("{name}{blank}{}", cut(cell, room)));
        }
    }
    lines.join("\n")
}

/// A text without line breaks and signs that would move the cursor.
fn on_one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end().chars().map(shown).collect()
}

/// At most `width` of a text.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let kept: String = text.chars().take_while(fits).collect();
    kept + "…"
}
