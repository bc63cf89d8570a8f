//! Attribute names, declared once: OpenTelemetry's GenAI conventions 1.41, and our own.

/// `gen_ai.operation.name`: what a span does (`chat`, `retrieval`).
pub const OPERATION: &str = "gen_ai.operation.name";
/// `gen_ai.provider.name`: who answered.
pub const PROVIDER: &str = "gen_ai.provider.name";
/// `gen_ai.request.model`: the model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// `gen_ai.response.model`: the model that answered, as the provider names it.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// `gen_ai.response.id`: the provider's id of the answer.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// `gen_ai.response.finish_reasons`: why it ended.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// `gen_ai.response.time_to_first_chunk`: seconds to the first piece of the answer.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// `gen_ai.conversation.id`: the session, where the client names one.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// `gen_ai.usage.input_tokens`, cached ones included.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// `gen_ai.usage.output_tokens`, reasoning included.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// `gen_ai.usage.cache_read.input_tokens`.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// `gen_ai.usage.cache_creation.input_tokens`.
pub const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// `gen_ai.usage.reasoning.output_tokens`.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// `gen_ai.input.messages`, as JSON.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// `gen_ai.output.messages`, as JSON.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// `gen_ai.retrieval.documents`, as JSON.
pub const RETRIEVAL_DOCUMENTS: &str = "gen_ai.retrieval.documents";
/// `groundcrew.retrieval.vector`: the question's vector, in hex.
pub const RETRIEVAL_VECTOR: &str = "groundcrew.retrieval.vector";
/// `groundcrew.retrieval.rerank_failure`: why passages were not ordered anew.
pub const RERANK_FAILURE: &str = "groundcrew.retrieval.rerank_failure";
/// `gen_ai.data_source.id`: the knowledge snapshot.
pub const DATA_SOURCE: &str = "gen_ai.data_source.id";
/// `service.name`: the app.
pub const SERVICE_NAME: &str = "service.name";
/// `service.version`: the release.
pub const SERVICE_VERSION: &str = "service.version";
/// `deployment.environment.name`.
pub const ENVIRONMENT: &str = "deployment.environment.name";
/// `error.type`: what went wrong, as one word.
pub const ERROR_TYPE: &str = "error.type";
/// `enduser.id`: the principal whose key was used.
pub const PRINCIPAL: &str = "enduser.id";

/// The dialect the client spoke.
pub const DIALECT: &str = "groundcrew.dialect";
/// Whether the answer was streamed.
pub const STREAM: &str = "groundcrew.stream";
/// The traffic plan in force.
pub const PLAN: &str = "groundcrew.plan";
/// Which step of the plan's owner it was.
pub const STEP: &str = "groundcrew.step";
/// The evaluation that asked; such an answer is no traffic.
pub const EVALUATION_RUN: &str = "groundcrew.evaluation";
/// The trace of the answer whose request was copied for this one; such an answer is no traffic.
pub const COPY_OF: &str = "groundcrew.copy_of";
/// Why the copy of this request that the plan wanted was not made.
pub const COPY_DROPPED: &str = "groundcrew.copy_dropped";
/// The arm of the plan.
pub const ARM: &str = "groundcrew.arm";
/// What the request was assigned by.
pub const UNIT: &str = "groundcrew.unit";
/// Whether the unit was a session or the request alone.
pub const UNIT_STUCK: &str = "groundcrew.unit.stuck";
/// How the request ended.
pub const OUTCOME: &str = "groundcrew.outcome";
/// What a failed request was told.
pub const OUTCOME_MESSAGE: &str = "groundcrew.outcome.message";
/// The rule that blocked.
pub const OUTCOME_RULE: &str = "groundcrew.outcome.rule";
/// The digest of the provider's binding.
pub const BINDING: &str = "groundcrew.binding";
/// The provider's fingerprint of its configuration.
pub const FINGERPRINT: &str = "groundcrew.fingerprint";
/// Whether usage was counted by us.
pub const USAGE_ESTIMATED: &str = "groundcrew.usage.estimated";
/// How many of the provider's events could not be read.
pub const UNREADABLE_EVENTS: &str = "groundcrew.response.unreadable_events";
/// The cost, in billionths of the currency.
pub const COST_NANOS: &str = "groundcrew.cost.nanos";
/// The cost's currency.
pub const COST_CURRENCY: &str = "groundcrew.cost.currency";
/// Why there is no cost.
pub const UNPRICED: &str = "groundcrew.cost.unpriced";
/// What guardrails found, as JSON.
pub const FINDINGS: &str = "groundcrew.findings";
/// The request fields that the client set itself.
pub const OVERRIDES: &str = "groundcrew.overrides";
/// The digest of a message that is not kept.
pub const INPUT_DIGEST: &str = "groundcrew.input.digest";
/// The digest of an answer that is not kept.
pub const OUTPUT_DIGEST: &str = "groundcrew.output.digest";
/// What the client asked beside the conversation, as JSON.
pub const SETTINGS: &str = "groundcrew.request.settings";
/// The length of the input in bytes.
pub const INPUT_BYTES: &str = "groundcrew.input.bytes";
/// The length of the output in bytes.
pub const OUTPUT_BYTES: &str = "groundcrew.output.bytes";

/// `gen_ai.system_instructions`, as JSON.
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// `gen_ai.prompt.name`: the prompt.
pub const PROMPT: &str = "gen_ai.prompt.name";
/// `gen_ai.tool.call.arguments`.
pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// `gen_ai.tool.call.result`.
pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
/// `gen_ai.retrieval.query.text`: what was looked for.
pub const RETRIEVAL_QUERY: &str = "gen_ai.retrieval.query.text";
/// `gen_ai.evaluation.result`: the event that carries a score.
pub const EVALUATION: &str = "gen_ai.evaluation.result";
/// `gen_ai.evaluation.name`.
pub const EVALUATION_NAME: &str = "gen_ai.evaluation.name";
/// `gen_ai.evaluation.score.value`.
pub const EVALUATION_VALUE: &str = "gen_ai.evaluation.score.value";
/// `gen_ai.evaluation.score.label`.
pub const EVALUATION_LABEL: &str = "gen_ai.evaluation.score.label";
/// `gen_ai.evaluation.explanation`.
pub const EVALUATION_EXPLANATION: &str = "gen_ai.evaluation.explanation";
/// `otel.scope.name`: the library that made a span or log record.
pub const SCOPE_NAME: &str = "otel.scope.name";
/// `otel.scope.version`.
pub const SCOPE_VERSION: &str = "otel.scope.version";

/// The app that another service's telemetry belongs to.
pub const APP: &str = "groundcrew.app";
/// The release that another service's telemetry belongs to, where `service.version` is its own.
pub const RELEASE: &str = "groundcrew.release";
/// The version of the alias table, where names of other conventions were read.
pub const ALIASES: &str = "groundcrew.aliases";
/// What of a row was cut because it was too large.
pub const CUT: &str = "groundcrew.cut";
/// What a row's times were before they were corrected.
pub const CLOCK: &str = "groundcrew.clock";
/// Whether a metric's points are `delta` or `cumulative`.
pub const TEMPORALITY: &str = "groundcrew.metric.temporality";
/// When a cumulative stream began to count, in nanoseconds since 1970.
pub const METRIC_START: &str = "groundcrew.metric.start";
