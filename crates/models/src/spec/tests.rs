use super::*;

#[test]
fn only_the_digest_of_the_weights_pins_a_models_bytes() {
    let mut spec = ModelSpec::new("local", "llama");
    assert_eq!(spec.reproducibility(), Reproducibility::ByName);
    spec.revision = Some("2026-01-01".to_owned());
    assert_eq!(spec.reproducibility(), Reproducibility::ByName);
    spec.revision = Some(format!("sha256:{}", "ab".repeat(32)));
    assert_eq!(spec.reproducibility(), Reproducibility::Bytes);
    assert_eq!(
        ModelSpec::new("extractive", "extractive").reproducibility(),
        Reproducibility::ByName
    );
}

#[test]
fn unknown_keys_are_errors_and_defaults_are_not_stored() {
    let spec: ModelSpec =
        toml::from_str("provider = \"openai\"\nmodel = \"gpt\"\n[parameters]\nseed = 1").unwrap();
    let stored = serde_json::to_value(&spec).unwrap();
    assert_eq!(
        stored,
        serde_json::json!({"provider": "openai", "model": "gpt", "parameters": {"seed": 1}})
    );
    let typo = "provider = \"openai\"\nmodel = \"gpt\"\n[parameters]\ntemprature = 1";
    assert!(toml::from_str::<ModelSpec>(typo).unwrap_err().to_string().contains("temprature"));
}
