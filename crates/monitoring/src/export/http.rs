//! A collector over HTTP.

use std::io::Write;
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use release::Secret;
use security::outside::{self, Answer, Outside, Reach, Url};

use super::{Collector, Delivery};
use crate::frame::Signal;

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of its answer.
const MAX_ANSWER: usize = 1 << 20;

/// Where a collector is.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Its base address: `/v1/traces` and so on are appended.
    pub endpoint: Url,
    /// What it wants to see, as keys.
    pub headers: Vec<(String, Secret)>,
}

/// A collector over HTTP: protobuf, packed with gzip.
#[derive(Debug)]
pub struct HttpCollector {
    outside: Outside,
    options: HttpOptions,
}

impl HttpCollector {
    /// A client of the collector. The operator names it, so it may be anywhere.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(options: HttpOptions) -> Result<Self, String> {
        let outside = Outside::new(Reach::Any).map_err(|error| error.to_string())?;
        Ok(Self { outside, options })
    }

    fn url(&self, signal: Signal) -> Url {
        let mut url = self.options.endpoint.clone();
        let path = format!("{}/v1/{signal}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    async fn post(&self, signal: Signal, otlp: &[u8]) -> Result<Answer, String> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = packed.write_all(otlp).and_then(|()| packed.finish());
        let packed = packed.map_err(|error| error.to_string())?;
        let request = self.outside.request(outside::Method::POST, self.url(signal));
        let mut request = request.map_err(|error| error.to_string())?;
        for (name, secret) in &self.options.headers {
            request = request.header(name, secret.expose());
        }
        let request = request
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "gzip")
            .body(packed);
        outside::send(request, TIMEOUT, MAX_ANSWER).await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Collector for HttpCollector {
    async fn send(&self, signal: Signal, otlp: &[u8]) -> Delivery {
        match self.post(signal, otlp).await {
            Ok(answer) => delivery(&answer),
            Err(why) => Delivery::Later { after: None, why },
        }
    }
}

/// What an answer means. Only what is wrong with the message itself is for good (OTLP, "Failures");
/// a wrong key or address is the operator's to put right, and nothing is lost meanwhile.
fn delivery(answer: &Answer) -> Delivery {
    let status = answer.status.as_u16();
    let said = String::from_utf8_lossy(&answer.body);
    let why = || {
        format!("the collector answers {status}: {}", said.chars().take(200).collect::<String>())
    };
    match status {
        200..=299 => {
            // All signals' answers have the same form.
            let partial = ExportTraceServiceResponse::decode(answer.body.as_slice()).ok();
            let partial = partial.and_then(|answer| answer.partial_success);
            let rejected = partial.map_or(0, |partial| partial.rejected_spans);
            Delivery::Done { rejected: u64::try_from(rejected).unwrap_or(0) }
        }
        400 | 413 | 415 | 422 => Delivery::Refused { why: why() },
        _ => {
            let after = answer.headers.get("retry-after").and_then(|value| value.to_str().ok());
            let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            Delivery::Later { after, why: why() }
        }
    }
}
