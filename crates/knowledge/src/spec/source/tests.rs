use serde_json::json;

use super::*;
use crate::KnowledgeSpec;

fn read(source: serde_json::Value) -> Result<SourceSpec, String> {
    serde_json::from_value(source).map_err(|error| error.to_string())
}

#[test]
fn a_directory_of_before_is_read_as_it_was() {
    let spec = read(json!({"kind": "directory", "directory": "project"})).unwrap();
    assert_eq!((spec.name(), spec.prefix(), spec.tier()), ("directory", "", None));
    let SourceSpec::Directory(directory) = spec else { panic!("another kind") };
    assert_eq!(directory.include, ["**/*.md", "**/*.html", "**/*.txt"]);
}

#[test]
fn every_kind_has_a_name_a_prefix_a_tier_and_an_objective() {
    for own in [
        json!({"kind": "git", "repository": "wiki"}),
        json!({"kind": "bucket", "bucket": "documents"}),
        json!({"kind": "site", "start": ["https://example.com/"]}),
        json!({"kind": "sql", "database": "crm", "query": "SELECT 1", "path": "id"}),
        json!({"kind": "feed", "url": "https://example.com/feed"}),
        json!({"kind": "push"}),
    ] {
        let mut source = own.clone();
        source["name"] = "mine".into();
        source["prefix"] = "a/".into();
        source["tier"] = "rate(5 minutes)".into();
        source["objective"] = "6h".into();
        let spec = read(source).unwrap();
        assert_eq!(
            (spec.name(), spec.prefix(), Some(spec.kind())),
            ("mine", "a/", own["kind"].as_str())
        );
        assert_eq!(spec.tier(), Some(&Tier::Schedule("rate(5 minutes)".to_owned())));
        assert_eq!(spec.objective(), Some(Objective(Duration::from_secs(21_600))));
        let mut unknown = own;
        unknown["surprise"] = true.into();
        assert!(read(unknown.clone()).unwrap_err().contains("surprise"), "{unknown}");
    }
}

#[test]
fn lengths_of_time_and_tiers_are_read_and_written_alike() {
    for text in ["90s", "30m", "6h", "2d"] {
        assert_eq!(text.parse::<Objective>().unwrap().to_string(), text);
    }
    for wrong in ["", "h", "0h", "6", "-1h", "1w", "1.5h", "6 h", "ü"] {
        assert!(wrong.parse::<Objective>().is_err(), "{wrong}");
    }
    for text in ["continuous", "monthly", "cron(0 8 * * ? *)"] {
        assert_eq!(text.parse::<Tier>().unwrap().to_string(), text);
    }
    assert!("yearly".parse::<Tier>().unwrap_err().contains("hourly"));
}

#[test]
fn the_schema_knows_the_keys_of_every_kind() {
    let schema = serde_json::Value::from(schemars::schema_for!(KnowledgeSpec));
    let kinds = schema["$defs"]["SourceSpec"]["oneOf"].as_array().unwrap();
    for kind in kinds {
        assert_eq!(kind["additionalProperties"], false, "{kind}");
        assert!(kind["properties"]["tier"].is_object(), "{kind}");
    }
    assert_eq!(kinds.len(), 7);
}
