//! One connection: requests are read, answered and logged, one after the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Shared;
use super::attempt::Ending;
use super::http::{self, Head, Unreadable};
use super::reply::Then;
use super::route::{self, Incoming};

pub(super) async fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    loop {
        let request = match http::read_request(&mut stream, &mut buffer).await {
            Ok(request) => request,
            Err(Unreadable::Closed) => return,
            Err(Unreadable::Bad(status, message)) => {
                return refuse(stream, status, message).await;
            }
        };
        let parsed = serde_json::from_slice::<Value>(&request.body);
        let (body, malformed) = match parsed {
            Ok(body) => (Arc::new(body), None),
            Err(error) => (Arc::new(Value::Null), Some(error.to_string())),
        };
        let arrival = shared.log.begin(&request, &body);
        let incoming =
            Incoming { request: &request, body: &body, malformed, number: arrival.number };
        let reply = route::plan(&incoming, shared);
        let then = reply.then;
        shared.log.answering(&arrival, reply.status);
        let departure = reply.perform(&mut stream, arrival.instant).await;
        let hung_up = matches!(departure.ending, Ending::HungUp { .. });
        if then == Then::Reset {
            // Closing with a zero linger time sends a RST. If it cannot be set, the peer has
            // already gone.
            drop(stream.set_zero_linger());
        }
        shared.log.end(&arrival, &departure);
        if hung_up || then != Then::KeepAlive || !request.keep_alive {
            return;
        }
    }
}

/// Tells a peer that broke the protocol, then closes without a reset destroying the message.
async fn refuse(mut stream: TcpStream, status: u16, message: &str) {
    let mut bytes =
        Head::new(status, "text/plain").header("connection", "close").with_length(message.len());
    bytes.extend_from_slice(message.as_bytes());
    let drained = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether the peer stays to read it is up to the peer.
    drop(tokio::time::timeout(Duration::from_secs(1), drained).await);
}
