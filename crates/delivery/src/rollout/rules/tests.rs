//! Which rules can be followed.

use super::*;

fn read(text: &str) -> Result<Rules, (&'static str, String)> {
    toml::from_str::<RulesFile>(text).unwrap().rules()
}

#[test]
fn every_strategy_has_steps_of_its_own() {
    let weights = |strategy: &str| {
        let rules = read(&format!("strategy = \"{strategy}\"")).unwrap();
        rules.steps.iter().map(|step| step.weight).collect::<Vec<_>>()
    };
    assert_eq!(weights("immediate"), [0.0; 0]);
    assert_eq!(weights("canary"), [5.0, 25.0, 50.0]);
    assert_eq!(weights("linear").len(), 9);
    assert_eq!(weights("blue_green"), [100.0]);
    assert_eq!(weights("ab"), [50.0]);
    let shadow = read("strategy = \"shadow\"").unwrap();
    assert_eq!(shadow.steps, [Step { mirror: 10.0, ..Step::of(0.0, 3_600) }]);
    assert_eq!(
        (shadow.decide, shadow.steps[0].to_string()),
        (Decide::Evidence, "copies of 10 % for 3600 s".into())
    );
    let both =
        "strategy = \"canary\"\nsteps = [{ mirror = 5, seconds = 1 }, { weight = 5, seconds = 1 }]";
    assert_eq!(read(both).unwrap().steps.len(), 2);
}

#[test]
fn rules_that_cannot_be_followed_are_named_with_the_reason() {
    for (text, key, why) in [
        ("steps = [{ weight = 5, seconds = 1 }]", "steps", "`immediate` has no steps"),
        ("strategy = \"canary\"\nsteps = []", "steps", "every other strategy has some"),
        ("strategy = \"canary\"\nsteps = [{ weight = 101, seconds = 1 }]", "steps", "0.01 to 100"),
        (
            "strategy = \"canary\"\nsteps = [{ weight = 9, seconds = 1 }, { weight = 5, seconds = 1 }]",
            "steps",
            "sessions would go back",
        ),
        (
            "strategy = \"blue_green\"\nsteps = [{ weight = 5, seconds = 1 }]",
            "steps",
            "100 per cent",
        ),
        ("strategy = \"blue_green\"\ndecide = \"evidence\"", "decide", "nothing to compare with"),
        (
            "strategy = \"shadow\"\nsteps = [{ weight = 5, seconds = 1 }]",
            "steps",
            "with a `mirror` only",
        ),
        ("strategy = \"canary\"\nsteps = [{ seconds = 1 }]", "steps", "a `weight` or a `mirror`"),
        (
            "strategy = \"canary\"\nsteps = [{ weight = 5, mirror = 5, seconds = 1 }]",
            "steps",
            "and not both",
        ),
        ("strategy = \"shadow\"\nsteps = [{ mirror = 101, seconds = 1 }]", "steps", "0.01 to 100"),
        (
            "strategy = \"shadow\"\nsteps = [{ mirror = 9, seconds = 1 }, { mirror = 5, seconds = 1 }]",
            "steps",
            "mirrors less",
        ),
        ("strategy = \"shadow\"\ncopies = { spend_cap = 0 }", "copies", "above 0"),
        ("strategy = \"shadow\"\ncopies = { in_flight = 0 }", "copies", "1 to 1,000"),
        ("strategy = \"canary\"\nevidence = { alpha = 0.0 }", "evidence", "alpha"),
        ("strategy = \"canary\"\nevidence = { latency_quantile = 2 }", "evidence", "0.999"),
    ] {
        let (found, said) = read(text).unwrap_err();
        assert_eq!(found, key, "{text}");
        assert!(said.contains(why), "{text}: {said}");
    }
}
