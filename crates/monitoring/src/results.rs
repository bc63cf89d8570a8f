//! What a query gave: a table for the terminal, JSON, CSV, Arrow, or a plot.
//!
//! Everything here is a pure function of the rows. Timestamps are told in RFC 3339, whole numbers
//! without a fraction, and what is nested as JSON.

mod cell;
mod plot;
mod table;

#[cfg(test)]
mod tests;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use serde_json::{Map, Value};

pub use plot::NoPlot;

/// The rows that a query gave.
#[derive(Debug, Clone)]
pub struct Results {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Results {
    /// Rows with these columns.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    /// The rows, as columns.
    pub(crate) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The first so many rows.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        let mut left = count;
        let cut = |batch: RecordBatch| {
            let taken = batch.slice(0, batch.num_rows().min(left));
            left -= taken.num_rows();
            taken
        };
        Self { batches: self.batches.into_iter().map(cut).collect(), ..self }
    }

    /// The names of the columns, in order, and what is in them.
    pub fn columns(&self) -> Vec<(String, String)> {
        let fields = self.schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }

    /// One object for each row; columns without a value are `null`.
    pub fn json(&self) -> Vec<Map<String, Value>> {
        let names: Vec<_> = self.schema.fields().iter().map(|field| field.name()).collect();
        let named = |row: Vec<Value>| names.iter().map(|name| (*name).clone()).zip(row).collect();
        self.values().map(named).collect()
    }

    /// A line with the names, then one for each row, as RFC 4180 has it.
    pub fn csv(&self) -> String {
        let names = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        let rows = self.values().map(|row| row.iter().map(cell::text).collect::<Vec<_>>());
        let mut out = String::new();
        for row in std::iter::once(names).chain(rows) {
            let cells: Vec<_> = row.iter().map(|cell| quoted(cell)).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
        out
    }

    /// An Arrow IPC stream.
    ///
    /// # Errors
    ///
    /// If a column cannot be written, which no query gives.
    pub fn arrow(&self) -> Result<Vec<u8>, ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema)?;
        for batch in &self.batches {
            writer.write(batch)?;
        }
        writer.into_inner()
    }

    /// Reads what [`Results::arrow`] wrote.
    ///
    /// # Errors
    ///
    /// If the bytes are no Arrow IPC stream.
    pub fn read(bytes: &[u8]) -> Result<Self, ArrowError> {
        let reader = StreamReader::try_new(bytes, None)?;
        let schema = reader.schema();
        Ok(Self { schema, batches: reader.collect::<Result<_, _>>()? })
    }

    /// A table that is at most `width` characters wide. Cells that are too long are cut; if there
    /// are too many columns for that, each row is told as a list.
    pub fn table(&self, width: usize) -> String {
        table::table(self, width)
    }

    /// A plot of at most `width` times `height` characters: of the time, if a column tells times;
    /// else of categories, as bars.
    ///
    /// # Errors
    ///
    /// If no column has numbers.
    pub fn plot(&self, width: usize, height: usize) -> Result<String, NoPlot> {
        plot::plot(self, width, height)
    }

    /// Every row's values.
    fn values(&self) -> impl Iterator<Item = Vec<Value>> {
        self.batches.iter().flat_map(|batch| {
            let columns: Vec<_> = batch.columns().iter().map(cell::widened).collect();
            (0..batch.num_rows())
                .map(move |row| columns.iter().map(|column| cell::value(column, row)).collect())
        })
    }
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
