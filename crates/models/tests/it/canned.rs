//! A server that sends exactly the bytes it is told to, when it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use models::ProviderKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What every healthy answer says.
pub(crate) const ANSWER: &str = "Refunds take five days.";

/// One thing the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again, so far apart, until the client leaves.
    Repeat(Vec<u8>, Duration),
    /// Does nothing until the client leaves.
    Silence,
    /// Resets the connection.
    Reset,
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    left: watch::Sender<usize>,
}

impl Server {
    /// Answers the first requests with `scripts`, one each, then as a healthy `kind` does. A
    /// connection that had a script is closed after it.
    pub(crate) async fn start(kind: ProviderKind, scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                *shared.connections.lock().unwrap() += 1;
                tokio::spawn(serve(socket, kind, scripts.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far: heads and bodies as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.seen.connections.lock().unwrap()
    }

    /// Waits until a client left in the middle of a script.
    pub(crate) async fn client_left(&self) {
        let mut left = self.seen.left.subscribe();
        left.wait_for(|count| *count > 0).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut socket: TcpStream,
    kind: ProviderKind,
    scripts: Vec<Vec<Step>>,
    seen: Arc<Seen>,
) {
    while let Some(request) = read_request(&mut socket).await {
        let stream = request.contains("\"stream\":true");
        let number = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let Some(steps) = scripts.get(number) else {
            let bytes = if stream { events(&healthy_events(kind)) } else { json(&healthy(kind)) };
            if socket.write_all(&bytes).await.is_err() {
                return;
            }
            continue;
        };
        for step in steps {
            if !act(&mut socket, step.clone()).await {
                seen.left.send_modify(|count| *count += 1);
                return;
            }
        }
        return;
    }
}

/// Does one step; `false` when the client has left.
async fn act(socket: &mut TcpStream, step: Step) -> bool {
    match step {
        Step::Send(bytes) => socket.write_all(&bytes).await.is_ok(),
        Step::Repeat(bytes, apart) => {
            while socket.write_all(&bytes).await.is_ok() {
                let mut byte = [0];
                // The client has nothing more to say: what can be read is that it left.
                if tokio::time::timeout(apart, socket.read(&mut byte)).await.is_ok() {
                    break;
                }
            }
            false
        }
        Step::Silence => {
            let mut byte = [0];
            let _ = socket.read(&mut byte).await;
            false
        }
        Step::Reset => {
            socket.set_zero_linger().unwrap();
            true
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                })
                .unwrap_or(0_usize);
            if body.len() >= length {
                return Some(text);
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A response with a body of known length.
pub(crate) fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} S\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A whole JSON answer.
pub(crate) fn json(body: &str) -> Vec<u8> {
    response(200, "content-type: application/json\r\n", body)
}

/// The head of a chunked stream of events.
pub(crate) fn events_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec()
}

/// One chunk.
pub(crate) fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// A whole stream, ended properly.
pub(crate) fn events(text: &str) -> Vec<u8> {
    [events_head(), chunk(text), b"0\r\n\r\n".to_vec()].concat()
}

/// A healthy JSON answer.
pub(crate) fn healthy(kind: ProviderKind) -> String {
    match kind {
        ProviderKind::Openai => format!(
            r#"{{"id":"c","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{ANSWER}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":6}}}}"#
        ),
        ProviderKind::Anthropic => format!(
            r#"{{"id":"c","type":"message","model":"m","content":[{{"type":"text","text":"{ANSWER}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":9,"output_tokens":6}}}}"#
        ),
    }
}

/// The text of a healthy stream.
pub(crate) fn healthy_events(kind: ProviderKind) -> String {
    let [beginning, middle, end, terminator] = pieces(kind);
    [beginning, middle, end, terminator].concat()
}

/// A healthy stream in four pieces: half of the answer; the other half; the reason and usage; the
/// terminator.
pub(crate) fn pieces(kind: ProviderKind) -> [String; 4] {
    let (first, second) = ANSWER.split_at(8);
    match kind {
        ProviderKind::Openai => {
            let delta = |text: &str| {
                format!(
                    "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
                )
            };
            let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":6}}\n\n";
            [delta(first), delta(second), end.to_owned(), "data: [DONE]\n\n".to_owned()]
        }
        ProviderKind::Anthropic => {
            let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"c\",\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
            let delta = |text: &str| {
                format!(
                    "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
                )
            };
            let end = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":6}}\n\n";
            let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
            [format!("{start}{}", delta(first)), delta(second), end.to_owned(), stop.to_owned()]
        }
    }
}
