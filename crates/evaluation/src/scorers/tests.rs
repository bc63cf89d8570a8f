use serde_json::{Value, json};

use super::{Cause, Engines, Outcome, Scorer, Seen, reads_as_refusal};
use crate::answer::Spend;
use crate::scripted::{AtSigns, Letters, Says, answer, case};
use crate::suite::ScorerSpec;

fn scorer(spec: Value) -> Scorer {
    let spec: ScorerSpec = serde_json::from_value(spec).unwrap();
    Scorer::compile(&"it".parse().unwrap(), &spec).unwrap()
}

fn run(measure: Value, of_case: Value, of_answer: Value, engines: Engines<'_>) -> Outcome {
    let mut whole = json!({ "id": "one", "input": "Can I return it?" });
    whole.as_object_mut().unwrap().extend(of_case.as_object().unwrap().clone());
    let (case, answer) = (case(whole), answer(of_answer));
    let scorer = scorer(json!({ "measure": measure }));
    let seen = Seen { case: &case, answer: &answer };
    futures::executor::block_on(scorer.score(seen, engines, &mut Spend::default()))
}

fn value(measure: Value, of_case: Value, of_answer: Value) -> f64 {
    let outcome = run(measure, of_case, of_answer, Engines::default());
    outcome.score().unwrap_or_else(|| panic!("{outcome:?}")).value
}

fn text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Scored(score) => {
            let pass = match score.pass {
                Some(true) => " passes",
                Some(false) => " fails",
                None => "",
            };
            let explanation = score.explanation.as_deref().unwrap_or("-");
            format!("{:.4}{pass}: {explanation}", score.value)
        }
        Outcome::NotApplicable { reason } => format!("not applicable: {reason}"),
        Outcome::Error { cause, reason } => format!("{cause:?}: {reason}"),
    }
}

fn says(measure: Value, of_case: Value, of_answer: Value) -> String {
    text(&run(measure, of_case, of_answer, Engines::default()))
}

fn passage(id: &str, document: &str, text: &str) -> Value {
    json!({ "id": id, "document": document, "text": text })
}

#[test]
fn an_exact_answer_is_the_expected_one_white_space_around_it_aside() {
    let exact = json!({ "kind": "exact" });
    let of = |expected, answer| {
        says(exact.clone(), json!({ "expected": expected }), json!({ "text": answer }))
    };
    assert_eq!(of("Yes", " Yes\n"), "1.0000 passes: -");
    assert_eq!(of("Yes", "yes"), "0.0000 fails: -");
    let loose = json!({ "kind": "exact", "ignore_case": true });
    assert_eq!(value(loose, json!({ "expected": "JA Ö" }), json!({ "text": "ja ö" })), 1.0);
    let none = says(exact, json!({}), json!({ "text": "Yes" }));
    assert_eq!(none, "not applicable: the case has no `expected`");
}

#[test]
fn a_pattern_is_found_or_must_be_absent() {
    let of = |absent, answer| {
        let measure = json!({ "kind": "regex", "pattern": "(?i)thirty days", "absent": absent });
        says(measure, json!({}), json!({ "text": answer }))
    };
    assert_eq!(of(false, "Thirty days."), "1.0000 passes: found `Thirty days`");
    assert_eq!(of(false, "A month."), "0.0000 fails: not found");
    assert_eq!(of(true, "Thirty days."), "0.0000 fails: found `Thirty days`");
    assert_eq!(of(true, "A month."), "1.0000 passes: not found");
}

#[test]
fn json_keeps_its_schema_or_the_objections_are_told() {
    let schema = json!({ "type": "object", "required": ["days"], "properties": {
        "days": { "type": "integer" } } });
    let of = |answer: &str| {
        let measure = json!({ "kind": "json_schema", "schema": schema });
        says(measure, json!({}), json!({ "text": answer }))
    };
    let found = ["{\"days\": 30}", "{\"days\": \"thirty\"}", "{}", "thirty", ""].map(of).join("\n");
    insta::assert_snapshot!(found, @r#"
    1.0000 passes: -
    0.0000 fails: /days: "thirty" is not of type "integer"
    0.0000 fails: /: "days" is a required property
    0.0000 fails: not JSON: expected ident at line 1 column 2
    0.0000 fails: not JSON: EOF while parsing a value at line 1 column 0
    "#);
}

#[test]
fn overlap_with_what_is_expected_has_a_score_of_each_kind() {
    let expected = json!({ "expected":
        "Refunds are available within thirty days of purchase with a receipt." });
    let answer = json!({ "text":
        "You can get a refund within thirty days of purchase if you have the receipt." });
    let of = |measure| says(measure, expected.clone(), answer.clone());
    let kinds = [
        json!({ "kind": "rouge", "variant": "1" }),
        json!({ "kind": "rouge", "variant": "2" }),
        json!({ "kind": "rouge", "variant": "l" }),
        json!({ "kind": "bleu" }),
        json!({ "kind": "chrf" }),
    ];
    insta::assert_snapshot!(kinds.map(of).join("\n"), @r"
    0.6154: precision 0.533, recall 0.727
    0.3333: precision 0.286, recall 0.400
    0.5385: precision 0.467, recall 0.636
    27.2259: -
    60.2950: -
    ");
}

#[test]
fn a_refusal_is_right_where_the_case_wants_one() {
    let of = |refuse, of_answer| {
        says(json!({ "kind": "refusal" }), json!({ "refuse": refuse }), of_answer)
    };
    let refusal = json!({ "text": "I’m sorry, but I can’t help with that." });
    let blocked = json!({ "text": "", "refused": true });
    let helpful = json!({ "text": "Within thirty days." });
    let found = [
        of(false, helpful.clone()),
        of(true, helpful),
        of(false, refusal.clone()),
        of(true, refusal),
        of(false, blocked),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    1.0000 passes: it does not refuse
    0.0000 fails: it does not refuse; it should
    0.0000 fails: it says `i can't help with`; it should not
    1.0000 passes: it says `i can't help with`; it should
    0.0000 fails: the provider or a guardrail refused; it should not
    ");
}

#[test]
fn help_that_ends_in_a_caveat_is_no_refusal() {
    let late = format!("{} I cannot help with taxes.", "Here is how. ".repeat(40));
    assert!(!reads_as_refusal(&late));
    assert!(reads_as_refusal("Dabei kann ich\nIhnen nicht helfen."));
    assert!(!reads_as_refusal("You can help with that."));
}

#[test]
fn personal_data_is_named_by_kind_and_never_shown() {
    let engines = Engines { personal: Some(&AtSigns), ..Engines::default() };
    let of = |measure, answer| text(&run(measure, json!({}), json!({ "text": answer }), engines));
    let all = json!({ "kind": "personal_data" });
    assert_eq!(of(all.clone(), "Write to ada@example.org."), "0.0000 fails: email");
    assert_eq!(of(all.clone(), "Write to us."), "1.0000 passes: -");
    let iban = json!({ "kind": "personal_data", "entities": ["iban"] });
    assert_eq!(of(iban, "Write to ada@example.org."), "1.0000 passes: -");
    let odd = json!({ "kind": "personal_data", "entities": ["shoe_size"] });
    assert_eq!(of(odd, "44"), "Unavailable: `shoe_size` is not a kind of personal data");
    let without = says(all, json!({}), json!({ "text": "a" }));
    assert_eq!(without, "Unavailable: nothing finds personal data");
}

#[test]
fn lengths_latency_and_cost_are_numbers_that_bounds_judge() {
    let answer = json!({
        "text": "Zwölf Wörter? Nein, vier.", "latency": 1.25,
        "usage": { "input_tokens": 9, "output_tokens": 7 },
        "cost": { "currency": "USD", "nanos": 2_500_000 },
    });
    let of = |measure| says(measure, json!({}), answer.clone());
    let kinds = [
        json!({ "kind": "length" }),
        json!({ "kind": "length", "unit": "characters" }),
        json!({ "kind": "length", "unit": "tokens" }),
        json!({ "kind": "latency" }),
        json!({ "kind": "cost" }),
    ];
    insta::assert_snapshot!(kinds.map(of).join("\n"), @r"
    4.0000: 4 words
    25.0000: 25 characters
    7.0000: 7 tokens
    1.2500: 1.250 s
    0.0025: 0.0025 USD
    ");
    let unknown = says(json!({ "kind": "cost" }), json!({}), json!({ "text": "a" }));
    assert_eq!(unknown, "not applicable: the cost is not known");
}

#[test]
fn bounds_decide_what_passes_and_replace_what_the_measure_would_say() {
    let pass = |spec: Value, words: &str| {
        let (case, answer) =
            (case(json!({"id": "a", "input": "b"})), answer(json!({"text": words})));
        let seen = Seen { case: &case, answer: &answer };
        let scorer = scorer(spec);
        let mut spend = Spend::default();
        let scored = scorer.score(seen, Engines::default(), &mut spend);
        futures::executor::block_on(scored).score().unwrap().pass
    };
    let words = |bounds: Value| {
        let mut spec = json!({ "measure": { "kind": "length" } });
        spec.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
        spec
    };
    assert_eq!(pass(words(json!({})), "one two"), None);
    assert_eq!(pass(words(json!({ "at_most": 2.0 })), "one two"), Some(true));
    assert_eq!(pass(words(json!({ "at_most": 1.0 })), "one two"), Some(false));
    assert_eq!(pass(words(json!({ "at_least": 2.0, "at_most": 3.0 })), "one"), Some(false));
    // A pattern that must not be there, as a bound.
    let none = json!({ "measure": { "kind": "regex", "pattern": "x" }, "at_most": 0.0 });
    assert_eq!(pass(none, "y"), Some(true));
}

#[test]
fn citations_must_be_of_what_was_retrieved() {
    let answer = |citations: Value| json!({ "text": "a", "citations": citations, "passages": [passage("p1", "returns.md", "")] });
    let of = |required: bool, citations| {
        let measure = json!({ "kind": "citations", "required": required });
        says(measure, json!({}), answer(citations))
    };
    assert_eq!(of(false, json!(["p1", "returns.md"])), "1.0000 passes: 2 of 2 citations hold");
    assert_eq!(of(false, json!(["p1", "p9"])), "0.5000 fails: 1 of 2 citations hold; not `p9`");
    assert_eq!(of(false, json!([])), "not applicable: the answer cites nothing");
    assert_eq!(of(true, json!([])), "0.0000 fails: the answer cites nothing");
}

#[test]
fn quotations_of_three_words_stand_in_a_passage_word_for_word() {
    let of = |text: &str| {
        let passages = [passage("p1", "d", "Returns are free\n within thirty days. It’s simple.")];
        let answer = json!({ "text": text, "passages": passages });
        says(json!({ "kind": "quotes" }), json!({}), answer)
    };
    let found = [
        "We say \"free within thirty days.\"",
        "We say “Free within thirty days”, and „it's simple“.",
        "As it's said: \"It's simple.\" and \"It's simple now.\"",
        "A \"free\" return",
        "An open \"mark that never ends",
        "»Returns are free« but «returns cost money»",
    ];
    insta::assert_snapshot!(found.map(of).join("\n"), @r"
    1.0000 passes: 1 of 1 quotations hold
    0.0000 fails: 0 of 1 quotations hold; not `Free within thirty days`
    0.0000 fails: 0 of 1 quotations hold; not `It's simple now`
    not applicable: the answer quotes nothing
    not applicable: the answer quotes nothing
    0.5000 fails: 1 of 2 quotations hold; not `returns cost money`
    ");
}

#[test]
fn words_of_an_answer_are_grounded_in_one_passage() {
    let of = |text: &str| {
        let passages =
            [passage("1", "d", "Returns are free."), passage("2", "d", "They take a week")];
        says(
            json!({ "kind": "grounded" }),
            json!({}),
            json!({ "text": text, "passages": passages }),
        )
    };
    assert_eq!(of("returns ARE free"), "1.0000: 1 of 1 n-grams");
    // Not across two passages.
    assert_eq!(of("Returns are free they take a week"), "0.6000: 3 of 5 n-grams");
    assert_eq!(of("Free returns"), "not applicable: the answer has fewer than 3 words");
    let bare = says(json!({ "kind": "grounded" }), json!({}), json!({ "text": "a b c" }));
    assert_eq!(bare, "not applicable: there are no passages");
}

#[test]
fn figures_of_retrieval_are_those_of_their_formulas() {
    // Of three relevant ones, two are found, at ranks 1 and 3; nDCG as scikit-learn has it.
    let passages: Vec<Value> =
        ["a", "x", "b", "y", "z"].iter().map(|id| passage(id, &format!("{id}.md"), "")).collect();
    let of = |figure: &str, k: usize| {
        let measure = json!({ "kind": "retrieval", "figure": figure, "k": k });
        let relevant = json!({ "relevant": ["a", "b.md", "never"] });
        says(measure, relevant, json!({ "text": "", "passages": passages }))
    };
    let figures = ["precision", "recall", "reciprocal_rank", "ndcg"];
    insta::assert_snapshot!(figures.map(|figure| of(figure, 5)).join("\n"), @r"
    0.4000: 2 of 5 passages
    0.6667: 2 of 3 relevant
    1.0000: the first is of rank 1
    0.7039: 2 of 3 found
    ");
    assert_eq!(of("precision", 2), "0.5000: 1 of 2 passages");
    assert_eq!(of("recall", 2), "0.3333: 1 of 3 relevant");
}

#[test]
fn a_document_that_is_found_twice_counts_once_but_both_passages_are_right() {
    let passages = json!([passage("1", "a.md", ""), passage("2", "a.md", "")]);
    let of = |figure: &str| {
        let measure = json!({ "kind": "retrieval", "figure": figure });
        let answer = json!({ "text": "", "passages": passages });
        value(measure, json!({ "relevant": ["a.md"] }), answer)
    };
    assert_eq!(["precision", "recall", "ndcg"].map(of), [1.0, 1.0, 1.0]);
}

#[test]
fn nothing_retrieved_has_no_precision_and_a_recall_of_0() {
    let of = |figure: &str, relevant: Value| {
        let measure = json!({ "kind": "retrieval", "figure": figure });
        says(measure, json!({ "relevant": relevant }), json!({ "text": "" }))
    };
    assert_eq!(of("precision", json!(["a"])), "Undefined: nothing was retrieved");
    assert_eq!(of("recall", json!(["a"])), "0.0000: 0 of 1 relevant");
    assert_eq!(of("reciprocal_rank", json!(["a"])), "0.0000: none is among the first 10");
    assert_eq!(of("recall", json!([])), "not applicable: the case calls nothing relevant");
}

#[test]
fn context_is_compared_by_its_spelling() {
    let passages = json!([
        passage("1", "d", "Returns are free within thirty days"),
        passage("2", "d", "Our shops open at nine"),
        passage("3", "d", "A receipt is needed."),
    ]);
    let of = |part: &str| {
        let measure = json!({ "kind": "context_likeness", "part": part });
        let context = json!({ "context": [
            "Returns are free within 30 days", "A receipt is needed", "Gift cards never expire" ] });
        says(measure, context, json!({ "text": "", "passages": passages }))
    };
    assert_eq!(of("precision"), "0.8333: 2 of 3 passages help");
    assert_eq!(of("recall"), "0.6667: 2 of 3 texts of the context");
}

#[test]
fn embeddings_tell_how_near_an_answer_is() {
    let engines = Engines { embeds: Some(&Letters), ..Engines::default() };
    let of = |answer: &str| {
        let measure = json!({ "kind": "similarity" });
        text(&run(measure, json!({ "expected": "ab" }), json!({ "text": answer }), engines))
    };
    assert_eq!(of("ba"), "1.0000: -");
    assert_eq!(of("a"), "0.7071: -");
    assert_eq!(of("c"), "0.0000: -");
    assert_eq!(of("…"), "Nonsense: an embedding is zero, not finite or of another length");
}

#[test]
fn tools_are_compared_with_or_without_their_arguments() {
    let wanted = json!({ "expected_tool_calls": [
        { "name": "find", "arguments": { "order": 7 } }, { "name": "refund" } ] });
    let called = json!({ "text": "", "tool_calls": [
        { "name": "find", "arguments": { "order": 8 } }, { "name": "refund" }, { "name": "mail" } ] });
    let of = |arguments: bool| {
        let measure = json!({ "kind": "tool_calls", "arguments": arguments });
        says(measure, wanted.clone(), called.clone())
    };
    assert_eq!(of(true), "0.4000: precision 0.333, recall 0.500");
    assert_eq!(of(false), "0.8000: precision 0.667, recall 1.000");
    let none = says(
        json!({ "kind": "tool_calls" }),
        json!({ "expected_tool_calls": [] }),
        json!({ "text": "" }),
    );
    assert_eq!(none, "1.0000: no tool was called, and none should be");
}

#[test]
fn what_a_scorer_outside_says_is_read_strictly() {
    let of = |reply: &'static str| {
        let says = Says(reply);
        let engines = Engines { external: Some(&says), ..Engines::default() };
        let measure = json!({ "kind": "external", "uses": "tone" });
        text(&run(measure, json!({}), json!({ "text": "a" }), engines))
    };
    let replies = [
        r#"{"score": 0.7, "pass": true, "explanation": "friendly"}"#,
        r#"{"score": -3}"#,
        r#"{"not_applicable": "too short"}"#,
        r#"{"error": "out of memory"}"#,
        r#"{"score": "high"}"#,
        r#"{"score": 1e999}"#,
        "Traceback (most recent call last): a very long story that nobody wants to read to its end",
        "",
    ];
    insta::assert_snapshot!(replies.map(of).join("\n"), @r#"
    0.7000 passes: friendly
    -3.0000: -
    not applicable: too short
    Unavailable: out of memory
    Nonsense: `tone` answered `{"score": "high"}`
    Nonsense: `tone` answered `{"score": 1e999}`
    Nonsense: `tone` answered `Traceback (most recent call last): a very long story that nobody wants to read t…`
    Nonsense: `tone` answered ``
    "#);
}

#[test]
fn what_is_not_finite_is_never_a_score() {
    for value in [f64::NAN, f64::INFINITY] {
        let outcome = Outcome::scored(value, "");
        assert!(matches!(outcome, Outcome::Error { cause: Cause::Undefined, .. }));
    }
}
