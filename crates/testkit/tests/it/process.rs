use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use testkit::model_server::faults::FAULTS;

use crate::client::{CHAT, OPENAI_KEY, chat, request};

/// Ends the process with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_process_says_where_it_listens_answers_and_logs() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    let mut child = Command::new(env!("CARGO_BIN_EXE_scripted-model-server"))
        .args(["--port", "0", "--latency-ms", "1", "--tokens-per-second", "1000", "--log"])
        .arg(&log)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let _running = Running(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let body = chat("echo", "hello process").to_string();
    let headers = format!("{OPENAI_KEY}connection: close\r\n");
    stream.write_all(request(CHAT, &headers, &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("hello process"));
    // The line is written before the connection closes.
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("\"model\":\"echo\""), "{logged}");
}

#[test]
fn the_table_of_faults_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_scripted-model-server"))
        .arg("--list-faults")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(FAULTS.iter().all(|fault| text.contains(fault.name) && text.contains(fault.effect)));
}
