//! A client small enough to see every byte, and how a connection ended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::model_server::{ModelServer, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const CHAT: &str = "/v1/chat/completions";
pub const EMBEDDINGS: &str = "/v1/embeddings";
pub const MESSAGES: &str = "/v1/messages";

pub async fn server() -> ModelServer {
    ModelServer::start(Script { time_scale: 0.01, ..Script::default() }).await.unwrap()
}

/// How the answer ended on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As `Content-Length` or the last chunk says.
    Whole,
    /// FIN before that.
    Early,
    Reset,
}

#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    pub end: End,
    /// From the request's last byte to the end.
    pub took: Duration,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("no JSON ({error}): {}", self.text());
        })
    }

    /// The `data:` of each event; what is no JSON comes as a string.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
    }

    /// The words of a streamed answer, in either dialect.
    pub fn streamed_text(&self) -> String {
        let pointers = ["/choices/0/delta/content", "/delta/text"];
        let events = self.events();
        let text = |event: &Value| {
            let found = pointers.iter().find_map(|pointer| event.pointer(pointer));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        events.iter().filter_map(text).collect()
    }

    /// The answer's words, streamed or not, in either dialect.
    pub fn said(&self) -> String {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return self.streamed_text();
        }
        let body = self.json();
        let pointers = ["/choices/0/message/content", "/content/0/text"];
        let found = pointers.iter().find_map(|pointer| body.pointer(pointer));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub fn chat(model: &str, content: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": content }] })
}

pub fn streaming(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

pub fn message(model: &str, content: &str) -> Value {
    let mut body = chat(model, content);
    body["max_tokens"] = json!(1000);
    body
}

pub const OPENAI_KEY: &str = "authorization: Bearer sk-test\r\n";
pub const ANTHROPIC_KEY: &str = "x-api-key: sk-test\r\nanthropic-version: 2023-06-01\r\n";

pub fn request(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: scripted\r\ncontent-type: application/json\r\n{headers}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub async fn connect(server: &ModelServer) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Posts JSON with the right key for the path.
pub async fn post(server: &ModelServer, path: &str, body: &Value) -> Got {
    let key = if path.starts_with(MESSAGES) { ANTHROPIC_KEY } else { OPENAI_KEY };
    send(server, &request(path, key, &body.to_string())).await
}

/// Sends bytes on a connection of their own and reads one answer.
pub async fn send(server: &ModelServer, bytes: &str) -> Got {
    let mut stream = connect(server).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    receive(&mut stream).await
}

/// Reads one answer. Fails the test after ten seconds.
pub async fn receive(stream: &mut TcpStream) -> Got {
    let reading = Reading { stream, bytes: Vec::new(), ended: None };
    tokio::time::timeout(Duration::from_secs(10), reading.answer()).await.expect("an answer")
}

struct Reading<'a> {
    stream: &'a mut TcpStream,
    bytes: Vec<u8>,
    ended: Option<End>,
}

impl Reading<'_> {
    async fn answer(mut self) -> Got {
        let started = Instant::now();
        let nothing = |end| Got {
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            end,
            took: started.elapsed(),
        };
        let head_length = loop {
            if let Some(at) = self.bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if let Some(end) = self.more().await {
                return nothing(end);
            }
        };
        let head = String::from_utf8(self.bytes.drain(..head_length).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        let mut got = Got { status, headers: lines.map(header).collect(), ..nothing(End::Whole) };
        match got.header("content-length").map(|length| length.parse::<usize>().unwrap()) {
            Some(length) => {
                while self.bytes.len() < length && self.ended.is_none() {
                    self.more().await;
                }
                self.bytes.truncate(length);
                got.end = if self.bytes.len() == length { End::Whole } else { self.end() };
                got.body = self.bytes;
            }
            None => {
                assert_eq!(got.header("transfer-encoding"), Some("chunked"));
                (got.body, got.end) = self.chunks().await;
            }
        }
        got.took = started.elapsed();
        got
    }

    async fn chunks(mut self) -> (Vec<u8>, End) {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let rest = &self.bytes[at..];
            let line = rest.windows(2).position(|window| window == b"\r\n");
            let chunk = line.map(|end| {
                let size = std::str::from_utf8(&rest[..end]).unwrap();
                (end + 2, usize::from_str_radix(size, 16).unwrap())
            });
            match chunk {
                Some((start, size)) if rest.len() >= start + size + 2 => {
                    if size == 0 {
                        return (body, End::Whole);
                    }
                    body.extend_from_slice(&rest[start..start + size]);
                    at += start + size + 2;
                }
                _ if self.ended.is_some() => return (body, self.end()),
                _ => {
                    self.more().await;
                }
            }
        }
    }

    /// Reads more; how the connection ended, if it did.
    async fn more(&mut self) -> Option<End> {
        match self.stream.read_buf(&mut self.bytes).await {
            Ok(0) => self.ended = Some(End::Early),
            Ok(_) => {}
            Err(_) => self.ended = Some(End::Reset),
        }
        self.ended
    }

    fn end(&self) -> End {
        self.ended.unwrap_or(End::Early)
    }
}
