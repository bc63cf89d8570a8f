//! Mail, against a relay of our own.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

/// A relay that takes one mail, and gives what it was told; recipients at `nowhere` are refused.
async fn relay(listener: TcpListener) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut told = Vec::new();
    write.write_all(b"220 relay\r\n").await.unwrap();
    let mut data = false;
    while let Ok(Some(line)) = lines.next_line().await {
        told.push(line.clone());
        let answer: &[u8] = match line.as_str() {
            "." => {
                data = false;
                b"250 taken\r\n"
            }
            _ if data => continue,
            "DATA" => {
                data = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ if line.contains("nowhere") => b"550 nobody there\r\n",
            _ => b"250 fine\r\n",
        };
        write.write_all(answer).await.unwrap();
        if line == "QUIT" {
            break;
        }
    }
    told
}

fn mail(to: &str) -> Mail {
    Mail {
        to: vec![to.to_owned()],
        subject: "ALARM: support-errors".to_owned(),
        text: "Why: too many.\n".to_owned(),
        id: "default/support-errors/1/0".to_owned(),
    }
}

async fn sent(to: &str) -> (Result<(), MailError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let from = "Groundcrew <alarms@example.com>".to_owned();
    let host = "127.0.0.1".to_owned();
    let relayed = tokio::spawn(relay(listener));
    let relay = Relay { host, port: Some(port), encryption: Encryption::None, login: None, from };
    let sent = relay.send(&mail(to)).await;
    drop(relay);
    (sent, relayed.await.unwrap())
}

#[tokio::test]
async fn a_mail_is_sent_as_it_is() {
    let (sent, told) = sent("ada@example.com").await;
    sent.unwrap();
    for line in [
        "MAIL FROM:<alarms@example.com>",
        "RCPT TO:<ada@example.com>",
        "Subject: ALARM: support-errors",
        "Auto-Submitted: auto-generated",
        "Message-ID: <default.support-errors.1.0@example.com>",
        "Why: too many.",
    ] {
        assert!(told.iter().any(|it| it == line), "{line} is not in {told:#?}");
    }
}

#[tokio::test]
async fn what_no_other_try_helps_is_told() {
    let (refused, _) = sent("ada@nowhere.example").await;
    assert!(
        matches!(refused, Err(MailError::Refused(why)) if why.contains("550") || why.contains("nobody"))
    );
    let from = "alarms@example.com".to_owned();
    let relay = Relay {
        host: "relay".to_owned(),
        port: None,
        encryption: Encryption::Tls,
        login: None,
        from,
    };
    assert!(matches!(relay.send(&mail("no address")).await, Err(MailError::Refused(_))));
}
