//! What the golden files of both dialects are made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::assemble::Assembler;
use crate::http::Target;
use crate::sse::EventReader;
use crate::stream::{Decoder, Progress};
use crate::{
    Call, ChatRequest, Content, Dialect, Event, Image, ImageSource, Message, ModelSpec, Part,
    ProviderBinding, ProviderError, ProviderKind, Reasoning, ResponseFormat, Rest, Role, Sampling,
    Timeouts, Tool, ToolCall, ToolChoice, ToolResult,
};

/// A call of `request` to a model with a few parameters of its own.
pub(crate) fn call(request: ChatRequest) -> Call {
    let mut spec = ModelSpec::new("a-provider", "a-model");
    spec.max_output_tokens = Some(2_000);
    spec.parameters.temperature = Some(0.5);
    spec.parameters.extra = fields(json!({"top_k": 40}));
    Call {
        model: Arc::new(spec),
        request: Arc::new(request),
        passages: Arc::new([]),
        deadline: None,
    }
}

/// A question without anything special.
pub(crate) fn question() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::of_text(Role::User, "How long do refunds take?")],
        ..ChatRequest::default()
    }
}

/// Requests that both dialects can express, by name.
pub(crate) fn requests() -> BTreeMap<&'static str, ChatRequest> {
    BTreeMap::from([("text", text()), ("parts", parts()), ("tools", tools()), ("schema", schema())])
}

fn text() -> ChatRequest {
    ChatRequest {
        messages: vec![
            Message::of_text(Role::System, "Answer in one sentence."),
            Message::of_text(Role::System, "Be \"kind\" — always.\n"),
            Message::of_text(Role::User, "Hello"),
            Message::of_text(Role::Assistant, "Hi! 👋"),
            Message::of_text(Role::User, "How long do refunds take?"),
        ],
        sampling: Sampling {
            temperature: Some(0.2),
            top_p: Some(0.9),
            max_tokens: Some(256),
            stop: vec!["END".to_owned()],
            seed: None,
        },
        stream: true,
        metadata: fields(json!({"customer": "gold"})),
        ..ChatRequest::default()
    }
}

fn parts() -> ChatRequest {
    let image = |source| Part::from(Content::Image(Image { source, detail: None }));
    ChatRequest {
        messages: vec![
            Message::new(
                Role::User,
                vec![
                    Part::text("What do these show?"),
                    image(ImageSource::Url("https://example.com/a.png".to_owned())),
                    image(ImageSource::Base64 {
                        media_type: "image/png".to_owned(),
                        data: "iVBORw0KGgo=".to_owned(),
                    }),
                ],
            ),
            Message::new(
                Role::Assistant,
                vec![
                    Content::Reasoning(Reasoning {
                        text: "Two pictures.".to_owned(),
                        signature: Some("c2ln".to_owned()),
                    })
                    .into(),
                    Content::Reasoning(Reasoning { text: "No seal.".to_owned(), signature: None })
                        .into(),
                    Part::text("A bicycle."),
                    Content::Refusal("I won't say more.".to_owned()).into(),
                ],
            ),
            Message::new(Role::User, vec![Part::text("Why"), Part::text("not?")]),
        ],
        reasoning_effort: Some("low".to_owned()),
        ..ChatRequest::default()
    }
}

fn tools() -> ChatRequest {
    let call = |id: &str, name: &str, arguments: &str| {
        let (id, name) = (id.to_owned(), name.to_owned());
        Part::from(Content::ToolCall(ToolCall { id, name, arguments: arguments.to_owned() }))
    };
    let result = |id: &str, text: &str, is_error| {
        let content = vec![Part::text(text)];
        Part::from(Content::ToolResult(ToolResult { call_id: id.to_owned(), content, is_error }))
    };
    ChatRequest {
        messages: vec![
            Message::of_text(Role::User, "Where is order 17?"),
            Message::new(
                Role::Assistant,
                vec![
                    Part::text("Let me look."),
                    call("call_a", "order_status", "{\"order\": 17.0}"),
                    call("call_b", "today", ""),
                ],
            ),
            Message::new(Role::Tool, vec![result("call_a", "shipped", false)]),
            Message::new(Role::Tool, vec![result("call_b", "no clock", true)]),
            Message::of_text(Role::User, "And?"),
        ],
        tools: vec![
            Tool::Function {
                name: "order_status".to_owned(),
                description: Some("Looks an order up".to_owned()),
                parameters: Some(json!({
                    "type": "object",
                    "properties": {"order": {"type": "integer"}},
                    "required": ["order"],
                    "additionalProperties": false,
                })),
                strict: Some(true),
                rest: Rest::default(),
            },
            Tool::Function {
                name: "today".to_owned(),
                description: None,
                parameters: None,
                strict: None,
                rest: Rest::default(),
            },
        ],
        tool_choice: Some(ToolChoice::Any),
        parallel_tool_calls: Some(false),
        ..ChatRequest::default()
    }
}

fn schema() -> ChatRequest {
    ChatRequest {
        response_format: Some(ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema: json!({
                "type": "object",
                "properties": {"days": {"type": "integer"}},
                "required": ["days"],
                "additionalProperties": false,
            }),
            strict: Some(true),
        }),
        ..question()
    }
}

/// A request in which `change` was made to an otherwise plain question.
pub(crate) fn with(change: impl FnOnce(&mut ChatRequest)) -> ChatRequest {
    let mut request = question();
    change(&mut request);
    request
}

/// Fields of `dialect` that have no name in the form.
pub(crate) fn rest(dialect: Dialect, value: Value) -> Rest {
    Rest::new(dialect, fields(value))
}

pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// The field that a refused request is refused for.
pub(crate) fn refused_field<T: std::fmt::Debug>(result: Result<T, ProviderError>) -> String {
    match result {
        Err(ProviderError::Unsupported { field, .. }) => field,
        other => panic!("not refused for a field: {other:?}"),
    }
}

/// An endpoint that nothing is sent to.
pub(crate) fn target(kind: ProviderKind, endpoint: &str) -> Target {
    Target::new(&binding(kind, endpoint)).unwrap()
}

/// A binding for the tenant `default`.
pub(crate) fn binding(kind: ProviderKind, endpoint: &str) -> ProviderBinding {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ProviderBinding {
        kind,
        endpoint: endpoint.to_owned(),
        credential: None,
        region: None,
        proxy: None,
        timeouts: Timeouts::default(),
        require_finish_reason: true,
        tenants: [release::TenantId::DEFAULT].into(),
        environments: BTreeMap::new(),
    }
}

/// The events of a whole answer.
pub(crate) fn read_body(
    mut decoder: impl Decoder,
    request: ChatRequest,
    body: &str,
) -> Result<Vec<Event>, ProviderError> {
    let mut assembler = Assembler::new(Arc::new(request));
    decoder.body(body.as_bytes(), &mut assembler)?;
    assembler.finish()?;
    Ok(std::iter::from_fn(|| assembler.pop()).collect())
}

/// The events of a streamed answer that comes in pieces of `size` bytes, with the error it may
/// end in.
pub(crate) fn read_stream(
    mut decoder: impl Decoder,
    request: ChatRequest,
    text: &str,
    size: usize,
) -> (Vec<Event>, Result<(), ProviderError>) {
    let mut assembler = Assembler::new(Arc::new(request));
    let mut reader = EventReader::default();
    let mut read = || {
        for piece in text.as_bytes().chunks(size) {
            reader.push(piece)?;
            while let Some(data) = reader.next()? {
                if decoder.event(data, &mut assembler)? == Progress::Done {
                    return assembler.finish();
                }
            }
        }
        assembler.finish()
    };
    let result = read();
    (std::iter::from_fn(|| assembler.pop()).collect(), result)
}

/// One event a line.
pub(crate) fn lines(events: &[Event]) -> String {
    let lines: Vec<String> =
        events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    lines.join("\n")
}

/// Compares with a golden file of `directory`.
pub(crate) fn golden(directory: &str, name: &str, text: &str) {
    let path = format!("{}/tests/golden/{directory}", env!("CARGO_MANIFEST_DIR"));
    insta::with_settings!({
        snapshot_path => path,
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

/// A file of `tests/golden`.
pub(crate) fn recorded(path: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/golden/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}
