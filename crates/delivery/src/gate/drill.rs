//! `drill`: whether the installation's backups were proved lately.

use release::Timestamp;

use super::file::DrillGate;
use super::sources::Drill;
use super::{Verdict, is_ahead};

const DAY: i64 = 86_400;

/// What the newest drill says.
pub(crate) fn decide(gate: &DrillGate, newest: Option<Drill>, now: Timestamp) -> Verdict {
    let days = gate.within_days;
    let Some(Drill { backup, ended_at, faults }) = newest else {
        return Verdict::failed("no backup was ever drilled");
    };
    if is_ahead(ended_at, now) {
        return Verdict::inconclusive(format!(
            "the newest drill ended at {ended_at}, which is to come"
        ));
    }
    let drilled = format!("backup `{backup}` was drilled at {ended_at}");
    let age = now.as_second() - ended_at.as_second();
    if faults > 0 {
        return Verdict::failed(format!("{drilled}, and found {faults} fault(s)"));
    }
    match age <= i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY) {
        true => Verdict::passed(drilled),
        false => Verdict::failed(format!("{drilled}, more than {days} day(s) ago")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::GateState;
    use super::*;

    #[test]
    fn only_a_late_drill_without_faults_passes() {
        let gate: DrillGate = toml::from_str("within_days = 7").unwrap();
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = at("2026-01-10T00:00:00Z");
        let state = |ended: &str, faults| {
            let drill = Drill { backup: "b".into(), ended_at: at(ended), faults };
            decide(&gate, Some(drill), now).state
        };
        assert_eq!(state("2026-01-09T00:00:00Z", 0), GateState::Passed);
        assert_eq!(state("2026-01-03T00:00:00Z", 0), GateState::Passed);
        assert_eq!(state("2026-01-02T23:59:59Z", 0), GateState::Failed);
        assert_eq!(state("2026-01-09T00:00:00Z", 1), GateState::Failed);
        assert_eq!(state("2026-01-10T01:00:00Z", 0), GateState::Inconclusive);
        assert_eq!(decide(&gate, None, now).state, GateState::Failed);
    }
}
