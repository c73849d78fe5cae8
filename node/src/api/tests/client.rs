//! A client small enough to say exactly what goes over the wire.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the answer is text")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The code of a problem, and that it is a proper one.
    pub(super) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        let code = body["code"].as_str().expect("problems have codes").to_owned();
        assert_eq!(body["status"], self.status, "{code}");
        assert_eq!(body["type"], format!("/errors/{code}"));
        assert!(!body["request_id"].as_str().expect("an id").is_empty());
        code
    }
}

/// Sends a request as it is written and reads the answer to its end.
pub(super) async fn raw(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("answered");
    let split = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(bytes[..split].to_vec()).expect("a head of text");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .expect("a status");
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Reply {
        status,
        headers,
        body: bytes[split + 4..].to_vec(),
    }
}

pub(super) async fn get(address: SocketAddr, path: &str) -> Reply {
    get_with(address, path, "").await
}

/// `headers` are whole lines.
pub(super) async fn get_with(address: SocketAddr, path: &str, headers: &str) -> Reply {
    raw(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n{headers}\r\n"),
    )
    .await
}

pub(super) async fn post(address: SocketAddr, path: &str, kind: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    );
    raw(address, &format!("{head}\r\n{body}")).await
}

/// An open event stream.
pub(super) struct Stream {
    stream: TcpStream,
    seen: String,
}

impl Stream {
    pub(super) async fn open(address: SocketAddr, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        Self {
            stream,
            seen: String::new(),
        }
    }

    /// Reads until the text has come; false when the stream ends before.
    pub(super) async fn until(&mut self, text: &str) -> bool {
        let mut bytes = [0; 4096];
        while !self.seen.contains(text) {
            match self.stream.read(&mut bytes).await.expect("read") {
                0 => return false,
                count => self.seen.push_str(&String::from_utf8_lossy(&bytes[..count])),
            }
        }
        true
    }

    /// The ids of all events so far.
    pub(super) fn ids(&self) -> Vec<&str> {
        self.seen
            .lines()
            .filter_map(|line| line.strip_prefix("id: "))
            .collect()
    }

    /// Whether it has ended or ends without another event.
    pub(super) async fn ends(&mut self) -> bool {
        !self.until("\u{0}").await
    }
}
