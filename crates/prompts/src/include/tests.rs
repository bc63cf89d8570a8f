use super::*;

fn resolve(prompts: &[(&str, &str)]) -> Result<String, PromptError> {
    let prompts = prompts.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    resolve_includes("main", &prompts)
}

#[test]
fn an_include_is_replaced_by_the_text_it_names() {
    let resolved = resolve(&[
        ("main", "+++\ndescription = \"{% include 'no' %}\"\n+++\na\n{% include \"_b\" %}\nd"),
        ("_b", "b {% include '_c' %}\r\n"),
        ("_c", "{{ x }}"),
    ]);
    let wanted = "+++\ndescription = \"{% include 'no' %}\"\n+++\na\nb {{ x }}\nd";
    assert_eq!(resolved.unwrap(), wanted);
}

#[test]
fn white_space_control_of_an_include_is_kept() {
    let fragment = ("_b", " b \n");
    for (main, wanted) in [
        ("a \n {%- include \"_b\" -%} \n c", "a b c"),
        ("a {% include \"_b\" -%} c", "a  b c"),
        ("a {%- include \"_b\" %} c", "a b  c"),
        ("{%- include \"_b\" %}", " b "),
        ("+++\n+++\n{%- include \"_b\" %}", "+++\n+++\n b "),
    ] {
        assert_eq!(resolve(&[("main", main), fragment]).unwrap(), wanted, "{main:?}");
    }
}

#[test]
fn what_only_looks_like_an_include_stays() {
    let text = "{# {% include \"x\" %} #}{% raw %}{% include \"x\" %}{% endraw %}{{ \"{% include 'x' %}\" }}";
    assert_eq!(resolve(&[("main", text)]).unwrap(), text);
}

#[test]
fn includes_that_cannot_be_resolved_are_refused_with_their_place() {
    let refused = |prompts: &[(&str, &str)]| resolve(prompts).unwrap_err().to_string();
    let report = [
        refused(&[("main", "a\n {% include \"_stile\" %}"), ("_style", "x")]),
        refused(&[("main", "{% include name %}")]),
        refused(&[("main", "{% include \"a\" ignore missing %}"), ("a", "")]),
        refused(&[("main", "{% include \"a\" %}"), ("a", "+++\n+++\nx")]),
        refused(&[("main", "{% include \"a\" %}"), ("a", "x\n{% if %}")]),
        refused(&[
            ("main", "{% include \"a\" %}"),
            ("a", "{% include \"b\" %}"),
            ("b", "{% include \"a\" %}"),
        ]),
        refused(&[("main", "{% include \"main\" %}")]),
        refused(&[("other", "")]),
    ];
    insta::assert_snapshot!("refused", report.join("\n"));
}

#[test]
fn includes_that_multiply_are_bounded() {
    let tenfold = |name: &str| format!("{{% include \"{name}\" %}}").repeat(10);
    let mut prompts = BTreeMap::from([("main".to_owned(), tenfold("l1"))]);
    for level in 1..9 {
        prompts.insert(format!("l{level}"), tenfold(&format!("l{}", level + 1)));
    }
    prompts.insert("l9".to_owned(), "xxxxxxxxxx".to_owned());
    let error = resolve_includes("main", &prompts).unwrap_err();
    assert_eq!(error, PromptError::TooLarge { prompt: "main".to_owned(), limit: MAX_PROMPT });

    let chain = (0..40).map(|level| {
        let name = if level == 0 { "main".to_owned() } else { format!("l{level}") };
        (name, format!("{{% include \"l{}\" %}}", level + 1))
    });
    let error = resolve_includes("main", &chain.collect()).unwrap_err().to_string();
    assert!(error.contains("nest deeper than 16"), "{error}");
}

#[test]
fn a_digest_covers_what_is_included() {
    let with = |fragment| resolve(&[("main", "{% include \"_f\" %}"), ("_f", fragment)]).unwrap();
    assert_ne!(with("be brief"), with("be long"));
}
