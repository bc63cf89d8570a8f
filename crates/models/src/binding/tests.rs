use super::*;
use crate::fixtures::binding;

fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

fn override_of(endpoint: Option<&str>, credential: Option<&str>) -> BindingOverride {
    BindingOverride {
        endpoint: endpoint.map(str::to_owned),
        credential: credential.map(Secret::new),
        region: None,
        timeouts: None,
    }
}

#[test]
fn a_name_leads_to_the_environments_own_binding() {
    let mut openai = binding(ProviderKind::Openai, "http://dev.local/v1");
    let prod = override_of(Some("http://prod.local/v1"), None);
    openai.environments.insert(environment("prod"), prod);
    let (outside, within) = (openai.digest(), openai.within(&environment("prod")).digest());
    let providers = Providers::new([("openai".to_owned(), openai)].into()).unwrap();
    let digest =
        |name| providers.resolve(&TenantId::DEFAULT, &environment(name), "openai").unwrap().1;
    assert_eq!(digest("dev"), outside);
    assert_eq!(digest("prod"), within);
    assert_ne!(outside, within);
}

#[test]
fn the_built_in_model_is_always_there_and_its_name_is_taken() {
    let providers = Providers::new(BTreeMap::new()).unwrap();
    let resolved = providers.resolve(&TenantId::DEFAULT, &environment("dev"), "extractive");
    assert_eq!(resolved.unwrap().0.name(), "extractive");
    let taken = binding(ProviderKind::Openai, "http://localhost/v1");
    let error = Providers::new([("extractive".to_owned(), taken)].into()).unwrap_err();
    assert!(matches!(error, ProviderError::Binding { .. }));
}

#[test]
fn a_provider_of_another_tenant_looks_like_none() {
    let openai = binding(ProviderKind::Openai, "http://localhost/v1");
    let providers = Providers::new([("openai".to_owned(), openai)].into()).unwrap();
    let stranger: TenantId = "stranger".parse().unwrap();
    let error = |name| {
        let resolved = providers.resolve(&stranger, &environment("dev"), name);
        resolved.map(drop).unwrap_err().to_string().replace(name, "NAME")
    };
    assert_eq!(error("openai"), error("missing"));
}

#[test]
fn a_credential_is_not_sent_to_another_endpoint_than_its_own() {
    let mut openai = binding(ProviderKind::Openai, "https://api.openai.com/v1");
    openai.credential = Some(Secret::new("sk-1"));
    openai.environments.insert(environment("dev"), override_of(Some("http://else/v1"), None));
    openai.environments.insert(environment("prod"), override_of(None, Some("sk-2")));
    assert!(openai.within(&environment("dev")).credential.is_none());
    let key = |name| openai.within(&environment(name)).credential.unwrap().expose().to_owned();
    assert_eq!(key("prod"), "sk-2");
    assert_eq!(key("staging"), "sk-1");
}

#[test]
fn the_digest_is_of_kind_endpoint_and_region_and_never_of_the_credential() {
    let plain = binding(ProviderKind::Openai, "https://example.com/v1");
    let mut keyed = plain.clone();
    keyed.credential = Some(Secret::new("sk-1"));
    assert_eq!(keyed.digest(), plain.digest());
    let mut elsewhere = plain.clone();
    elsewhere.region = Some("eu".to_owned());
    assert_ne!(elsewhere.digest(), plain.digest());
    assert_ne!(binding(ProviderKind::Anthropic, "https://example.com/v1").digest(), plain.digest());
}

#[test]
fn configuration_is_read_with_credentials_as_references() {
    let text = r#"
        kind = "openai"
        endpoint = "https://api.openai.com/v1"
        credential = "env:OPENAI_API_KEY"
        tenants = ["default"]
        timeouts = { first_token_ms = 10000 }
        [environments.prod]
        endpoint = "https://eu.api.openai.com/v1"
        credential = "env:OPENAI_EU_KEY"
    "#;
    let read: ProviderBinding<String> = toml::from_str(text).unwrap();
    assert_eq!(read.timeouts.first_token_ms, Some(10_000));
    assert_eq!(read.timeouts.connect_ms, 5_000);
    let resolved = read.clone().with_credentials(|name| Ok::<_, String>(Secret::new(name)));
    let prod = resolved.unwrap().within(&environment("prod"));
    assert_eq!(prod.credential.unwrap().expose(), "env:OPENAI_EU_KEY");
    let missing = read.with_credentials(|name| Err::<Secret, _>(format!("{name} is not set")));
    assert!(missing.unwrap_err().contains("is not set"));
    let typo = text.replace("tenants", "tenant");
    assert!(toml::from_str::<ProviderBinding<String>>(&typo).is_err());
}

#[test]
fn a_binding_never_prints_its_credential() {
    let mut openai = binding(ProviderKind::Openai, "https://example.com/v1");
    openai.credential = Some(Secret::new("sk-very-secret"));
    assert!(!format!("{openai:?}").contains("sk-very"));
    let providers = Providers::new([("openai".to_owned(), openai)].into()).unwrap();
    assert!(!format!("{providers:?}").contains("sk-very"));
}
