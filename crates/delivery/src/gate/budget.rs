//! `budget`: what a release's answers cost on average.

use monitoring::spent::Spent;

use super::Verdict;
use super::file::BudgetGate;

/// What the cost of a release's answers says.
pub(crate) fn decide(gate: &BudgetGate, spent: Spent) -> Verdict {
    let BudgetGate { per_request, currency, hours, fewest, .. } = gate;
    let Spent { answers, priced, cost } = spent;
    let place = format!("in `{}` in the last {hours} h", gate.r#in);
    if answers < (*fewest).max(1) {
        return Verdict::inconclusive(format!("{answers} of {fewest} answers {place}"));
    }
    if priced < answers {
        let unknown = answers - priced;
        let why = format!("{unknown} of {answers} answers {place} have no price in {currency}");
        return Verdict::inconclusive(why);
    }
    let mean = cost / priced as f64;
    let why = format!("{mean:.6} {currency} a request over {answers} answers {place}");
    match mean <= *per_request {
        true => Verdict::passed(why),
        false => Verdict::failed(format!("{why}: more than {per_request}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::GateState;
    use super::*;

    #[test]
    fn what_is_dear_fails_and_what_is_not_known_is_inconclusive() {
        let gate: BudgetGate = toml::from_str("per_request = 0.01\nin = \"staging\"").unwrap();
        let state = |answers, priced, cost| {
            let verdict = decide(&gate, Spent { answers, priced, cost });
            assert!(verdict.why.contains("staging"), "{}", verdict.why);
            verdict.state
        };
        assert_eq!(state(0, 0, 0.0), GateState::Inconclusive);
        assert_eq!(state(19, 19, 0.0), GateState::Inconclusive);
        assert_eq!(state(100, 99, 0.1), GateState::Inconclusive);
        assert_eq!(state(100, 100, 1.0), GateState::Passed);
        assert_eq!(state(100, 100, 1.01), GateState::Failed);
        assert_eq!(state(100, 100, f64::NAN), GateState::Failed);
    }
}
