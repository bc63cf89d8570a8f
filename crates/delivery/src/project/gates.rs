//! Gates of an app's file can be followed, and look at environments that come before theirs.

use release::{Diagnostic, EnvironmentName};

use super::DANGLING;
use super::document::{BAD_VALUE, Document, suggestion};
use crate::gate::file::{EvalGate, GateFile};

/// What is wrong with the gates of an environment, which stand at `at` of an app's file.
pub(super) fn mistakes(
    document: &Document,
    (gates, at): (&[GateFile], &str),
    (own, environments): (&EnvironmentName, &[EnvironmentName]),
    suites: &[&str],
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let until = environments.iter().position(|name| name == own).unwrap_or_default();
    let earlier = &environments[..until];
    for (index, gate) in gates.iter().enumerate() {
        let here = format!("{at}/gates/{index}");
        if let Err((key, why)) = gate.check() {
            let place = document.place(&format!("{here}/{key}"));
            found.push(Diagnostic::error(BAD_VALUE, place, why));
        }
        if gates[..index].iter().any(|before| before.name() == gate.name()) {
            let message = format!("another gate of `{own}` is called `{}`", gate.name());
            let finding = Diagnostic::error(BAD_VALUE, document.place(&here), message);
            found.push(finding.hint("give one of them a `name` of its own"));
        }
        if let GateFile::Eval(EvalGate { suite, .. }) = gate
            && !suites.contains(&suite.as_str())
        {
            let names: Vec<_> = suites.iter().map(ToString::to_string).collect();
            let message = format!("there is no `evals/{suite}.toml`");
            let place = document.place(&format!("{here}/suite"));
            let finding = Diagnostic::error(DANGLING, place, message);
            found.push(finding.hint(suggestion(suite.as_str(), &names)));
        }
        let Some((key, looked_at)) = gate.looks_at() else { continue };
        if !earlier.contains(looked_at) {
            let names: Vec<_> = earlier.iter().map(ToString::to_string).collect();
            let message = format!("`{looked_at}` is no environment before `{own}`");
            let place = document.place(&format!("{here}/{key}"));
            let finding = Diagnostic::error(DANGLING, place, message);
            found.push(finding.hint(suggestion(looked_at.as_str(), &names)));
        }
    }
    found
}
