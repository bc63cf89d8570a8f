use super::*;

fn conversation(model: &str, last_user: &str) -> Conversation {
    Conversation {
        model: model.to_owned(),
        last_user: last_user.to_owned(),
        text: last_user.to_owned(),
        parallel_tools: true,
        ..Conversation::default()
    }
}

#[test]
fn the_fixed_answer_has_sixty_words() {
    assert_eq!(ANSWER.split_whitespace().count(), 60);
    let answer = answer(&conversation("any", "hello there"), false);
    assert_eq!(answer.text.len(), 60);
    assert_eq!(answer.text.concat(), ANSWER);
    assert_eq!(answer.stop, Some(Stop::End));
    let usage = Usage { input: 2, cached: 0, output: 60, reasoning: 0 };
    assert_eq!(answer.usage, Some(usage));
}

#[test]
fn a_token_limit_cuts_the_text_and_reasoning_eats_of_it() {
    let mut asked = conversation("any", "hello");
    asked.max_tokens = Some(5);
    let cut = answer(&asked, false);
    assert_eq!((cut.text.len(), cut.stop), (5, Some(Stop::Length)));
    asked.model = "reasoning".to_owned();
    let eaten = answer(&asked, false);
    assert_eq!((eaten.text.len(), eaten.stop), (0, Some(Stop::Length)));
}

#[test]
fn a_stop_sequence_ends_the_text_before_it() {
    let mut asked = conversation("echo", "one two three four");
    asked.stop_sequences = vec!["four".to_owned(), " three".to_owned()];
    let stopped = answer(&asked, false);
    assert_eq!(stopped.text.concat(), "one two");
    assert_eq!(stopped.stop, Some(Stop::Sequence(" three".to_owned())));
}

#[test]
fn a_prefilled_answer_is_continued() {
    let mut asked = conversation("any", "hello");
    let (beginning, rest) = ANSWER.split_at(100);
    asked.prefill = Some(beginning.to_owned());
    assert_eq!(answer(&asked, false).text.concat(), rest);
}

#[test]
fn tools_are_called_when_named_required_or_asked_of_the_model_tools() {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        schema: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    };
    let mut asked = conversation("any", "call beta please");
    asked.tools = vec![tool("alpha"), tool("beta")];
    let named = answer(&asked, false);
    assert_eq!(named.calls[0].name, "beta");
    assert_eq!(named.calls[0].fragments.concat(), r#"{"city":"example city"}"#);
    assert!(named.calls[0].fragments.len() > 1);
    asked.last_user = "hello".to_owned();
    assert!(answer(&asked, false).calls.is_empty());
    asked.tool_choice = ToolChoice::Required;
    assert_eq!(answer(&asked, false).calls[0].name, "alpha");
    asked.tool_choice = ToolChoice::Auto;
    asked.model = "tools".to_owned();
    assert_eq!(answer(&asked, false).calls.len(), 1);
    asked.tool_results = vec!["18 degrees".to_owned()];
    assert_eq!(answer(&asked, false).text.concat(), "The tool said: 18 degrees");
}
