use proptest::prelude::*;
use serde_json::json;

use super::*;

const SUPPORT: &str = r#"+++
description = "Answers questions"

[variables.company]
default = "Tarn & Tread"

[variables.tone]
choices = ["short", "long"]
default = "short"

[variables.limit]
type = "integer"

[variables.note]
required = false

[model]
temperature = 0.2
max_tokens = 400
+++
You speak for {{ company }}, {{ tone }}, {{ limit + 1 }} words.
{%- if note is defined %} {{ note }}{% endif %}
{% for passage in passages %}
[{{ loop.index }}] {{ passage.title }}: {{ passage.text }}
{%- endfor %}
"#;

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object") };
    map
}

#[test]
fn a_prompt_is_rendered_with_its_variables_and_passages() {
    let prompt = Prompt::parse(SUPPORT).unwrap();
    let passages = [
        PassageView { id: "a", title: "Returns", text: "Within {{ 30 }} days.", source: "r.md" },
        PassageView { id: "b", title: "Bikes", text: "<b>Two</b> wheels.", source: "b.md" },
    ];
    let variables = map(json!({"limit": "40", "session_id": "not ours"}));
    let rendered = prompt.render(&variables, &passages).unwrap();
    assert_eq!(
        rendered,
        "You speak for Tarn & Tread, short, 41 words.\n\n[1] Returns: Within {{ 30 }} days.\n\
         [2] Bikes: <b>Two</b> wheels."
    );
    assert_eq!(prompt.front_matter().model.max_tokens, Some(400));
}

#[test]
fn values_that_a_variable_cannot_have_are_refused_by_name() {
    let prompt = Prompt::parse(SUPPORT).unwrap();
    let refused = |variables| prompt.render(&map(variables), &[]).unwrap_err().to_string();
    assert_eq!(refused(json!({})), "variable `limit` is required");
    assert_eq!(refused(json!({"limit": "many"})), "variable `limit` must be an integer");
    assert_eq!(refused(json!({"limit": 1.5})), "variable `limit` must be an integer");
    assert_eq!(
        refused(json!({"limit": 1, "tone": "rude"})),
        "variable `tone` must be one of `short`, `long`"
    );
    assert_eq!(refused(json!({"limit": 1, "company": 7})), "variable `company` must be a string");
}

#[test]
fn text_of_metadata_becomes_the_type_of_the_variable() {
    let prompt = Prompt::parse(
        "+++\n[variables]\na.type = \"integer\"\nb.type = \"number\"\nc.type = \"boolean\"\n\
         d.type = \"array\"\ne.type = \"object\"\n+++\n\
         {{ a * 2 }} {{ b * 2 }} {{ 'yes' if c else 'no' }} {{ d|join('-') }} {{ e.x }}",
    )
    .unwrap();
    let variables = map(json!({"a": "-4", "b": "0.5", "c": "false", "d": [1, 2], "e": {"x": "y"}}));
    assert_eq!(prompt.render(&variables, &[]).unwrap(), "-8 1.0 no 1-2 y");
    let infinite = map(json!({"a": 1, "b": "inf", "c": true, "d": [], "e": {}}));
    let refused = prompt.render(&infinite, &[]).unwrap_err();
    assert_eq!(
        refused,
        PromptError::WrongVariable { name: "b".into(), expected: "a number".into() }
    );
}

#[test]
fn an_optional_variable_without_value_is_undefined_and_its_use_is_an_error_with_its_line() {
    let prompt = Prompt::parse(
        "+++\nvariables.a.required = false\nvariables.o.type = \"object\"\n+++\nx\n{{ o.b }}{{ a }}",
    )
    .unwrap();
    let failed = |variables| prompt.render(&map(variables), &[]).unwrap_err().to_string();
    assert_eq!(failed(json!({"o": {"b": 1}})), "line 6: `a` is undefined");
    assert_eq!(failed(json!({"o": {}, "a": "secret"})), "line 6: `o.b` is undefined");
}

#[test]
fn a_prompt_with_mistakes_does_not_parse() {
    let error = Prompt::parse("+++\ndescribtion = \"x\"\n+++\n{{ name }}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "prompt:2:1: error[GC0203]: unknown key `describtion`\n  hint: did you mean \
         `description`? (and 1 more)"
    );
    let include = Prompt::parse("{% include \"other\" %}").unwrap_err().to_string();
    assert!(include.contains("GC0215"), "{include}");
}

#[test]
fn line_ends_and_byte_order_mark_change_nothing() {
    let windows = format!("\u{feff}{}", SUPPORT.replace('\n', "\r\n"));
    assert_eq!(crate::normalize(windows.as_bytes()).unwrap(), SUPPORT);
    let variables = map(json!({"limit": 1}));
    assert_eq!(
        Prompt::parse(&windows).unwrap().render(&variables, &[]).unwrap(),
        Prompt::parse(SUPPORT).unwrap().render(&variables, &[]).unwrap(),
    );
    let error = crate::normalize(b"+++\n+++\n\xc3\xa9\xff").unwrap_err();
    assert_eq!(error.to_string(), "not valid UTF-8 at line 3, column 2");
}

#[test]
fn work_and_space_of_a_rendering_are_bounded() {
    let bombs = [
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 90000000 }}",
        "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}\
         {% endfor %}{{ n.s|length }}",
        "{% set a = 'xxxxxxxx' * 99999 %}{{ a|list|join(a) }}",
        "{% set a = 'x' * 99999 %}{{ a|replace('x', a) }}",
        "{{ 'x'|indent(999999999, true) }}",
        "{% set x %}{% for i in range(90000) %}0123456789012345678901234567890123456789012345678\
         01234567890123456789{% for j in range(99) %}ab{% endfor %}{% endfor %}{% endset %}{{ x }}",
    ];
    for bomb in bombs {
        let error = Prompt::parse(bomb).unwrap().render(&Map::new(), &[]).unwrap_err();
        assert_eq!(error, PromptError::TooMuch, "{bomb}");
    }
}

#[test]
fn a_template_that_would_exhaust_the_stack_is_refused() {
    let deep = [
        format!("{{{{ 1{} }}}}", "+1".repeat(200_000)),
        format!("{{{{ 'a'{} }}}}", "|upper".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(100_000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}{}", "{% if 1 %}".repeat(20_000), "{% endif %}".repeat(20_000)),
        format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(20_000)),
        format!("{{% for a in [1] recursive %}}{}{{% endfor %}}", "{{ loop([1]) }}"),
    ];
    for template in deep {
        let refused = match Prompt::parse(&template) {
            Ok(prompt) => prompt.render(&Map::new(), &[]).is_err(),
            Err(_) => true,
        };
        assert!(refused, "{}…", &template[..40]);
    }
    let widest = format!("{{{{ 1{} }}}}", "+1".repeat(120));
    let nested = format!("{}{widest}{}", "{% if 1 %}".repeat(60), "{% endif %}".repeat(60));
    let branches = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(100));
    assert_eq!(Prompt::parse(&nested).unwrap().render(&Map::new(), &[]).unwrap(), "121");
    assert_eq!(Prompt::parse(&branches).unwrap().render(&Map::new(), &[]).unwrap(), "");
}

#[test]
fn every_filter_test_and_function_that_is_named_exists() {
    let environment = language::environment();
    let missing = |expression: String, kind| {
        let result = environment.compile_expression_owned(expression).unwrap().eval(());
        result.is_err_and(|error| error.kind() == kind)
    };
    for filter in language::FILTERS {
        assert!(!missing(format!("'a'|{filter}"), ErrorKind::UnknownFilter), "{filter}");
    }
    for test in language::TESTS.iter().filter(|test| test.starts_with(char::is_alphabetic)) {
        assert!(!missing(format!("'a' is {test}"), ErrorKind::UnknownTest), "{test}");
    }
    for function in language::FUNCTIONS {
        assert!(!missing(format!("{function}()"), ErrorKind::UnknownFunction), "{function}");
    }
    assert!(
        missing("debug()".into(), ErrorKind::UndefinedError)
            || missing("debug()".into(), ErrorKind::UnknownFunction)
    );
}

proptest! {
    #[test]
    fn no_text_makes_checking_or_rendering_panic(text in "\\PC{0,200}") {
        let _findings = Prompt::check("p.md", &text);
        if let Ok(prompt) = Prompt::parse(&text) {
            let _rendered = prompt.render(&Map::new(), &[]);
        }
    }

    #[test]
    fn no_template_makes_checking_or_rendering_panic(
        parts in proptest::collection::vec(prop_oneof![
            Just("{{ "), Just(" }}"), Just("{% "), Just(" %}"), Just("{%- "), Just("if "),
            Just("for x in "), Just("endif"), Just("endfor"), Just("set x = "), Just("x"),
            Just("passages"), Just("[0]"), Just("[1:"), Just("]"), Just(".text"), Just("|upper"),
            Just("|join("), Just(")"), Just("range(9)"), Just("'é"), Just("'"), Just("+"),
            Just(" * 99"), Just("-"), Just("1"), Just("include \"x\""), Just("raw"),
            Just("endraw"), Just("{# "), Just(" #}"), Just("\n"), Just("ü"), Just("+++\n"),
        ], 0..30),
    ) {
        let text = parts.concat();
        let found = Prompt::check("p.md", &text);
        match Prompt::parse(&text) {
            Ok(prompt) => {
                prop_assert!(found.iter().all(|finding| finding.severity == Severity::Warning));
                let passage = PassageView { id: "i", title: "t", text: "x", source: "s" };
                let _rendered = prompt.render(&Map::new(), &[passage]);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
