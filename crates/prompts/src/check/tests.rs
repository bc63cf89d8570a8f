use crate::Prompt;

fn report(text: &str) -> String {
    let found = Prompt::check("prompts/p.md", text);
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_good_prompt_has_no_findings() {
    let text = "+++\n[variables.name]\n+++\n{% set who = name|upper %}{% for p in passages[:2] if p.text \
                %}{{ loop.index }} {{ p.title }} {{ who }}{% else %}{{ range(3)|join }}{% endfor %}\
                {% if who is startingwith 'A' %}{% set x = 1 %}{% endif %}{{ x }}\
                {% set n = namespace(a=1) %}{% set n.a = 2 %}{{ n.a }}{% raw %}{{ y }}{% endraw %}";
    assert_eq!(report(text), "");
}

#[test]
fn every_mistake_of_a_template_is_reported_with_its_place() {
    insta::assert_snapshot!(
        "template",
        report(
            "+++
variables.company.default = \"Tarn\"
variables.unused.default = \"?\"
+++
Für {{ compny }} and {{ customer }}, {{ customer }}
{% for passage in passages %}{{ passage.titel|uper }}{{ passage.url }}{% endfor %}
{{ passage }}
{% if company is strin %}{{ now() }}{% endif %}
{% macro m() %}{% endmacro %}{% extends \"base\" %}
{% include company %}
"
        )
    );
}

#[test]
fn an_unused_variable_is_a_warning_unless_an_include_may_use_it() {
    let unused = "+++\n[variables.a]\n+++\nx";
    insta::assert_snapshot!("unused", report(unused));
    assert_eq!(report(&format!("{unused}{{% include \"b\" %}}")), "");
}

#[test]
fn every_mistake_of_the_front_matter_is_reported_with_its_place() {
    insta::assert_snapshot!(
        "front_matter",
        report(
            "+++
descripton = \"x\"

[variables.for-me]
type = \"string\"

[variables.count]
type = \"integer\"
default = \"3\"

[variables.tone]
choices = [\"short\"]
default = \"long\"

[variables.kind]
type = \"text\"

[variables.both]
required = true
default = \"x\"

[variables.list]
tpye = \"array\"
choices = [1]

[variables.passages]

[model]
temperature = 3
max_tokens = \"many\"
+++
{{ count }}{{ tone }}{{ kind }}{{ both }}{{ list }}
"
        )
    );
}

#[test]
fn hints_out_of_range_are_reported() {
    insta::assert_snapshot!(
        "hints",
        report("+++\n[model]\ntemperature = 3.0\ntop_p = 0.0\nmax_tokens = 0\n+++\nx")
    );
}

#[test]
fn broken_syntax_is_reported_where_it_is() {
    let texts = [
        "---\ndescription: x\n---\nhi",
        "+++\ndescription = \"x\"\nhi",
        "+++\ndescription = \"x\nmodel = [\n+++\nhi",
        "+++\nvariables = 1\n+++\nhi",
        "line\n  {{ a b }}",
        "{% if true %}\n\nhi",
        "{{ 'abc }}",
        "{% frobnicate %}",
    ];
    insta::assert_snapshot!("syntax", texts.map(report).join("\n"));
}

#[test]
fn a_prompt_that_is_too_large_or_too_deep_is_reported() {
    assert!(report(&"x".repeat(crate::MAX_PROMPT + 1)).contains("GC0216"));
    insta::assert_snapshot!("deep", report(&format!("hi\n{{{{ 1{} }}}}", "+1".repeat(500))));
}
