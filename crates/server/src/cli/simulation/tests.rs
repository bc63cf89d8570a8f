//! The example's scenario, and one that is wrong.

use super::*;

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/scenarios/canary.toml")
}

#[test]
fn the_example_is_simulated_alike_each_time() {
    let asked = SimulateArguments { scenario: example(), runs: 5, seed: 1 };
    let report = simulated(&asked).unwrap();
    assert_eq!(report, simulated(&asked).unwrap());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["candidates"][0]["policies"][0]["policy"], "evidence");
    assert_eq!((&json["runs"], &json["seed"]), (&5.into(), &1.into()));
}

#[test]
fn mistakes_end_it_and_are_told_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("scenario.toml");
    let asked = SimulateArguments { scenario: scenario.clone(), runs: 5, seed: 1 };
    let error = simulated(&asked).unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
    fs::write(&scenario, "[rules]\nstrategy = \"canary\"\n[trafic]\n").unwrap();
    let error = simulated(&asked).unwrap_err();
    assert!(error.to_string().ends_with("hint: did you mean `traffic`?"), "{error}");
    assert_eq!(crate::cli::ended(&error), 1);
}
