//! The alias table: what the columns are called in each convention.
//!
//! The first name of each row is OpenTelemetry's GenAI conventions 1.41 (or our own); an earlier name
//! wins over a later one. Sources: OpenTelemetry's older and newer names, OpenLLMetry
//! (`opentelemetry-semantic-conventions-ai`), OpenInference (`openinference-semantic-conventions`),
//! Langfuse (its OpenTelemetry attribute mapping).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::attributes as name;

/// The version of the table, kept with each row that needed it. Raise it with every change that
/// would make other rows of the same message.
pub const VERSION: u32 = 1;

/// What a row has a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Service,
    App,
    Environment,
    OwnRelease,
    Release,
    Operation,
    Provider,
    RequestModel,
    Invocation,
    ResponseModel,
    ResponseId,
    FinishReasons,
    Conversation,
    User,
    Prompt,
    Snapshot,
    Arm,
    Outcome,
    ErrorType,
    InputTokens,
    OutputTokens,
    CacheReadTokens,
    CacheCreationTokens,
    ReasoningTokens,
    UsageDetails,
    CostNanos,
    Cost,
    CostDetails,
    Currency,
    TimeToFirstChunk,
    FirstChunkAt,
    Level,
    StatusMessage,
    System,
    Input,
    Output,
    Arguments,
    ToolResult,
    Query,
    Documents,
    Vector,
    Settings,
}

impl Field {
    /// How many there are.
    pub const COUNT: usize = Self::Settings as usize + 1;

    /// What it is called first.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1[0]
    }

    /// Whether it holds what people or models said. Such texts are kept beside the row, where they
    /// can be erased, and nowhere else.
    pub const fn is_content(self) -> bool {
        matches!(
            self,
            Self::System
                | Self::Input
                | Self::Output
                | Self::Arguments
                | Self::ToolResult
                | Self::Query
                | Self::Documents
                | Self::Vector
                | Self::Settings
        )
    }
}

/// The table, in the order of [`Field`].
const TABLE: &[(Field, &[&str])] = &[
    (Field::Service, &[name::SERVICE_NAME]),
    (Field::App, &[name::APP]),
    (Field::Environment, &[name::ENVIRONMENT, "deployment.environment", "langfuse.environment"]),
    (Field::OwnRelease, &[name::RELEASE]),
    (Field::Release, &[name::SERVICE_VERSION, "langfuse.release", "langfuse.version"]),
    (
        Field::Operation,
        &[
            name::OPERATION,
            "openinference.span.kind",
            "langfuse.observation.type",
            "llm.request.type",
            "traceloop.span.kind",
        ],
    ),
    (Field::Provider, &[name::PROVIDER, "gen_ai.system", "llm.provider", "llm.system"]),
    (
        Field::RequestModel,
        &[
            name::REQUEST_MODEL,
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "langfuse.observation.model.name",
        ],
    ),
    (Field::Invocation, &["llm.invocation_parameters"]),
    (Field::ResponseModel, &[name::RESPONSE_MODEL]),
    (Field::ResponseId, &[name::RESPONSE_ID]),
    (
        Field::FinishReasons,
        &[name::FINISH_REASONS, "llm.finish_reason", "llm.response.finish_reason"],
    ),
    (
        Field::Conversation,
        &[
            name::CONVERSATION,
            "session.id",
            "langfuse.session.id",
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.conversation_id",
        ],
    ),
    (
        Field::User,
        &[
            name::PRINCIPAL,
            "user.id",
            "gen_ai.user",
            "langfuse.user.id",
            "traceloop.association.properties.user_id",
            "llm.user",
        ],
    ),
    (
        Field::Prompt,
        &[
            name::PROMPT,
            "langfuse.observation.prompt.name",
            "traceloop.prompt.key",
            "llm.prompt_template.name",
        ],
    ),
    (Field::Snapshot, &[name::DATA_SOURCE]),
    (Field::Arm, &[name::ARM]),
    (Field::Outcome, &[name::OUTCOME]),
    (Field::ErrorType, &[name::ERROR_TYPE]),
    (
        Field::InputTokens,
        &[
            name::INPUT_TOKENS,
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.prompt_tokens",
        ],
    ),
    (
        Field::OutputTokens,
        &[
            name::OUTPUT_TOKENS,
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.completion_tokens",
        ],
    ),
    (
        Field::CacheReadTokens,
        &[
            name::CACHE_READ_TOKENS,
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
        ],
    ),
    (
        Field::CacheCreationTokens,
        &[
            name::CACHE_CREATION_TOKENS,
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ],
    ),
    (
        Field::ReasoningTokens,
        &[
            name::REASONING_TOKENS,
            "gen_ai.usage.reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ],
    ),
    (Field::UsageDetails, &["langfuse.observation.usage_details"]),
    (Field::CostNanos, &[name::COST_NANOS]),
    (Field::Cost, &["gen_ai.usage.cost", "llm.cost.total"]),
    (Field::CostDetails, &["langfuse.observation.cost_details"]),
    (Field::Currency, &[name::COST_CURRENCY]),
    (Field::TimeToFirstChunk, &[name::TIME_TO_FIRST_CHUNK]),
    (Field::FirstChunkAt, &["langfuse.observation.completion_start_time"]),
    (Field::Level, &["langfuse.observation.level"]),
    (Field::StatusMessage, &["langfuse.observation.status_message"]),
    (Field::System, &[name::SYSTEM_INSTRUCTIONS]),
    (
        Field::Input,
        &[
            name::INPUT_MESSAGES,
            "gen_ai.prompt",
            "langfuse.observation.input",
            "langfuse.trace.input",
            "traceloop.entity.input",
            "input.value",
        ],
    ),
    (
        Field::Output,
        &[
            name::OUTPUT_MESSAGES,
            "gen_ai.completion",
            "langfuse.observation.output",
            "langfuse.trace.output",
            "traceloop.entity.output",
            "output.value",
        ],
    ),
    (Field::Arguments, &[name::TOOL_ARGUMENTS]),
    (Field::ToolResult, &[name::TOOL_RESULT]),
    (Field::Query, &[name::RETRIEVAL_QUERY]),
    (Field::Documents, &[name::RETRIEVAL_DOCUMENTS]),
    // A question's vector tells about as much as the question.
    (Field::Vector, &[name::RETRIEVAL_VECTOR]),
    // Variables of a prompt and tools tell of whoever asks.
    (Field::Settings, &[name::SETTINGS]),
];

static NAMES: LazyLock<HashMap<&'static str, (Field, u8)>> = LazyLock::new(|| {
    let ranked = |(field, names): &(Field, &'static [&'static str])| {
        let field = *field;
        names.iter().zip(0..).map(move |(name, rank)| (*name, (field, rank)))
    };
    TABLE.iter().flat_map(ranked).collect()
});

/// Every field, as the table has them.
#[cfg(test)]
pub fn fields() -> impl Iterator<Item = Field> {
    TABLE.iter().map(|(field, _)| *field)
}

/// The field that an attribute fills, and how many names go before its own.
pub fn field(name: &str) -> Option<(Field, u8)> {
    NAMES.get(name).copied()
}

/// What others call an operation, in OpenTelemetry's words; none if it is none of a model's.
pub fn operation(word: &str) -> Option<String> {
    let operation = match word.to_ascii_lowercase().as_str() {
        "llm" | "generation" | "chat" => "chat",
        "completion" => "text_completion",
        "embedding" => "embeddings",
        "retriever" => "retrieval",
        "tool" => "execute_tool",
        "agent" => "invoke_agent",
        "workflow" => "invoke_workflow",
        // Steps that no convention of OpenTelemetry names.
        "chain" | "span" | "event" | "task" | "unknown" | "reranker" | "rerank" | "guardrail"
        | "evaluator" | "prompt" => return None,
        _ => word,
    };
    Some(operation.to_owned())
}

/// What others call a provider, in OpenTelemetry's words.
pub fn provider(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let provider = match lower.as_str() {
        "azure" | "az.ai.openai" => "azure.ai.openai",
        "az.ai.inference" => "azure.ai.inference",
        "aws" | "bedrock" | "aws_bedrock" => "aws.bedrock",
        "google" | "gemini" => "gcp.gemini",
        "vertexai" | "vertex_ai" => "gcp.vertex_ai",
        "mistralai" | "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        _ => return lower,
    };
    provider.to_owned()
}
