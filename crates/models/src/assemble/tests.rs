use super::*;
use crate::fixtures::{lines, question};

fn drain(assembler: &mut Assembler) -> Vec<Event> {
    std::iter::from_fn(|| assembler.pop()).collect()
}

#[test]
fn one_tool_call_at_a_time_is_open() {
    let mut assembler = Assembler::new(question().into());
    let first = assembler.call_started("a".to_owned(), "f".to_owned()).unwrap();
    let second = assembler.call_started("b".to_owned(), "g".to_owned()).unwrap();
    assembler.call_delta(second, "{\"x\":1}".to_owned()).unwrap();
    let late = assembler.call_delta(first, "{}".to_owned());
    assert!(matches!(late, Err(ProviderError::Protocol { .. })));
    assembler.reason(FinishReason::ToolCalls);
    assembler.finish().unwrap();
    insta::assert_snapshot!(lines(&drain(&mut assembler)[..6]), @r#"
    {"tool_call_started":{"index":0,"id":"a","name":"f"}}
    {"tool_call_delta":{"index":0,"fragment":"{}"}}
    {"tool_call_finished":{"index":0}}
    {"tool_call_started":{"index":1,"id":"b","name":"g"}}
    {"tool_call_delta":{"index":1,"fragment":"{\"x\":1}"}}
    {"tool_call_finished":{"index":1}}
    "#);
}

#[test]
fn a_call_that_is_cut_off_by_the_next_is_an_error() {
    let mut assembler = Assembler::new(question().into());
    let first = assembler.call_started("a".to_owned(), "f".to_owned()).unwrap();
    assembler.call_delta(first, "{\"x\":".to_owned()).unwrap();
    let next = assembler.call_started("b".to_owned(), "g".to_owned());
    assert!(matches!(next, Err(ProviderError::Protocol { .. })));
}

#[test]
fn an_empty_answer_with_a_reason_is_an_answer() {
    let mut assembler = Assembler::new(question().into());
    assembler.start("a".to_owned(), "m".to_owned(), None);
    assembler.reason(FinishReason::Length);
    assembler.finish().unwrap();
    let events = drain(&mut assembler);
    assert_eq!(events.last(), Some(&Event::Finished { reason: FinishReason::Length }));
    let Event::Usage(usage) = events[1] else { panic!("{events:?}") };
    assert!(usage.estimated && usage.input_tokens > 0, "never billed as nothing: {usage:?}");
}
