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
