use super::*;

fn call_events(index: u32, arguments: &[&str], finished: bool) -> Vec<Event> {
    let (id, name) = (format!("call_{index}"), "f".to_owned());
    let mut events = vec![Event::ToolCallStarted { index, id, name }];
    events.extend(
        arguments
            .iter()
            .map(|fragment| Event::ToolCallDelta { index, fragment: (*fragment).to_owned() }),
    );
    events.extend(finished.then_some(Event::ToolCallFinished { index }));
    events
}

#[test]
fn events_fold_into_parts_in_order() {
    let mut events = vec![
        Event::ReasoningDelta("think".to_owned()),
        Event::ReasoningSignature("seal".to_owned()),
        Event::ReasoningDelta("again".to_owned()),
        Event::TextDelta("Hel".to_owned()),
        Event::TextDelta("lo".to_owned()),
        Event::Dropped { reason: "broken".to_owned() },
    ];
    events.extend(call_events(0, &["{\"a\":", "1}"], true));
    events.push(Event::Usage(Usage { input_tokens: 1, ..Usage::default() }));
    events.push(Event::Finished { reason: FinishReason::ToolCalls });
    let answer = Answer::fold(events);
    assert_eq!(answer.text(), "Hello");
    assert_eq!(answer.dropped_events, 1);
    assert!(answer.is_complete());
    let call = answer.tool_calls().next().unwrap();
    assert_eq!(call.arguments, "{\"a\":1}");
    let kinds: Vec<&Content> = answer.parts.iter().map(|part| &part.content).collect();
    let sealed = |text: &str, signature: Option<&str>| {
        let signature = signature.map(str::to_owned);
        Content::Reasoning(Reasoning { text: text.to_owned(), signature })
    };
    assert_eq!(kinds[0], &sealed("think", Some("seal")));
    assert_eq!(kinds[1], &sealed("again", None));
    assert_eq!(kinds[2], &Content::Text("Hello".to_owned()));
    assert_eq!(kinds.len(), 4);
}

#[test]
fn a_call_that_was_cut_off_is_no_part_of_the_answer() {
    let mut events = call_events(0, &["{\"a\":"], false);
    events.push(Event::Finished { reason: FinishReason::Length });
    assert_eq!(Answer::fold(events).tool_calls().count(), 0);
}

#[test]
fn finish_reasons_cross_both_ways() {
    for reason in ["stop", "length", "tool_calls", "content_filter", "something_new"] {
        assert_eq!(FinishReason::from_openai(reason).openai(), reason);
    }
    for reason in ["end_turn", "max_tokens", "tool_use", "refusal", "pause_turn"] {
        assert_eq!(FinishReason::from_anthropic(reason, None).anthropic(), (reason, None));
    }
    let sequence = FinishReason::from_anthropic("stop_sequence", Some("END"));
    assert_eq!(sequence.anthropic(), ("stop_sequence", Some("END")));
    assert_eq!(sequence.openai(), "stop");
    assert_eq!(FinishReason::from_openai("content_filter").anthropic(), ("refusal", None));
    assert_eq!(FinishReason::from_anthropic("refusal", None).openai(), "content_filter");
    let full = FinishReason::from_anthropic("model_context_window_exceeded", None);
    assert_eq!(full.openai(), "length");
}

#[test]
fn the_last_user_text_is_the_last_that_says_something() {
    let request = ChatRequest {
        messages: vec![
            Message::of_text(Role::User, "first"),
            Message::of_text(Role::User, "second"),
            Message::of_text(Role::Assistant, "answer"),
            Message::of_text(Role::User, "  "),
        ],
        ..ChatRequest::default()
    };
    assert_eq!(request.last_user_text().as_deref(), Some("second"));
    assert_eq!(ChatRequest::default().last_user_text(), None);
}

#[test]
fn usage_is_believed_only_if_it_can_be_true() {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    assert!(usage.is_plausible());
    assert!(!Usage { cache_read_tokens: 11, ..usage }.is_plausible());
    assert!(
        !Usage { cache_read_tokens: u64::MAX, cache_creation_tokens: 1, ..usage }.is_plausible()
    );
    assert!(!Usage { reasoning_tokens: 6, ..usage }.is_plausible());
    assert!(!Usage { output_tokens: u64::MAX, ..usage }.is_plausible());
}

#[test]
fn a_request_and_its_unknown_fields_survive_storage() {
    for (_, mut request) in crate::fixtures::requests() {
        request.rest = crate::fixtures::rest(Dialect::OpenAi, serde_json::json!({"x": 1}));
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<ChatRequest>(&text).unwrap(), request);
    }
}
