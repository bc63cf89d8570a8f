//! OTLP over gRPC: `Export` of the three services.
//!
//! Messages are taken as bytes, so that they are measured before they are read and logged as they
//! came. (The services that are generated from OTLP's definitions read them first.)

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use release::TenantId;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Body, BoxFuture, StdError, http};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Request, Response};

use super::answer::{NotTaken, Status};
use super::body::Format;
use super::limits::MAX_PLAIN;
use super::receiver::{Posted, Receiver};
use crate::frame::Signal;

/// The path of a signal's method.
pub const fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// Answers a call of a tenant.
pub async fn export<B>(
    receiver: Arc<Receiver>,
    tenant: TenantId,
    signal: Signal,
    request: http::Request<B>,
) -> http::Response<tonic::body::Body>
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    let mut grpc = Grpc::new(Raw)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_PLAIN);
    grpc.unary(Export { receiver, tenant, signal }, request).await
}

/// The answer to a caller whose key does not allow the call, or who has none.
pub fn denied(known: bool, message: &str) -> http::Response<tonic::body::Body> {
    let code = if known { Code::PermissionDenied } else { Code::Unauthenticated };
    tonic::Status::new(code, message).into_http()
}

/// The answer to a call that was not read.
pub fn not_taken(error: &NotTaken) -> http::Response<tonic::body::Body> {
    status(error).into_http()
}

struct Export {
    receiver: Arc<Receiver>,
    tenant: TenantId,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future = BoxFuture<Response<Vec<u8>>, tonic::Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (receiver, tenant) = (Arc::clone(&self.receiver), self.tenant.clone());
        let (signal, body) = (self.signal, request.into_inner());
        let posted = Posted { signal, format: Format::Protobuf, encoding: None, body };
        Box::pin(async move {
            let taken = receiver.take(&tenant, posted).await;
            taken.map(|taken| Response::new(taken.to_protobuf())).map_err(|error| status(&error))
        })
    }
}

fn status(error: &NotTaken) -> tonic::Status {
    let (code, message, delay) = (error.code(), error.to_string(), error.retry_after());
    let details = Status::new(code, message.clone(), delay).encode_to_vec();
    tonic::Status::with_details(Code::from_i32(code), message, details.into())
}

/// Messages as bytes.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}
