//! From a parsed request to a planned reply: who is asked, whether the request is in order, what
//! the model says, and what goes wrong on the way.

use serde_json::Value;

use super::Shared;
use super::answer;
use super::anthropic::{self, Purpose};
use super::dialect::{Dialect, Refusal};
use super::faults::{self, Exchange, Shape};
use super::http::Request;
use super::openai;
use super::reply::Reply;

/// A request and what is known about it.
pub(super) struct Incoming<'a> {
    pub request: &'a Request,
    pub body: &'a Value,
    /// Why the body is no JSON.
    pub malformed: Option<String>,
    pub number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint<'a> {
    Chat,
    Embeddings,
    Rerank,
    Messages,
    CountTokens,
    Models,
    Model(&'a str),
}

/// Plans the reply.
pub(super) fn plan(incoming: &Incoming<'_>, shared: &Shared) -> Reply {
    let request = incoming.request;
    let dialect = if request.header("anthropic-version").is_some()
        || request.header("x-api-key").is_some()
        || request.path.starts_with("/v1/messages")
    {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    };
    let exchange = Exchange { dialect, script: &shared.script, number: incoming.number };
    let reply = match answered(incoming, shared, exchange) {
        Ok(reply) => reply,
        Err(refusal) => {
            let refusal = refusal.with_request_id(incoming.number);
            exchange.json(refusal.status, &refusal.body)
        }
    };
    reply.delayed(shared.script.latency)
}

fn answered(
    incoming: &Incoming<'_>,
    shared: &Shared,
    exchange: Exchange<'_>,
) -> Result<Reply, Refusal> {
    let Incoming { request, body, number, .. } = *incoming;
    let endpoint = endpoint(request, exchange.dialect)?;
    let dialect = match endpoint {
        Endpoint::Chat | Endpoint::Embeddings | Endpoint::Rerank => Dialect::OpenAi,
        Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
        Endpoint::Models | Endpoint::Model(_) => exchange.dialect,
    };
    let exchange = Exchange { dialect, ..exchange };
    match dialect {
        Dialect::OpenAi => openai::authorised(request)?,
        Dialect::Anthropic => anthropic::authorised(request, number)?,
    }
    if !matches!(endpoint, Endpoint::Models | Endpoint::Model(_)) {
        well_formed(incoming, dialect)?;
    }
    match endpoint {
        Endpoint::Chat => {
            let asked = openai::conversation(body)?;
            converse(asked, shared, exchange)
        }
        Endpoint::Messages => {
            let asked = anthropic::conversation(body, Purpose::Message)?;
            converse(asked, shared, exchange)
        }
        Endpoint::Embeddings => {
            let asked = openai::embedding_request(body)?;
            let shape = shape(&asked.model, shared, exchange)?;
            Ok(exchange.plain(&openai::embeddings(&asked), shape))
        }
        Endpoint::Rerank => {
            let (model, scores) = openai::rerank(body)?;
            let shape = shape(&model, shared, exchange)?;
            Ok(exchange.plain(&scores, shape))
        }
        Endpoint::CountTokens => {
            let asked = anthropic::conversation(body, Purpose::CountTokens)?;
            let shape = shape(&asked.model, shared, exchange)?;
            let count = serde_json::json!({ "input_tokens": answer::input_tokens(&asked) });
            Ok(exchange.plain(&count, shape))
        }
        Endpoint::Models => Ok(exchange.json(
            200,
            &match dialect {
                Dialect::OpenAi => openai::models(),
                Dialect::Anthropic => anthropic::models(),
            },
        )),
        Endpoint::Model(name) => {
            if !faults::model_names().any(|known| known == name) {
                return Err(no_such_model(name, dialect));
            }
            Ok(exchange.json(
                200,
                &match dialect {
                    Dialect::OpenAi => openai::model(name),
                    Dialect::Anthropic => anthropic::model(name),
                },
            ))
        }
    }
}

fn endpoint<'a>(request: &'a Request, dialect: Dialect) -> Result<Endpoint<'a>, Refusal> {
    let path = request.path.as_str();
    let (endpoint, method) = match path {
        "/v1/chat/completions" => (Endpoint::Chat, "POST"),
        "/v1/embeddings" => (Endpoint::Embeddings, "POST"),
        "/v1/rerank" => (Endpoint::Rerank, "POST"),
        "/v1/messages" => (Endpoint::Messages, "POST"),
        "/v1/messages/count_tokens" => (Endpoint::CountTokens, "POST"),
        "/v1/models" => (Endpoint::Models, "GET"),
        _ => match path.strip_prefix("/v1/models/") {
            Some(name) if !name.is_empty() => (Endpoint::Model(name), "GET"),
            _ => {
                return Err(match dialect {
                    Dialect::OpenAi => {
                        let message = format!("Invalid URL ({} {path})", request.method);
                        openai::refusal(404, message, None, None)
                    }
                    Dialect::Anthropic => anthropic::refusal(404, "not_found_error", "Not Found"),
                });
            }
        },
    };
    if request.method == method {
        return Ok(endpoint);
    }
    Err(match dialect {
        Dialect::OpenAi => {
            let message = format!("Not allowed to {} on {path}.", request.method);
            openai::refusal(405, message, None, Some("method_not_supported"))
        }
        Dialect::Anthropic => {
            anthropic::refusal(405, "invalid_request_error", "Method Not Allowed")
        }
    })
}

fn well_formed(incoming: &Incoming<'_>, dialect: Dialect) -> Result<(), Refusal> {
    let content_type = incoming.request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = format!(
            "Unsupported media type: '{content_type}'. The content type must be application/json."
        );
        return Err(match dialect {
            Dialect::OpenAi => {
                openai::refusal(415, message, None, Some("unsupported_content_type"))
            }
            Dialect::Anthropic => anthropic::refusal(415, "invalid_request_error", message),
        });
    }
    let Some(problem) = &incoming.malformed else { return Ok(()) };
    Err(match dialect {
        Dialect::OpenAi => openai::refusal(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you \
             aren't using your HTTP library correctly. The API expects a JSON payload, but what \
             was sent was not valid JSON.)",
            None,
            None,
        ),
        Dialect::Anthropic => anthropic::refusal(
            400,
            "invalid_request_error",
            format!("The request body is not valid JSON: {problem}"),
        ),
    })
}

fn converse(
    asked: answer::Conversation,
    shared: &Shared,
    exchange: Exchange<'_>,
) -> Result<Reply, Refusal> {
    let shape = match answer::is_moody(&asked) {
        true => Some(faults::SERVER_ERROR),
        false => shape(&asked.model, shared, exchange)?,
    };
    let answer = answer::answer(&asked, shape == Some(Shape::HalfToolCall));
    if asked.model == "slow" {
        let wait = shared.script.scaled(std::time::Duration::from_millis(100));
        let rate = (!wait.is_zero()).then(|| 1.0 / wait.as_secs_f64());
        let script = super::Script { tokens_per_second: rate, ..shared.script.clone() };
        return Ok(faults::reply(Exchange { script: &script, ..exchange }, &asked, answer, shape));
    }
    Ok(faults::reply(exchange, &asked, answer, shape))
}

/// What goes wrong with this attempt, or the 404 of a model that does not exist.
fn shape(model: &str, shared: &Shared, exchange: Exchange<'_>) -> Result<Option<Shape>, Refusal> {
    if model == "missing" {
        return Err(no_such_model(model, exchange.dialect));
    }
    let fault = faults::find(model).map_err(|()| no_such_model(model, exchange.dialect))?;
    Ok(fault.and_then(|fault| shared.faults.meet(fault, model, |time| shared.script.scaled(time))))
}

fn no_such_model(model: &str, dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::OpenAi => openai::refusal(
            404,
            format!("The model `{model}` does not exist or you do not have access to it."),
            None,
            Some("model_not_found"),
        ),
        Dialect::Anthropic => anthropic::refusal(404, "not_found_error", format!("model: {model}")),
    }
}
