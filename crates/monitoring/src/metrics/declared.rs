//! Every metric that is counted here, declared once: name, unit, instrument, help.

use super::rollup::Instrument;

/// A metric that is counted here.
#[derive(Debug, PartialEq)]
pub struct Declared {
    /// Its name, dotted.
    pub name: &'static str,
    /// UCUM unit; empty if there is none.
    pub unit: &'static str,
    /// What it is shown as.
    pub instrument: Instrument,
    /// What it tells.
    pub help: &'static str,
}

/// Bounds that the GenAI conventions advise for durations, in seconds.
const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds that the GenAI conventions advise for tokens.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

macro_rules! declare {
    (
        #[doc = $doc:literal]
        $all:ident: $($constant:ident = $name:literal, $unit:literal, $instrument:expr, $help:literal;)*
    ) => {
        $(
            #[doc = $help]
            pub static $constant: Declared =
                Declared { name: $name, unit: $unit, instrument: $instrument, help: $help };
        )*

        #[doc = $doc]
        pub static $all: &[&Declared] = &[$(&$constant,)*];
    };
}

declare! {
    /// What spans and scores tell of a tenant's apps.
    APPS:
    REQUESTS = "groundcrew.requests", "{request}", Instrument::Counter,
        "Requests that came to an end.";
    ERRORS = "groundcrew.errors", "{request}", Instrument::Counter,
        "Requests that failed. Each request counts, with 0 or 1, so that the average is the error rate.";
    DURATION = "groundcrew.request.duration", "s", Instrument::Histogram(SECONDS),
        "How long requests took.";
    FIRST_CHUNK = "groundcrew.time_to_first_chunk", "s", Instrument::Histogram(SECONDS),
        "How long it took to the first piece of the answer.";
    INPUT_TOKENS = "groundcrew.tokens.input", "{token}", Instrument::Counter,
        "Tokens that models read, cached ones included.";
    OUTPUT_TOKENS = "groundcrew.tokens.output", "{token}", Instrument::Counter,
        "Tokens that models wrote, reasoning included.";
    CACHE_READ_TOKENS = "groundcrew.tokens.cache_read", "{token}", Instrument::Counter,
        "Of the tokens read, those from the provider's cache.";
    CACHE_CREATION_TOKENS = "groundcrew.tokens.cache_creation", "{token}", Instrument::Counter,
        "Of the tokens read, those written to the provider's cache.";
    REASONING_TOKENS = "groundcrew.tokens.reasoning", "{token}", Instrument::Counter,
        "Of the tokens written, those of reasoning.";
    COST = "groundcrew.cost", "", Instrument::Counter,
        "What models cost, in whole units of the dimension `currency`.";
    RETRIEVAL_EMPTY = "groundcrew.retrieval.empty", "{retrieval}", Instrument::Counter,
        "Retrievals that found nothing. Each retrieval counts, with 0 or 1.";
    BLOCKED = "groundcrew.guardrail.blocked", "{request}", Instrument::Counter,
        "Requests that a guardrail blocked. Each answer counts, with 0 or 1.";
    COPIES = "groundcrew.copies", "{request}", Instrument::Counter,
        "Copies of requests that came to an end. They count in no other metric of answers.";
    COPIES_COST = "groundcrew.copies.cost", "", Instrument::Counter,
        "What copies of requests cost, in whole units of the dimension `currency`.";
    COPIES_DROPPED = "groundcrew.copies.dropped", "{request}", Instrument::Counter,
        "Requests whose copy was wanted and not made, by `why`.";
    SCORE = "groundcrew.score", "", Instrument::Summary,
        "What evaluators and people thought of answers.";
    SCORE_ERRORS = "groundcrew.score.errors", "{evaluation}", Instrument::Counter,
        "Evaluations that gave no score. Each evaluation counts, with 0 or 1.";
    OPERATION_DURATION = "gen_ai.client.operation.duration", "s", Instrument::Histogram(SECONDS),
        "How long calls of models took.";
    TOKEN_USAGE = "gen_ai.client.token.usage", "{token}", Instrument::Histogram(TOKENS),
        "Tokens of each call, by `gen_ai.token.type`.";
}

declare! {
    /// What the server tells of itself.
    PLATFORM:
    LOG_BYTES = "groundcrew.log.bytes", "By", Instrument::Gauge,
        "Bytes that the telemetry log takes on disk.";
    LOG_APPENDED = "groundcrew.log.appended", "{record}", Instrument::Counter,
        "Records that were written to the telemetry log.";
    LOG_REFUSED = "groundcrew.log.refused", "{record}", Instrument::Counter,
        "Records that were refused because the telemetry log was full or its disk failed.";
    LOG_CORRUPT = "groundcrew.log.corrupt", "{record}", Instrument::Counter,
        "Records of the telemetry log that are damaged.";
    LOG_SHED = "groundcrew.log.shed", "{record}", Instrument::Counter,
        "Answers that were recorded without texts because the log's disk had little room.";
    LOG_ROOM = "groundcrew.log.room", "By", Instrument::Gauge,
        "Bytes that the telemetry log's disk has left.";
    LOG_BEHIND = "groundcrew.log.behind", "{record}", Instrument::Gauge,
        "Records of the telemetry log that are not rows yet.";
    SERIES = "groundcrew.metrics.series", "{series}", Instrument::Gauge,
        "Series that are held in memory.";
    SERIES_BYTES = "groundcrew.metrics.bytes", "By", Instrument::Gauge,
        "Bytes that series take in memory.";
    OVERFLOWED = "groundcrew.metrics.overflowed", "{sample}", Instrument::Counter,
        "Samples that were counted without most of their dimensions, or not at all, because there were too many series.";
    LATE = "groundcrew.metrics.late", "{sample}", Instrument::Counter,
        "Samples that were too old to be counted.";
    CLAMPED = "groundcrew.metrics.clamped", "{sample}", Instrument::Counter,
        "Samples of the future that were counted as of now.";
    MEMORY = "process.memory.usage", "By", Instrument::Gauge,
        "Bytes of memory that the server has resident.";
    CPU = "process.cpu.time", "s", Instrument::Counter,
        "Seconds of processor time that the server used.";
    OPEN_FILES = "process.open_file_descriptor.count", "{file_descriptor}", Instrument::Gauge,
        "Files and sockets that the server has open.";
    UPTIME = "process.uptime", "s", Instrument::Gauge,
        "Seconds since the server was started.";
}

/// The metric of a name, if it is counted here.
pub fn find(name: &str) -> Option<&'static Declared> {
    APPS.iter().chain(PLATFORM).copied().find(|declared| declared.name == name)
}
