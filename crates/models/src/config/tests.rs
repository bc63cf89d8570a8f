use super::*;

#[test]
fn an_empty_config_is_the_default_and_round_trips() {
    let config: AppConfig = toml::from_str("").unwrap();
    assert_eq!(config, AppConfig::default());
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<AppConfig>(&text).unwrap(), config);
    assert!(!config.overridable.contains(&RequestField::Other));
}

#[test]
fn unknown_keys_and_fields_are_errors() {
    assert!(toml::from_str::<AppConfig>("topk = 3").is_err());
    assert!(toml::from_str::<AppConfig>("overridable = [\"temprature\"]").is_err());
    let config: AppConfig = toml::from_str("capture = \"hashed\"\noverridable = []").unwrap();
    assert_eq!(config.capture, Capture::Hashed);
    assert!(config.overridable.is_empty());
}

#[test]
fn the_schemas_of_what_people_write_are_closed_and_state_defaults() {
    let config = schemars::schema_for!(AppConfig).to_value();
    assert_eq!(config["additionalProperties"], serde_json::json!(false));
    assert_eq!(config["properties"]["top_k"]["default"], serde_json::json!(6));
    assert_eq!(config["properties"]["top_k"]["maximum"], serde_json::json!(100));
    let model = schemars::schema_for!(crate::ModelSpec).to_value();
    assert_eq!(model["additionalProperties"], serde_json::json!(false));
    assert_eq!(model["required"], serde_json::json!(["provider", "model"]));
    let binding = schemars::schema_for!(crate::ProviderBinding<String>).to_value();
    assert_eq!(binding["additionalProperties"], serde_json::json!(false));
    assert_eq!(binding["required"], serde_json::json!(["kind", "endpoint", "tenants"]));
}
