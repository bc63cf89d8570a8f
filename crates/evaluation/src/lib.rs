//! What is good, and how sure we are of it: suites of cases, scorers, judges, and the statistics
//! that decide whether one release is worse than another.
//!
//! The nouns: [`Suite`](suite::Suite) (its [`Case`](suite::Case)s and
//! [`Scorer`](scorers::Scorer)s), [`Answer`](answer::Answer), [`Judge`](judge::Judge) and
//! [`Run`](run::Run).
//!
//! ```text
//!  evals/NAME.toml ─┐            Answerer        Judge, Embeds, …
//!                   ├─► Suite ──► case ► answer ──► Scorer ► outcome ─┐
//!  cases.jsonl ─────┘                                                 ├─► Run ─► report, JUnit
//!                            labels by people ──► Agreement (κ) ──────┘
//! ```
//!
//! Statistics begin at [`statistics`]: evidence that may be looked at after every unit, for
//! rollouts and experiments, and tests of a fixed size, for offline gates. [`analysis`] reads a
//! file of results and reports what it says; see `docs/analysing-experiments.md`.
//!
//! Start reading at [`Suite::read`](suite::Suite::read), then [`run::run`] and
//! [`Scorer::score`](scorers::Scorer::score).
//!
//! ```
//! use evaluation::suite::{Suite, SuiteFile};
//!
//! let file: SuiteFile = serde_json::from_value(serde_json::json!({
//!     "cases": "returns.jsonl",
//!     "scorers": { "overlap": { "measure": { "kind": "rouge", "variant": "l" }, "at_least": 0.4 } },
//! }))?;
//! let cases = r#"{"id": "window", "input": "How long?", "expected": "Thirty days."}"#;
//! let suite = Suite::read(file, cases).map_err(|bad| format!("{bad:?}"))?;
//! assert_eq!(suite.scorers[0].name, "overlap");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod agreement;
pub mod analysis;
pub mod answer;
pub mod comparison;
pub mod judge;
pub mod online;
pub mod replay;
pub mod report;
pub mod run;
pub mod scorers;
pub mod statistics;
pub mod suite;

#[cfg(test)]
mod scripted;
