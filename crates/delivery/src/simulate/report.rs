//! What a simulation tells.

use std::fmt;

use evaluation::statistics::Interval;
use evaluation::statistics::paired::wilson;
use serde::Serialize;

use super::scenario::CandidateFile;
use super::{Ended, Played};

/// How sure intervals are.
const CONFIDENCE: f64 = 0.95;

/// What became of all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How many runs of each candidate under each policy.
    pub runs: u32,
    /// What they were drawn by.
    pub seed: u64,
    /// What became of each candidate.
    pub candidates: Vec<CandidateReport>,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CandidateReport {
    /// Its name.
    pub name: String,
    /// How many times as often as the control's its requests fail.
    pub ratio: f64,
    /// How many times as often as the control's its answers are slow.
    pub slow_ratio: f64,
    /// Under each policy.
    pub policies: Vec<PolicyReport>,
}

/// What became of a candidate under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyReport {
    /// The policy: `evidence`, which is the scenario's rules, or the rule of thresholds that was
    /// modelled.
    pub policy: &'static str,
    /// Runs in which it was taken back.
    pub rolled_back: Share,
    /// Runs in which it was promoted.
    pub promoted: Share,
    /// Runs in which it was neither.
    pub undecided: Share,
    /// How many sessions the candidate failed until the end of a run, on average.
    pub failed_sessions: f64,
}

/// A part of the runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub runs: u64,
    /// Their part of all.
    pub share: f64,
    /// Where that part is, with 95 % (Wilson).
    pub interval: Interval,
    /// After how many minutes half of them had ended so; none if there are none, or they are not
    /// decided.
    pub median_minutes: Option<f64>,
    /// After how many minutes nine in ten of them had.
    pub p90_minutes: Option<f64>,
}

impl CandidateReport {
    pub(super) fn of(candidate: &CandidateFile, policies: Vec<PolicyReport>) -> Self {
        let CandidateFile { name, ratio, slow_ratio } = candidate.clone();
        Self { name, ratio, slow_ratio, policies }
    }
}

impl PolicyReport {
    pub(super) fn of(policy: &'static str, played: &[Played]) -> Self {
        let exposed: u64 = played.iter().map(|run| run.exposed).sum();
        Self {
            policy,
            rolled_back: Share::of(Ended::RolledBack, played),
            promoted: Share::of(Ended::Promoted, played),
            undecided: Share::of(Ended::Undecided, played),
            failed_sessions: exposed as f64 / played.len().max(1) as f64,
        }
    }
}

impl Share {
    fn of(ended: Ended, played: &[Played]) -> Self {
        let own = played.iter().filter(|run| run.ended == ended);
        let mut minutes: Vec<f64> = own.map(|run| run.minutes).collect();
        let (runs, all) = (minutes.len() as u64, played.len() as u64);
        if ended == Ended::Undecided {
            minutes.clear();
        }
        minutes.sort_by(f64::total_cmp);
        Self {
            runs,
            share: runs as f64 / all.max(1) as f64,
            interval: wilson(runs, all, CONFIDENCE),
            median_minutes: quantile(&minutes, 0.5),
            p90_minutes: quantile(&minutes, 0.9),
        }
    }
}

/// The nearest rank of what is sorted.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

const HEAD: [&str; 6] =
    ["CANDIDATE", "POLICY", "ROLLED BACK", "PROMOTED", "UNDECIDED", "FAILED SESSIONS"];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEAD.map(str::to_owned)];
        lines.extend(self.candidates.iter().flat_map(CandidateReport::lines));
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        write!(
            f,
            "\n{} runs of each, seed {}. In brackets 95 % intervals; then the minutes that half and \
             nine in ten of those runs took.",
            self.runs, self.seed
        )
    }
}

impl CandidateReport {
    fn lines(&self) -> Vec<[String; HEAD.len()]> {
        let name = match self.slow_ratio == 1.0 {
            true => format!("{} (×{})", self.name, self.ratio),
            false => format!("{} (×{}, slow ×{})", self.name, self.ratio, self.slow_ratio),
        };
        let line = |(number, policy): (usize, &PolicyReport)| {
            [
                if number == 0 { name.clone() } else { String::new() },
                policy.policy.to_owned(),
                policy.rolled_back.to_string(),
                policy.promoted.to_string(),
                policy.undecided.to_string(),
                format!("{:.1}", policy.failed_sessions),
            ]
        };
        self.policies.iter().enumerate().map(line).collect()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interval { lower, upper } = self.interval;
        let (lower, upper) = (lower * 100.0, upper * 100.0);
        write!(f, "{:5.1} % ({lower:.1}–{upper:.1})", self.share * 100.0)?;
        match (self.median_minutes, self.p90_minutes) {
            (Some(median), Some(p90)) => write!(f, " {median:.0}, {p90:.0} min"),
            _ => Ok(()),
        }
    }
}
