//! Only enough other people who saw what there is let a release in.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::GateState;
use super::*;

const HOUR: i64 = 3_600;

fn person(name: &str) -> PrincipalId {
    PrincipalId::user(name).unwrap()
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn gate(text: &str) -> ApprovalGate {
    toml::from_str(text).unwrap()
}

fn subject() -> Subject {
    Subject {
        change: "support-2".parse().unwrap(),
        release: ReleaseDigest::new(Digest::of(b"release")),
        environment: "prod".parse().unwrap(),
        evidence: Digest::of(b"seen"),
        authors: vec![person("ada")],
    }
}

fn decision(choice: Choice, by: PrincipalId, at: i64) -> Decision {
    let Subject { change, release, environment, evidence, .. } = subject();
    let (reason, role, at) = ("as it is".to_owned(), Role::Engineer, second(at));
    Decision { choice, change, release, environment, evidence, reason, by, role, at }
}

fn approved(by: &str) -> Decision {
    decision(Choice::Approve, person(by), 0)
}

fn says(gate: &ApprovalGate, decisions: &[Decision]) -> Verdict {
    decide(gate, &subject(), decisions, second(HOUR))
}

#[test]
fn each_person_counts_once_and_an_author_never() {
    let two = gate("approvals = 2");
    let state = |decisions: &[Decision]| says(&two, decisions).state;
    assert_eq!(state(&[approved("bob"), approved("bob")]), GateState::Pending);
    assert_eq!(state(&[approved("bob"), approved("ada")]), GateState::Pending);
    let robot = decision(Choice::Approve, PrincipalId::service("ci").unwrap(), 0);
    assert_eq!(state(&[approved("bob"), robot]), GateState::Pending);
    let enough = says(&two, &[approved("bob"), approved("cy")]);
    assert_eq!(enough, Verdict::passed("2 of 2 approval(s), by user:bob, user:cy"));
}

#[test]
fn an_approval_of_something_else_does_not_count_here() {
    let one = gate("");
    assert_eq!(says(&one, &[approved("bob")]).state, GateState::Passed);
    let other_release =
        Decision { release: ReleaseDigest::new(Digest::of(b"other")), ..approved("bob") };
    let other_place = Decision { environment: "staging".parse().unwrap(), ..approved("bob") };
    for other in [other_release, other_place] {
        assert_eq!(says(&one, &[other]), Verdict::pending("0 of 1 approval(s)"));
    }
    let other_evidence = Decision { evidence: Digest::of(b"other"), ..approved("bob") };
    let told = says(&one, &[other_evidence]).why;
    let void = "0 of 1 approval(s); user:bob's is void: what it rests on has changed since";
    assert_eq!(told, void);
    let earlier = Decision { change: "support-1".parse().unwrap(), ..approved("bob") };
    assert!(says(&one, &[earlier]).why.contains("proposed anew"));
}

#[test]
fn approvals_expire_and_those_of_the_future_do_not_count() {
    let short = gate("expires_hours = 2");
    let state = |now| decide(&short, &subject(), &[approved("bob")], second(now)).state;
    assert_eq!(state(2 * HOUR - 1), GateState::Passed);
    assert_eq!(state(2 * HOUR), GateState::Pending);
    assert_eq!(state(-10), GateState::Passed, "clocks are never quite the same");
    assert_eq!(state(-HOUR), GateState::Pending, "the clock went back");
}

#[test]
fn a_denial_stands_until_the_same_person_approves() {
    let one = gate("");
    let denied = decision(Choice::Deny, person("cy"), 1);
    let told = says(&one, &[approved("bob"), denied.clone()]);
    assert_eq!(told, Verdict::failed("denied by user:cy: as it is"));
    let again = decision(Choice::Approve, person("cy"), 2);
    assert_eq!(says(&one, &[denied.clone(), again]).state, GateState::Passed);
    let withdrawn = decision(Choice::Deny, person("bob"), 1);
    assert_eq!(says(&one, &[approved("bob"), withdrawn]).state, GateState::Failed);
    let unasked = decision(Choice::Deny, person("ada"), 1);
    assert_eq!(says(&one, &[approved("bob"), unasked]).state, GateState::Passed);
}

#[test]
fn only_those_who_are_asked_count() {
    let named = gate("from = [\"user:bob\"]\nroles = [\"operator\"]");
    assert_eq!(says(&named, &[approved("cy")]).state, GateState::Pending);
    assert_eq!(says(&named, &[approved("bob")]).state, GateState::Passed);
    let operator = Decision { role: Role::Operator, ..approved("cy") };
    assert_eq!(says(&named, &[operator]).state, GateState::Passed);
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A person decides on the release of a number, having seen evidence of a number.
    Decides { person: usize, choice: Choice },
    /// Another release becomes what is to enter.
    Mutates(u8),
    /// Something else is seen of it.
    Learns(u8),
    /// Seconds pass; backwards, too.
    Passes(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_usize..5, prop_oneof![4 => Just(Choice::Approve), 1 => Just(Choice::Deny)])
            .prop_map(|(person, choice)| Step::Decides { person, choice }),
        1 => (0_u8..3).prop_map(Step::Mutates),
        1 => (0_u8..3).prop_map(Step::Learns),
        1 => (-4 * HOUR..4 * HOUR).prop_map(Step::Passes),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    /// Whatever happens, who enters has enough approvals of exactly this release and this evidence by
    /// different people who have no part in it, each the last word of who gave it, and none expired.
    #[test]
    fn nothing_makes_a_release_eligible_but_enough_approvals_of_exactly_it(
        steps in steps(),
        needed in 1_usize..4,
    ) {
        let gate = gate(&format!("approvals = {needed}\nexpires_hours = 6"));
        let people = ["ada", "bob", "cy", "dora", "ed"].map(person);
        let (mut release, mut evidence, mut now) = (0_u8, 0_u8, 0_i64);
        let mut decisions: Vec<Decision> = Vec::new();
        for step in steps {
            let current = Subject {
                release: ReleaseDigest::new(Digest::of(&[release])),
                evidence: Digest::of(&[evidence]),
                ..subject()
            };
            match step {
                Step::Mutates(to) => release = to,
                Step::Learns(to) => evidence = to,
                Step::Passes(seconds) => now += seconds,
                Step::Decides { person, choice } => decisions.push(Decision {
                    release: current.release,
                    evidence: current.evidence,
                    ..decision(choice, people[person].clone(), now)
                }),
            }
            let current = Subject {
                release: ReleaseDigest::new(Digest::of(&[release])),
                evidence: Digest::of(&[evidence]),
                ..subject()
            };
            let passes = decide(&gate, &current, &decisions, second(now)).state.lets_in();
            // The same, said in another way.
            let fits = |decision: &&Decision| {
                let age = second(now).as_second() - decision.at.as_second();
                decision.choice == Choice::Approve
                    && decision.evidence == current.evidence
                    && (-60..6 * HOUR).contains(&age)
            };
            let last = |person: &PrincipalId| {
                decisions
                    .iter()
                    .filter(|decision| decision.by == *person)
                    .rfind(|decision| decision.release == current.release)
            };
            let others = people.iter().filter(|person| !current.authors.contains(person));
            let good: BTreeSet<_> = others.filter(|person| last(person).filter(fits).is_some()).collect();
            prop_assert!(!passes || good.len() >= needed);
        }
    }
}
