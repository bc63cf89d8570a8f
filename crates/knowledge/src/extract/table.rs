//! Tables: each row a line that says what its cells are, so that a passage cut out of the middle still
//! tells.

use csv::ReaderBuilder;

use super::{Builder, Extracted, Refusal};

/// Rows on their way into text.
#[derive(Debug, Default)]
pub struct Table {
    columns: Option<Vec<String>>,
}

impl Table {
    /// Adds a row. The first one names the columns if all its cells are different words.
    pub fn row(&mut self, cells: Vec<String>, out: &mut Builder) {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        let Some(columns) = &self.columns else {
            let names = are_names(&cells);
            if !names {
                line(&cells, &[], out);
            }
            self.columns = Some(if names { cells } else { Vec::new() });
            return;
        };
        line(&cells, columns, out);
    }

    /// Ends the table. One that has but names is told as they are.
    pub fn end(self, out: &mut Builder) {
        if out.block.is_empty() {
            line(&self.columns.unwrap_or_default(), &[], out);
        }
        out.end();
    }
}

fn are_names(cells: &[String]) -> bool {
    let word = |cell: &str| !cell.is_empty() && cell.len() <= 80 && cell.parse::<f64>().is_err();
    let mut seen = std::collections::HashSet::new();
    cells.len() > 1 && cells.iter().all(|cell| word(cell.trim()) && seen.insert(cell.trim()))
}

fn line(cells: &[String], columns: &[String], out: &mut Builder) {
    let mut first = true;
    for (place, cell) in cells.iter().enumerate() {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        if !first {
            out.verbatim(" | ");
        }
        first = false;
        if let Some(column) = columns.get(place) {
            out.verbatim(column.trim());
            out.verbatim(": ");
        }
        out.say(cell);
    }
    out.line();
}

/// Values separated by commas, semicolons, tabs or bars: by what the first line has most of.
pub fn extract(text: &str) -> Result<Extracted, Refusal> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    let delimiter = b"|\t;,".iter().copied().max_by_key(count).unwrap_or(b',');
    let mut rows = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut table, mut out) = (Table::default(), Builder::default());
    for row in rows.records() {
        let row = row.map_err(Refusal::malformed)?;
        table.row(row.iter().map(str::to_owned).collect(), &mut out);
    }
    table.end(&mut out);
    out.finish()
}
