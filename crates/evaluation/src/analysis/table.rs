//! Results as CSV: a line of column names, then rows as long as it.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::Analysis;
use super::data::{ArmCount, Counted, Data, Pair, Row, Score};
use super::input::{InputError, Origin};
use super::json::planned;
use super::settings::Settings;

const COLUMNS: &str = "the columns must be `case,before,after`, `arm,unit,value`, `arm,value`, \
                       `name,units,successes` or `name,units,failures`, the last two perhaps with \
                       `share`; docs/analysing-experiments.md has examples";
const LINES: Origin = Origin::Lines;

pub(super) fn parse(text: &str) -> Result<Analysis, InputError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = Table::read(text)?;
    let mut settings = Settings::default();
    let data = match table.shape()? {
        Shape::Counts(counted) => table.counts(counted, &mut settings)?,
        Shape::Values => table.values()?,
        Shape::Samples => table.samples()?,
        Shape::Pairs => table.pairs()?,
    };
    Ok(Analysis { data, settings })
}

enum Shape {
    Counts(Counted),
    Values,
    Samples,
    Pairs,
}

struct Table {
    columns: Vec<String>,
    rows: Vec<StringRecord>,
}

impl Table {
    fn read(text: &str) -> Result<Self, InputError> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut rows = Vec::new();
        let mut columns: Option<Vec<String>> = None;
        for record in reader.records() {
            let mut record = record.map_err(|error| {
                let line = error.position().map_or(1, csv::Position::line);
                let hint = "save the file as UTF-8 with commas between fields";
                InputError::new(format!("line {line}"), "the line cannot be read", hint)
            })?;
            let Some(names) = &columns else {
                columns = Some(record.iter().map(str::to_ascii_lowercase).collect());
                continue;
            };
            pass_empty_lines(&mut record, text);
            if record.len() != names.len() {
                let message = format!("{} fields, where {} are named", record.len(), names.len());
                let hint = "give a field for each column, and quote fields that hold a comma";
                return Err(InputError::new(LINES.row(line(&record)), message, hint));
            }
            rows.push(record);
        }
        let columns = columns.ok_or_else(|| InputError::new("the file", "it is empty", COLUMNS))?;
        if rows.is_empty() {
            let hint = "give at least one row below the names of the columns";
            return Err(InputError::new("the file", "it has no rows", hint));
        }
        Ok(Self { columns, rows })
    }

    fn shape(&self) -> Result<Shape, InputError> {
        let mut columns: Vec<&str> =
            self.columns.iter().map(String::as_str).filter(|name| *name != "share").collect();
        let shared = columns.len() < self.columns.len();
        columns.sort_unstable();
        match (columns.as_slice(), shared) {
            (["name", "successes", "units"], _) => Ok(Shape::Counts(Counted::Successes)),
            (["failures", "name", "units"], _) => Ok(Shape::Counts(Counted::Failures)),
            (["arm", "unit", "value"], false) => Ok(Shape::Values),
            (["arm", "value"], false) => Ok(Shape::Samples),
            (["after", "before", "case"], false) => Ok(Shape::Pairs),
            _ => {
                let message = format!("the columns are `{}`", self.columns.join("`, `"));
                Err(InputError::new("line 1", message, COLUMNS))
            }
        }
    }

    fn counts(&self, counted: Counted, settings: &mut Settings) -> Result<Data, InputError> {
        let mut arms = Vec::new();
        let mut shares = Vec::new();
        let shared = self.columns.iter().any(|name| name == "share");
        for record in &self.rows {
            let at = line(record);
            let name = self.text(record, "name").to_owned();
            let share = match shared {
                true => Some(self.number(record, "share")?),
                false => None,
            };
            shares.push(Row { at, it: (name.clone(), share) });
            let units = self.count(record, "units")?;
            let count = self.count(record, counted.name())?;
            arms.push(Row { at, it: ArmCount { name, units, count } });
        }
        let data = Data::counts(arms, counted, LINES)?;
        planned(shares, settings, LINES)?;
        Ok(data)
    }

    fn values(&self) -> Result<Data, InputError> {
        let row = |record: &StringRecord| {
            let (arm, unit) = (self.text(record, "arm"), self.text(record, "unit"));
            let value = self.number(record, "value")?;
            Ok(Row { at: line(record), it: (arm.to_owned(), unit.to_owned(), value) })
        };
        Data::values(self.rows.iter().map(row), LINES)
    }

    fn samples(&self) -> Result<Data, InputError> {
        let mut arms: Vec<(&str, Vec<Row<f64>>)> = Vec::new();
        for record in &self.rows {
            let name = self.text(record, "arm");
            let row = Row { at: line(record), it: self.number(record, "value")? };
            match arms.iter().position(|(known, _)| *known == name) {
                Some(index) => arms[index].1.push(row),
                None if arms.len() < 2 => arms.push((name, vec![row])),
                None => {
                    let message = format!("`{name}` is a third arm");
                    let hint = "two samples have two arms; with more give `arm,unit,value`";
                    return Err(InputError::new(LINES.field(row.at, "arm"), message, hint));
                }
            }
        }
        arms.sort_by_key(|(name, _)| *name != "control");
        let mut arms = arms.into_iter().map(|(_, rows)| rows);
        let (Some(control), Some(treatment)) = (arms.next(), arms.next()) else {
            let hint = "two samples have two arms, one of them the control";
            return Err(InputError::new(LINES.all(), "there is only one arm", hint));
        };
        Data::samples(control, treatment, [(LINES, "value"), (LINES, "value")])
    }

    fn pairs(&self) -> Result<Data, InputError> {
        let row = |record: &StringRecord| {
            let case = Some(self.text(record, "case").to_owned());
            let (before, after) = (self.score(record, "before")?, self.score(record, "after")?);
            Ok(Row { at: line(record), it: Pair { case, before, after } })
        };
        let rows: Result<Vec<_>, _> = self.rows.iter().map(row).collect();
        Data::pairs(rows?, LINES)
    }

    fn text<'a>(&self, record: &'a StringRecord, column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| record.get(at)).unwrap_or_default()
    }

    fn number(&self, record: &StringRecord, column: &str) -> Result<f64, InputError> {
        let text = self.text(record, column);
        text.parse().map_err(|_| wrong(record, column, "number", "a number, with a point"))
    }

    fn count(&self, record: &StringRecord, column: &str) -> Result<u64, InputError> {
        let text = self.text(record, column);
        text.parse().map_err(|_| wrong(record, column, "count", "a whole number, 0 or more"))
    }

    fn score(&self, record: &StringRecord, column: &str) -> Result<Score, InputError> {
        let text = self.text(record, column);
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Ok(Score::Outcome(text.eq_ignore_ascii_case("true")));
        }
        let number = text.parse().map(Score::Number);
        number.map_err(|_| wrong(record, column, "score", "a number, true or false"))
    }
}

fn wrong(record: &StringRecord, column: &str, what: &str, give: &str) -> InputError {
    let message = format!("the field is no {what}");
    InputError::new(LINES.field(line(record), column), message, format!("give {give}"))
}

/// A record's position is where the one before ended; empty lines in between are not its own.
fn pass_empty_lines(record: &mut StringRecord, text: &str) {
    let Some(mut position) = record.position().cloned() else { return };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let passed = empty.filter(|byte| **byte == b'\n').count() as u64;
    position.set_line(position.line() + passed);
    record.set_position(Some(position));
}

fn line(record: &StringRecord) -> usize {
    record.position().map_or(1, |position| usize::try_from(position.line()).unwrap_or(usize::MAX))
}
