use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

fn compile(rules: &str) -> Guardrails {
    Guardrails::compile(&serde_json::from_str(&format!("{{\"rules\": [{rules}]}}")).unwrap())
        .unwrap()
}

fn problems(rules: &str) -> String {
    let spec = serde_json::from_str(&format!("{{\"rules\": [{rules}]}}")).unwrap();
    let error = Guardrails::compile(&spec).unwrap_err();
    let lines = error.problems.iter().map(|problem| {
        let hint = problem.hint.as_deref().unwrap_or("-");
        format!("{}: {} ({hint})", problem.pointer, problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn words(words: &str, action: &str) -> Guardrails {
    compile(&format!(
        r#"{{"name": "w", "kind": "words", "on": ["input", "output"], "action": "{action}",
            "words": {words}}}"#
    ))
}

fn regex(pattern: &str, action: &str) -> Guardrails {
    let pattern = serde_json::to_string(pattern).unwrap();
    compile(&format!(
        r#"{{"name": "r", "kind": "regex", "on": ["input", "output"], "action": "{action}",
            "pattern": {pattern}}}"#
    ))
}

fn found<'a>(guardrails: &Guardrails, text: &'a str) -> Vec<&'a str> {
    guardrails.input(text).findings.into_iter().map(|finding| &text[finding.span]).collect()
}

/// What a stream of `pieces` releases, its findings, and whether it was blocked.
fn stream(guardrails: &Guardrails, pieces: &[&str]) -> (String, Vec<Finding>, bool) {
    let mut screen = guardrails.output();
    let (mut released, mut all, mut blocked) = (String::new(), Vec::new(), false);
    let mut take = |screened| match screened {
        Screened::Release { text, findings } => {
            assert!(!blocked, "nothing is released after a block");
            released.push_str(&text);
            all.extend(findings);
        }
        Screened::Blocked { findings, .. } => {
            blocked = true;
            all.extend(findings);
        }
    };
    for piece in pieces {
        take(screen.push(piece));
    }
    take(screen.finish());
    all.sort_by_key(|finding| (finding.span.start, finding.span.end));
    (released, all, blocked)
}

#[test]
fn words_are_found_whole_in_any_case_and_normal_form() {
    let guardrails = words(r#"["Straße", "café", "legal advice", "C++"]"#, "flag");
    for text in ["STRASSE", "cafe\u{301}", "CAFÉ", "legal\n  Advice", "ｃａｆé", "use c++, now"]
    {
        assert_eq!(found(&guardrails, text).len(), 1, "{text:?}");
    }
    assert_eq!(found(&guardrails, "Caf\u{ad}é"), ["Caf\u{ad}é"], "a soft hyphen hides nothing");
    for text in ["cafés", "decafé", "cafe", "legalese advice", "legal, advice", "c+", "_café"] {
        assert_eq!(found(&guardrails, text).len(), 0, "{text:?}");
    }
}

#[test]
fn of_words_that_overlap_the_leftmost_longest_is_reported() {
    let guardrails = words(r#"["a b", "b c d", "b c", "a b c"]"#, "flag");
    assert_eq!(found(&guardrails, "a b c d, b c d"), ["a b c", "b c d"]);
}

#[test]
fn a_finding_tells_rule_and_place_but_not_the_text() {
    let guardrails = words(r#"["hunter2"]"#, "flag");
    let json = serde_json::to_string(&guardrails.input("it is hunter2!").findings).unwrap();
    assert_eq!(json, r#"[{"rule":"w","action":"flag","span":{"start":6,"end":13}}]"#);
}

#[test]
fn rules_that_do_not_compile_are_all_reported_with_their_place() {
    let report = problems(
        r#"{"name": "a", "kind": "regex", "on": ["input"], "action": "flag", "pattern": "(x"},
           {"name": "b", "kind": "regex", "on": [], "action": "flag", "pattern": "x*"},
           {"name": "c", "kind": "words", "on": ["input"], "action": "flag", "words": ["ok", " "]},
           {"name": "a", "kind": "pii", "on": ["input"], "action": "flag", "words": ["ok"]},
           {"name": "d", "kind": "regex", "on": ["input"], "action": "flag",
            "pattern": "\\w{900}"},
           {"name": "e", "kind": "regex", "on": ["input"], "action": "flag",
            "pattern": "(?<=a)b"},
           {"name": "f", "kind": "pii", "on": ["input"], "action": "flag",
            "entities": ["email", "email"]}"#,
    );
    insta::assert_snapshot!("problems", report);
}

#[test]
fn text_that_no_rule_is_in_the_middle_of_is_released_at_once() {
    let guardrails = words(r#"["legal advice"]"#, "block");
    let mut screen = guardrails.output();
    let mut release = |piece: &str| match screen.push(piece) {
        Screened::Release { text, .. } => text,
        Screened::Blocked { .. } => panic!("blocked"),
    };
    assert_eq!(release("Here is "), "Here is ");
    assert_eq!(release("the leg"), "the ");
    assert_eq!(release("al"), "");
    assert_eq!(release(" team"), "legal team");
}

#[test]
fn a_flagging_rule_holds_nothing_back() {
    let guardrails = words(r#"["legal advice"]"#, "flag");
    let mut screen = guardrails.output();
    for piece in ["some legal", " adv"] {
        assert_eq!(
            screen.push(piece),
            Screened::Release { text: piece.to_owned(), findings: Vec::new() }
        );
    }
    let Screened::Release { text, findings } = screen.push("ice.") else { panic!("blocked") };
    assert_eq!((text.as_str(), findings[0].span.clone()), ("ice.", 5..17));
}

#[test]
fn nothing_of_a_blocked_match_is_released_and_nothing_after_it() {
    let guardrails = compile(
        r#"{"name": "cards", "kind": "pii", "on": ["output"], "action": "block",
            "entities": ["credit_card"]}"#,
    );
    let (released, findings, blocked) =
        stream(&guardrails, &["Your card 41", "11 1111 ", "1111 11", "11 is", " fine", "."]);
    assert_eq!((released.as_str(), blocked), ("Your card ", true));
    assert_eq!((findings.len(), findings[0].span.clone()), (1, 10..29));
}

#[test]
fn an_endless_pattern_holds_back_no_more_than_the_bound() {
    let guardrails = regex(r"BEGIN[\s\S]*END", "block");
    let mut screen = guardrails.output();
    let (mut sent, mut received) = (0, 0);
    for piece in std::iter::once("BEGIN").chain(std::iter::repeat_n("0123456789", 1_000)) {
        sent += piece.len();
        let Screened::Release { text, .. } = screen.push(piece) else { panic!("blocked") };
        received += text.len();
        assert!(sent - received <= HOLD_BACK, "{} bytes are held back", sent - received);
    }
    let (_, _, blocked) = stream(&guardrails, &["BEGIN", &"x".repeat(HOLD_BACK - 8), "EN", "D"]);
    assert!(blocked, "a match of up to the bound is found");
}

#[test]
fn a_hostile_pattern_on_a_long_text_ends_soon() {
    let text = "a".repeat(200_000);
    let guardrails = regex(r"(a|aa)*a*b|[a-z].*[^a-z]", "flag");
    assert_eq!(found(&guardrails, &text).len(), 0);
    let pieces = [&text[..100]; 200];
    assert_eq!(stream(&guardrails, &pieces).0.len(), 20_000);
}

#[test]
fn a_rule_stops_after_its_most_findings() {
    assert_eq!(found(&regex("a", "flag"), &"a".repeat(1_000)).len(), MAX_FINDINGS);
    let (_, findings, _) = stream(&regex("a", "flag"), &["a"; 1_000]);
    assert_eq!(findings.len(), MAX_FINDINGS);
}

#[test]
fn an_anchor_means_the_answer_and_not_a_piece_of_it() {
    let guardrails = regex(r"^yes|no$|\bmay\b", "flag");
    let spans = |pieces: &[&str]| {
        let (_, findings, _) = stream(&guardrails, pieces);
        findings.into_iter().map(|finding| finding.span).collect::<Vec<_>>()
    };
    let long = "x".repeat(100);
    assert_eq!(
        spans(&["ye", "s", " yes", " no", " ", &long, "yes", " may", "be", " n", "o"]),
        [0..3, 121..123]
    );
    assert_eq!(spans(&["a may", " b"]), vec![std::ops::Range { start: 2, end: 5 }]);
}

const EVERY_KIND: &str = r#"
    {"name": "pii", "kind": "pii", "on": ["input", "output"], "action": "ACTION", "entities":
     ["credit_card", "iban", "email", "phone", "us_ssn", "ipv4", "secret"]},
    {"name": "words", "kind": "words", "on": ["input", "output"], "action": "ACTION", "words":
     ["legal advice", "legal", "café", "no"]},
    {"name": "regex", "kind": "regex", "on": ["input", "output"], "action": "ACTION", "pattern":
     "(?i)\\b(ignore|forget)\\s+(all\\s+)?rules\\b|é+x|a{2,5}$"}"#;

fn every_kind(action: &str) -> &'static Guardrails {
    static FLAG: LazyLock<Guardrails> =
        LazyLock::new(|| compile(&EVERY_KIND.replace("ACTION", "flag")));
    static BLOCK: LazyLock<Guardrails> =
        LazyLock::new(|| compile(&EVERY_KIND.replace("ACTION", "block")));
    if action == "block" { &BLOCK } else { &FLAG }
}

/// Fragments that begin, complete and spoil matches.
fn texts() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("4111 1111 1111 1111"),
        Just("4111-1111-1111-1112"),
        Just("378282246310005"),
        Just("1234 "),
        Just("DE89 3704 0044 0532 0130 00"),
        Just("GB82WEST12345698765432"),
        Just("ada@example.com"),
        Just("ada@example."),
        Just("+44 20 7946 0958"),
        Just("(555) 234-5678"),
        Just("219-09-9999"),
        Just("192.168.0.1"),
        Just("AKIAIOSFODNN7EXAMPLE"),
        Just("sk-abcdefghijklmnopqrstuvwx"),
        Just("legal"),
        Just(" advice"),
        Just("cafe"),
        Just("\u{301}"),
        Just("\u{323}"),
        Just("é"),
        Just("\u{200b}"),
        Just("ignore  all"),
        Just(" rules"),
        Just("aaa"),
        Just("x"),
        Just(" "),
        Just(". "),
        Just("\n"),
        Just("no"),
    ];
    proptest::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

fn cut<'a>(text: &'a str, places: &[prop::sample::Index]) -> Vec<&'a str> {
    let boundaries: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
    let mut cuts: Vec<usize> = places.iter().map(|place| *place.get(&boundaries)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in cuts.into_iter().chain([text.len()]) {
        pieces.push(&text[from..to]);
        from = to;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_stream_finds_what_the_whole_text_has_however_it_is_cut(
        text in texts(),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let guardrails = every_kind("flag");
        let (released, findings, _) = stream(guardrails, &cut(&text, &places));
        let mut whole = guardrails.whole_output(&text).findings;
        whole.sort_by_key(|finding| (finding.span.start, finding.span.end));
        let mut findings = findings;
        let key = |finding: &Finding| {
            (finding.span.start, finding.span.end, finding.rule.clone(), finding.entity)
        };
        findings.sort_by_key(key);
        whole.sort_by_key(key);
        prop_assert_eq!(&findings, &whole);
        prop_assert_eq!(released, text);
    }

    #[test]
    fn a_stream_blocks_when_the_whole_text_is_blocked_and_before_the_match(
        text in texts(),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let guardrails = every_kind("block");
        let (released, _, blocked) = stream(guardrails, &cut(&text, &places));
        let whole = guardrails.whole_output(&text);
        prop_assert_eq!(blocked, whole.blocked().is_some());
        match whole.blocked() {
            Some(finding) => prop_assert!(released.len() <= finding.span.start),
            None => prop_assert_eq!(&released, &text),
        }
        prop_assert!(text.starts_with(&released));
    }

    #[test]
    fn no_text_makes_a_screen_panic(pieces in proptest::collection::vec("\\PC{0,20}", 0..20)) {
        let guardrails = every_kind("flag");
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        prop_assert_eq!(stream(guardrails, &pieces).0, pieces.concat());
    }
}
