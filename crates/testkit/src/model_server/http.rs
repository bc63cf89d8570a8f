//! Just enough of HTTP/1.1 (RFC 9112): bounded reading of requests, and heads of responses.

use std::fmt::Write as _;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// A request, read whole.
pub(super) struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub keep_alive: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why no request could be read.
pub(super) enum Unreadable {
    /// The peer closed the connection, between requests or within one.
    Closed,
    /// It broke the protocol or a bound: this status, then close.
    Bad(u16, &'static str),
}

/// Reads the next request; what follows it stays in `buffer`.
pub(super) async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> Result<Request, Unreadable> {
    let end = read_head(stream, buffer).await?;
    let head = buffer.split_to(end);
    let mut request = parse_head(&head)?;
    if request
        .header("expect")
        .is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue"))
    {
        let proceed = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        proceed.map_err(|_gone| Unreadable::Closed)?;
    }
    request.body = match framing(&request)? {
        Framing::Length(length) => {
            read_until(stream, buffer, length).await?;
            buffer.split_to(length).freeze()
        }
        Framing::Chunked => read_chunks(stream, buffer).await?,
    };
    Ok(request)
}

/// Reads until the buffer holds a whole head; returns where it ends.
async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<usize, Unreadable> {
    let mut searched = 0;
    loop {
        let from = usize::saturating_sub(searched, 3);
        if let Some(at) = buffer[from..].windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(from + at + 4);
        }
        searched = buffer.len();
        if searched > HEAD_LIMIT {
            return Err(Unreadable::Bad(431, "request header fields too large"));
        }
        read_more(stream, buffer).await?;
    }
}

fn parse_head(head: &[u8]) -> Result<Request, Unreadable> {
    const MALFORMED: Unreadable = Unreadable::Bad(400, "malformed request head");
    let head = std::str::from_utf8(head).map_err(|_invalid| MALFORMED)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(MALFORMED);
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Unreadable::Bad(505, "http version not supported"));
    }
    let mut headers = Vec::with_capacity(12);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(MALFORMED)?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(MALFORMED);
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut request = Request {
        method: method.to_owned(),
        path,
        headers,
        body: Bytes::new(),
        keep_alive: version == "HTTP/1.1",
    };
    if let Some(connection) = request.header("connection") {
        if connection.eq_ignore_ascii_case("close") {
            request.keep_alive = false;
        } else if connection.eq_ignore_ascii_case("keep-alive") {
            request.keep_alive = true;
        }
    }
    Ok(request)
}

enum Framing {
    Length(usize),
    Chunked,
}

fn framing(request: &Request) -> Result<Framing, Unreadable> {
    let length = request.header("content-length");
    match (request.header("transfer-encoding"), length) {
        (Some(_), Some(_)) => {
            Err(Unreadable::Bad(400, "both content-length and transfer-encoding"))
        }
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        (Some(_), None) => Err(Unreadable::Bad(501, "unknown transfer-encoding")),
        (None, None) => Ok(Framing::Length(0)),
        (None, Some(length)) => match length.parse::<usize>() {
            Ok(length) if length <= BODY_LIMIT => Ok(Framing::Length(length)),
            Ok(_) => Err(Unreadable::Bad(413, "request body too large")),
            Err(_) => Err(Unreadable::Bad(400, "malformed content-length")),
        },
    }
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Bytes, Unreadable> {
    const MALFORMED: Unreadable = Unreadable::Bad(400, "malformed chunk");
    let mut body = BytesMut::new();
    loop {
        let line = read_line(stream, buffer).await?;
        let digits = std::str::from_utf8(&line).map_err(|_invalid| MALFORMED)?;
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_invalid| MALFORMED)?;
        if size > BODY_LIMIT - body.len() {
            return Err(Unreadable::Bad(413, "request body too large"));
        }
        if size == 0 {
            while !read_line(stream, buffer).await?.is_empty() {}
            return Ok(body.freeze());
        }
        read_until(stream, buffer, size + 2).await?;
        body.extend_from_slice(&buffer[..size]);
        if &buffer[size..size + 2] != b"\r\n" {
            return Err(MALFORMED);
        }
        buffer.advance(size + 2);
    }
}

async fn read_line(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<BytesMut, Unreadable> {
    loop {
        if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = buffer.split_to(at);
            buffer.advance(2);
            return Ok(line);
        }
        if buffer.len() > HEAD_LIMIT {
            return Err(Unreadable::Bad(400, "chunk line too long"));
        }
        read_more(stream, buffer).await?;
    }
}

async fn read_until(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    length: usize,
) -> Result<(), Unreadable> {
    while buffer.len() < length {
        read_more(stream, buffer).await?;
    }
    Ok(())
}

async fn read_more(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<(), Unreadable> {
    buffer.reserve(8 * 1024);
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(Unreadable::Closed),
        Ok(_) => Ok(()),
    }
}

/// The head of a response.
pub(super) struct Head {
    text: String,
}

impl Head {
    pub fn new(status: u16, content_type: &str) -> Self {
        let mut text = String::with_capacity(256);
        let reason = reason(status);
        let _infallible = write!(
            text,
            "HTTP/1.1 {status} {reason}\r\nserver: scripted\r\ncontent-type: {content_type}\r\n"
        );
        Self { text }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        let _infallible = write!(self.text, "{name}: {value}\r\n");
        self
    }

    /// Ends it, announcing a body of `length` bytes.
    pub fn with_length(self, length: usize) -> Vec<u8> {
        let mut text = self.text;
        let _infallible = write!(text, "content-length: {length}\r\n\r\n");
        text.into_bytes()
    }

    /// Ends it, announcing a body in chunks.
    pub fn chunked(self) -> Vec<u8> {
        let mut text = self.text;
        text.push_str("transfer-encoding: chunked\r\n\r\n");
        text.into_bytes()
    }
}

/// Appends `data` to `out` as one chunk.
pub(super) fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// What ends a body in chunks.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        529 => "Overloaded",
        _ => "Status",
    }
}
