//! Analysing a file of results: what an experiment says, from a file alone.
//!
//! ```text
//!  FILE.json | FILE.csv ─► Analysis { data, settings } ─► analyse ─► Report (text, or JSON)
//! ```
//!
//! Four shapes of data are recognised by their keys or columns:
//!
//! | shape | JSON | CSV columns |
//! |---|---|---|
//! | counts per arm | `{"arms": [{"name", "units", "successes" or "failures", "share"}, …]}` | `name,units,successes` or `failures`, `share` |
//! | values per unit | `{"rows": [{"arm", "unit", "value"}, …]}` | `arm,unit,value` |
//! | two samples | `{"control": […], "treatment": […]}` | `arm,value` |
//! | pairs | `{"pairs": [[before, after], …]}`, or with `{"case", "before", "after"}` | `case,before,after` |
//!
//! The formats with examples, and what each verdict means, stand in
//! `docs/analysing-experiments.md`.
//!
//! ```
//! # fn main() -> Result<(), evaluation::analysis::InputError> {
//! let analysis = evaluation::analysis::Analysis::parse_json(
//!     r#"{"arms": [{"name": "control", "units": 1000, "successes": 700},
//!                  {"name": "new prompt", "units": 1000, "successes": 800}]}"#,
//! )?;
//! assert_eq!(analysis.report().verdict, evaluation::analysis::Conclusion::Win);
//! # Ok(())
//! # }
//! ```

mod compare;
mod conclusion;
mod data;
mod input;
mod json;
mod report;
mod settings;
mod table;

pub use self::compare::analyse;
pub use self::conclusion::Conclusion;
pub use self::data::{ArmCount, ArmValues, Counted, Data};
pub use self::input::InputError;
pub use self::report::{Arm, Comparison, Estimate, Figure, Report, Split};
pub use self::settings::Settings;

/// A file of results, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// What it holds.
    pub data: Data,
    /// How it is judged: what the file says, else the defaults. A command's flags may change them;
    /// [`Analysis::check`] them then.
    pub settings: Settings,
}

impl Analysis {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// What is wrong first, where, and how to mend it.
    pub fn parse_json(text: &str) -> Result<Self, InputError> {
        let analysis = json::parse(text)?;
        analysis.check()?;
        Ok(analysis)
    }

    /// Reads a CSV file, which has a line of column names first.
    ///
    /// # Errors
    /// What is wrong first, where, and how to mend it.
    pub fn parse_csv(text: &str) -> Result<Self, InputError> {
        let analysis = table::parse(text)?;
        analysis.check()?;
        Ok(analysis)
    }

    /// Whether the settings can be used, and fit the data.
    ///
    /// # Errors
    /// A setting is out of range, shares do not name exactly the arms, or the direction
    /// contradicts what was counted.
    pub fn check(&self) -> Result<(), InputError> {
        self.settings.check(&self.data)
    }

    /// What the results say.
    pub fn report(&self) -> Report {
        analyse(&self.data, &self.settings)
    }
}

#[cfg(test)]
mod tests;
