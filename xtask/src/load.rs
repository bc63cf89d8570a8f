//! A small load generator: HTTP/1.1 over kept connections, one thread a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A request that is sent again and again.
#[derive(Debug, Clone)]
pub struct Shot {
    /// Where to.
    pub port: u16,
    /// The whole request.
    pub request: String,
}

impl Shot {
    /// A POST of JSON with a bearer key.
    pub fn post(port: u16, path: &str, key: &str, body: &str) -> Self {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { port, request }
    }
}

/// What one run measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Time to the whole response, sorted.
    pub whole: Vec<Duration>,
    /// Time to the first byte of the body, sorted.
    pub first: Vec<Duration>,
    /// How long the run took.
    pub elapsed: Duration,
}

impl Measured {
    /// The `share` quantile of sorted times, in microseconds.
    pub fn quantile(times: &[Duration], share: f64) -> f64 {
        let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

/// Shoots over `connections` connections for `duration`.
///
/// # Errors
/// If a response is not a success.
pub fn fire(shot: &Shot, connections: usize, duration: Duration) -> Result<Measured> {
    let start = Instant::now();
    let threads = (0..connections).map(|_| {
        let shot = shot.clone();
        std::thread::spawn(move || connection(&shot, start + duration))
    });
    let threads: Vec<_> = threads.collect();
    let mut all = Measured::default();
    for thread in threads {
        let part = thread.join().map_err(|_| anyhow::anyhow!("a connection's thread failed"))??;
        all.whole.extend(part.whole);
        all.first.extend(part.first);
    }
    all.elapsed = start.elapsed();
    all.whole.sort();
    all.first.sort();
    Ok(all)
}

fn connection(shot: &Shot, until: Instant) -> Result<Measured> {
    let mut connection = Connection::open(shot.port)?;
    let mut measured = Measured::default();
    while Instant::now() < until {
        let start = Instant::now();
        let answer = connection.send(&[shot.request.as_bytes()])?;
        measured.whole.push(start.elapsed());
        measured.first.push(answer.first.duration_since(start));
    }
    Ok(measured)
}

/// A kept connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
}

/// A successful answer.
pub struct Answered {
    /// When its body began.
    pub first: Instant,
    /// Its body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to a port of the loopback interface.
    ///
    /// # Errors
    /// If nothing listens there.
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), stream })
    }

    /// Sends a request in pieces and reads its response.
    ///
    /// # Errors
    /// If the connection ends, or the response is not a success.
    pub fn send(&mut self, request: &[&[u8]]) -> Result<Answered> {
        for piece in request {
            self.stream.write_all(piece)?;
        }
        response(&mut self.reader)
    }
}

/// Reads one response.
fn response(reader: &mut BufReader<TcpStream>) -> Result<Answered> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no status line")?.to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        match header.split_once(": ") {
            Some(("content-length", value)) => length = value.parse()?,
            Some(("transfer-encoding", "chunked")) => chunked = true,
            None if header.is_empty() => break,
            _ => {}
        }
    }
    let mut body = Vec::new();
    let mut first = None;
    while chunked {
        line.clear();
        reader.read_line(&mut line)?;
        first.get_or_insert_with(Instant::now);
        let size = usize::from_str_radix(line.trim(), 16).context("no chunk size")?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    if length > 0 {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    if status != "200" {
        bail!("answered {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(Answered { first: first.unwrap_or_else(Instant::now), body })
}
