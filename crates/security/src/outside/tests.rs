use std::net::{IpAddr, SocketAddr};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn outside(networks: &[&str]) -> Outside {
    // Another test of this process may have installed it already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    Outside::new(Reach::Public(networks)).unwrap()
}

async fn get(outside: &Outside, url: &str) -> Result<Answer, Unanswered> {
    let request = outside.request(Method::GET, url.parse().unwrap())?;
    send(request, Duration::from_secs(5), 100).await
}

async fn service(answer: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _read = stream.read(&mut asked).await;
            let _written = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[test]
fn addresses_of_the_public_internet_are_told_from_all_others() {
    for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::1.1.1.1"] {
        assert!(is_public(address(public)), "{public}");
    }
    for private in [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:1.1.1.1",
        "::ffff:169.254.169.254",
        "::1.1.1.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(address(private)), "{private}");
    }
}

#[test]
fn a_network_holds_its_addresses_and_no_others() {
    let holds = |network: &str, of: &str| network.parse::<Network>().unwrap().holds(address(of));
    assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
    assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
    assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
    assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
    for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "intranet", "10.0.0.0/-1"] {
        assert!(wrong.parse::<Network>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn neither_a_name_nor_an_address_in_any_spelling_leads_inside() {
    let port = service("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nin").await.port();
    let outside = outside(&[]);
    for host in
        ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
    {
        let told = get(&outside, &format!("http://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(told, Unanswered::Refused(_)), "{host}: {told}");
    }
}

#[tokio::test]
async fn what_the_operator_allows_is_reached_and_redirects_are_not_followed() {
    let away =
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let port = service(away).await.port();
    let outside = outside(&["127.0.0.0/8", "::1"]);
    for host in ["127.0.0.1", "localhost"] {
        let answer = get(&outside, &format!("http://{host}:{port}/")).await.unwrap();
        assert_eq!(answer.status, StatusCode::FOUND);
    }
    let told = get(&outside, "http://169.254.169.254/").await.unwrap_err();
    assert!(told.to_string().contains("server.toml"), "{told}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off() {
    let large = "HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n0123456789012345678901234567890123456\
        789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456";
    let port = service(large).await.port();
    let told = get(&outside(&["127.0.0.1"]), &format!("http://127.0.0.1:{port}/")).await;
    assert!(matches!(told.unwrap_err(), Unanswered::TooLarge));
}
