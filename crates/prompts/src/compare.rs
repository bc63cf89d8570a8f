//! What changed between two versions of a prompt.

use std::time::Duration;

use similar::TextDiff;

/// How long a comparison looks for the smallest difference before it takes a larger one.
const LIMIT: Duration = Duration::from_millis(500);

/// The lines that differ between `old` and `new`, as a unified diff with three lines of context
/// and no header; empty if nothing differs.
pub fn diff(old: &str, new: &str) -> String {
    let compared = TextDiff::configure().timeout(LIMIT).diff_lines(old, new);
    compared.unified_diff().context_radius(3).to_string()
}

#[cfg(test)]
mod tests;
