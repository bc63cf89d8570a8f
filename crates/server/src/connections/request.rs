//! What an HTTP task asks for.

use form_urlencoded::Serializer;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Map, Value};
use workflow::Fault;

use super::{header, unusable};

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];
/// Headers that no HTTP task may set.
const REFUSED: &[&str] = &[
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
];
const FORM: &str = "application/x-www-form-urlencoded";

/// The arguments of an HTTP task.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Asked {
    api_endpoint: String,
    method: String,
    headers: Option<Map<String, Value>>,
    query_parameters: Option<Map<String, Value>>,
    request_body: Option<Value>,
    authentication: Option<Named>,
    invocation_config: Option<Named>,
    transform: Option<Transform>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    connection_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Transform {
    request_body_encoding: Encoding,
    #[serde(default)]
    request_encoding_options: EncodingOptions,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Encoding {
    #[serde(rename = "NONE")]
    None,
    #[serde(rename = "URL_ENCODED")]
    UrlEncoded,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EncodingOptions {
    #[serde(default)]
    array_format: ArrayFormat,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ArrayFormat {
    #[default]
    Indices,
    Repeat,
    Commas,
    Brackets,
}

/// Reads the arguments of an HTTP task.
///
/// # Errors
/// If they do not fit.
pub fn read(input: &Value) -> Result<Asked, Fault> {
    Asked::deserialize(input)
        .map_err(|error| unusable(format!("the arguments of an HTTP task do not fit: {error}")))
}

impl Asked {
    /// The connection's ARN.
    pub fn connection(&self) -> Result<&str, Fault> {
        let named = self.invocation_config.as_ref().or(self.authentication.as_ref());
        let named = named.ok_or_else(|| unusable("an HTTP task needs a `ConnectionArn`"))?;
        Ok(&named.connection_arn)
    }

    /// The method.
    pub fn method(&self) -> Result<Method, Fault> {
        let method = METHODS.contains(&self.method.as_str()).then(|| self.method.parse().ok());
        method.flatten().ok_or_else(|| {
            unusable(format!("`{}` is none of the methods {}", self.method, METHODS.join(", ")))
        })
    }

    /// Where it goes: to an address below `base`, or, if it is a mere path, to that below `base`.
    pub fn url(&self, base: &Url) -> Result<Url, Fault> {
        let below = base.path().trim_end_matches('/');
        let endpoint = &self.api_endpoint;
        let mut url = match endpoint.strip_prefix('/') {
            Some("") => base.clone(),
            Some(path) => {
                let root = base.as_str().trim_end_matches('/');
                Url::parse(&format!("{root}/{path}"))
                    .map_err(|error| unusable(error.to_string()))?
            }
            None => Url::parse(endpoint)
                .map_err(|error| unusable(format!("`{endpoint}` is no address: {error}")))?,
        };
        let same = (url.scheme(), url.host(), url.port_or_known_default())
            == (base.scheme(), base.host(), base.port_or_known_default());
        let path = url.path().strip_prefix(below);
        let inside = path.is_some_and(|path| path.is_empty() || path.starts_with('/'));
        // Whoever decodes these once more must not be led out either.
        let decoded = url.path().to_ascii_lowercase().replace("%2f", "/").replace("%5c", "/");
        let decoded = decoded.replace("%2e", ".").replace("%3b", ";");
        // Some servers leave off what stands behind a semicolon.
        let bare = |part: &str| part.split(';').next() == Some("..");
        let climbs = decoded.split('/').any(bare);
        let named = !url.username().is_empty() || url.password().is_some();
        if !same || !inside || climbs || named {
            let why = format!("`{endpoint}` is not below `{base}`, which the connection is for");
            return Err(Fault::new("States.Permissions", why));
        }
        if let Some(parameters) = &self.query_parameters {
            let mut query = url.query_pairs_mut();
            for (name, value) in parameters {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                for value in values {
                    query.append_pair(name, &text(value));
                }
            }
        }
        Ok(url)
    }

    /// The headers that it sets.
    pub fn headers(&self) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().flatten() {
            let lower = name.to_ascii_lowercase();
            let reserved = ["x-amz-", "x-amzn-", "x-forwarded-"];
            let refused = REFUSED.contains(&lower.as_str())
                || reserved.iter().any(|start| lower.starts_with(start));
            if refused {
                return Err(unusable(format!("an HTTP task may not set the header `{name}`")));
            }
            let known: HeaderName =
                lower.parse().map_err(|_| unusable(format!("`{name}` is no header")))?;
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let joined: Vec<_> = values.iter().map(text).collect();
            headers.insert(known, header(&joined.join(","))?);
        }
        Ok(headers)
    }

    /// The body, with the type that it has where the definition names none.
    pub fn body(&self) -> Result<Option<(&'static str, String)>, Fault> {
        let encoded = self
            .transform
            .as_ref()
            .filter(|transform| transform.request_body_encoding == Encoding::UrlEncoded);
        Ok(match (&self.request_body, encoded) {
            (None | Some(Value::Null), _) => None,
            (Some(Value::String(text)), _) => Some(("text/plain; charset=utf-8", text.clone())),
            (Some(Value::Object(fields)), Some(transform)) => {
                let mut form = Serializer::new(String::new());
                let format = transform.request_encoding_options.array_format;
                for (name, value) in fields {
                    append(&mut form, name, value, format);
                }
                Some((FORM, form.finish()))
            }
            (Some(_), Some(_)) => {
                return Err(unusable("only an object can be sent as a form"));
            }
            (Some(body), None) => Some(("application/json; charset=utf-8", body.to_string())),
        })
    }
}

/// Adds a field to a form; what is in it gets a name that says where.
fn append(form: &mut Serializer<'_, String>, name: &str, value: &Value, format: ArrayFormat) {
    match (value, format) {
        (Value::Object(fields), _) => {
            for (below, value) in fields {
                append(form, &format!("{name}[{below}]"), value, format);
            }
        }
        (Value::Array(items), ArrayFormat::Commas) => {
            let items: Vec<_> = items.iter().map(text).collect();
            form.append_pair(name, &items.join(","));
        }
        (Value::Array(items), _) => {
            for (index, item) in items.iter().enumerate() {
                let name = match format {
                    ArrayFormat::Indices => format!("{name}[{index}]"),
                    ArrayFormat::Brackets => format!("{name}[]"),
                    ArrayFormat::Repeat | ArrayFormat::Commas => name.to_owned(),
                };
                append(form, &name, item, format);
            }
        }
        (value, _) => {
            form.append_pair(name, &text(value));
        }
    }
}

/// A value as it stands in a header, a query or a form.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
