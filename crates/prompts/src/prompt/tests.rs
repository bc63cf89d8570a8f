//! Prompts render strictly, and every mistake in them has a place.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::resolve_includes;

const SUPPORT: &str = "+++\ndescription = \"x\"\n\n[variables.tone]\ntype = \"string\"\ndefault = \"kind\"\n\n[variables.name]\ntype = \"string\"\nrequired = true\n+++\nBe {{ tone }} to {{ name }}.\n{% for p in passages %}[{{ p.number }}] {{ p.text }}\n{% endfor %}";

fn render(values: Value) -> Result<String, String> {
    let passages =
        [PassageView { number: 1, id: "c", title: "T", text: "Thirty days <b>.", source: "t.md" }];
    let prompt = Prompt::parse(SUPPORT).unwrap();
    prompt.render(values.as_object().unwrap(), &passages).map_err(|error| error.to_string())
}

#[test]
fn defaults_values_and_passages_are_filled_in_without_escaping() {
    assert_eq!(render(json!({"name": "Ada"})).unwrap(), "Be kind to Ada.\n[1] Thirty days <b>.\n");
}

#[test]
fn missing_and_mistyped_variables_are_named() {
    assert_eq!(
        render(json!({})).unwrap_err(),
        "the variable `name` is required: send it in `metadata`"
    );
    let mistyped = render(json!({"name": 7})).unwrap_err();
    assert_eq!(mistyped, "the variable `name` must be of type string");
}

#[test]
fn numbers_and_flags_may_come_as_text() {
    let text = "+++\n[variables.days]\ntype = \"integer\"\n+++\n{{ days + 1 }}";
    let prompt = Prompt::parse(text).unwrap();
    let render = |value: Value| prompt.render(json!({"days": value}).as_object().unwrap(), &[]);
    assert_eq!(render(json!("30")).unwrap(), "31");
    assert!(render(json!("soon")).is_err());
}

#[test]
fn an_undefined_name_and_endless_work_are_errors() {
    let prompt = Prompt::parse("{{ nobody }}").unwrap();
    assert!(prompt.render(&Map::new(), &[]).is_err());
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(Prompt::parse(endless).unwrap().render(&Map::new(), &[]).is_err());
}

fn check(text: &str) -> String {
    let found = Prompt::check("prompts/support.md", text);
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_right_prompt_has_no_findings() {
    assert_eq!(check(SUPPORT), "");
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    insta::assert_snapshot!(check(
        "+++\ndescripton = \"x\"\n[variables.tone]\ntype = \"strnig\"\n+++\nBe {{ tone }}.\n"
    ));
    insta::assert_snapshot!(check(
        "+++\n[variables.tone]\ntype = \"string\"\ndefault = 7\n[variables.unused]\ntype = \"string\"\n+++\nBe {{ tone }} to {{ nobody }} {{ tone|shout }}.\n"
    ));
    insta::assert_snapshot!(check("Line one\n{% if x %}\nnever closed\n"));
    insta::assert_snapshot!(check("---\ndescription: yaml\n---\nText\n"));
    insta::assert_snapshot!(check("+++\ndescription = \"x\"\nText\n"));
}

#[test]
fn includes_are_inlined_and_loops_are_refused() {
    let files = |entries: &[(&str, &str)]| {
        entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let library = files(&[
        ("main", "A {% include \"_rules\" %} Z"),
        ("_rules", "be {%include '_tone'%}"),
        ("_tone", "kind"),
    ]);
    assert_eq!(resolve_includes("main", &library).unwrap(), "A be kind Z");
    let looped = files(&[("a", "{% include \"b\" %}"), ("b", "{% include \"a\" %}")]);
    assert!(resolve_includes("a", &looped).unwrap_err().to_string().contains("includes itself"));
    let missing = files(&[("a", "{% include \"gone\" %}")]);
    assert!(resolve_includes("a", &missing).unwrap_err().to_string().contains("`gone`"));
    let dynamic = files(&[("a", "{% include name %}")]);
    assert!(resolve_includes("a", &dynamic).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_checking_or_rendering_panic(text in "[+{}%#a-z\\n \"|=.]{0,80}") {
        Prompt::check("prompts/x.md", &text);
        if let Ok(prompt) = Prompt::parse(&text) {
            let _rendered = prompt.render(&Map::new(), &[]);
        }
    }
}

#[test]
fn a_prompt_that_grows_beyond_its_bound_is_stopped_on_the_way() {
    let text = "+++\n[variables.long]\ntype = \"string\"\n+++\n\
                {% for _ in range(100000) %}{{ long }}{% endfor %}";
    let values = serde_json::json!({"long": "x".repeat(100_000)});
    let rendered = Prompt::parse(text).unwrap().render(values.as_object().unwrap(), &[]);
    assert!(matches!(rendered, Err(PromptError::TooLong)), "{rendered:?}");
}
