//! The way to a node: a small seam with a real socket behind it, or a script.
//!
//! - **May block** for at most the patience that the caller gives.
//! - **Refusal**: [`Unreachable`] means no answer came within bounds; any HTTP status is an answer.
//! - **After a restart** nothing is remembered.
//! - **Whose fault**: the network's or the node's. Nothing that comes back is believed by anybody.

use std::time::Duration;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body, at most as long as the bounds allowed.
    pub body: Vec<u8>,
}

/// What the caller puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Longest body in bytes.
    pub max_bytes: usize,
    /// Longest time that the node may take on purpose (a long poll), on top of the transport's own timeout.
    pub patience: Duration,
}

/// No answer within bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer from {endpoint}: {reason}")]
pub struct Unreachable {
    /// The node.
    pub endpoint: String,
    /// What happened.
    pub reason: String,
}

/// A way to ask a node.
pub trait Transport: Send + Sync {
    /// The node's address, for messages.
    fn endpoint(&self) -> &str;

    /// `GET path`.
    ///
    /// # Errors
    /// [`Unreachable`] when no answer came within the bounds.
    fn get(&self, path: &str, bounds: Bounds) -> Result<Response, Unreachable>;

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// [`Unreachable`] when no answer came within the bounds. The node may have acted on the request all the same.
    fn post(&self, path: &str, json: &[u8], bounds: Bounds) -> Result<Response, Unreachable>;
}

#[cfg(feature = "http")]
pub use http::HttpTransport;

#[cfg(feature = "http")]
mod http {
    use std::{
        io::{BufRead, BufReader, Read},
        time::Duration,
    };

    use super::{Bounds, Response, Transport, Unreachable};

    /// Longest wait for a connection.
    const CONNECT: Duration = Duration::from_secs(5);

    /// Longest line of an endless answer, in bytes.
    const MAX_LINE: usize = 64 * 1024;

    /// Plain HTTP. There is no TLS on purpose: what is secret is sealed end to end to attested keys, and what is
    /// public is verified against the genesis hash, so a certificate authority would add nothing but trust in it.
    pub struct HttpTransport {
        endpoint: String,
        agent: ureq::Agent,
        timeout: Duration,
    }

    impl HttpTransport {
        /// A client of the node at `http://host:port`; `timeout` bounds each request besides what a long poll adds.
        ///
        /// # Errors
        /// [`Unreachable`] when the address is not an `http://` one.
        pub fn new(endpoint: &str, timeout: Duration) -> Result<Self, Unreachable> {
            let endpoint = endpoint.trim_end_matches('/').to_owned();
            if endpoint.strip_prefix("http://").is_none_or(str::is_empty) {
                let reason = "expected an address such as http://127.0.0.1:26600".to_owned();
                return Err(Unreachable { endpoint, reason });
            }
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(None)
                .timeout_connect(Some(CONNECT))
                .user_agent(concat!("tacit/", env!("CARGO_PKG_VERSION")))
                .build()
                .new_agent();
            Ok(Self {
                endpoint,
                agent,
                timeout,
            })
        }

        /// Reads an endless answer line by line until `on_line` says false or the node ends it.
        ///
        /// # Errors
        /// [`Unreachable`] when the connection fails, the status is not 200, or a line is longer than
        /// 64 KiB.
        pub fn follow(&self, path: &str, on_line: &mut dyn FnMut(&str) -> bool) -> Result<(), Unreachable> {
            let request = self
                .agent
                .get(format!("{}{path}", self.endpoint))
                .header("accept", "text/event-stream");
            let answer = request.call().map_err(|error| self.failed(&error))?;
            let ended = |reason: String| Unreachable {
                endpoint: self.endpoint.clone(),
                reason,
            };
            if answer.status().as_u16() != 200 {
                return Err(ended(format!("status {}", answer.status().as_u16())));
            }
            let body = answer.into_body().into_with_config().limit(u64::MAX).reader();
            let mut lines = BufReader::new(body);
            loop {
                let mut line = Vec::new();
                let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
                let read = lines.by_ref().take(limit).read_until(b'\n', &mut line);
                match read.map_err(|error| ended(error.to_string()))? {
                    0 => return Ok(()),
                    MAX_LINE if !line.ends_with(b"\n") => return Err(ended("a line without end".to_owned())),
                    _ if !on_line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n'])) => {
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }

        fn failed(&self, error: &ureq::Error) -> Unreachable {
            Unreachable {
                endpoint: self.endpoint.clone(),
                reason: error.to_string(),
            }
        }

        fn read(
            &self,
            answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
            bounds: Bounds,
        ) -> Result<Response, Unreachable> {
            let mut answer = answer.map_err(|error| self.failed(&error))?;
            let status = answer.status().as_u16();
            let limit = u64::try_from(bounds.max_bytes).unwrap_or(u64::MAX);
            let body = answer
                .body_mut()
                .with_config()
                .limit(limit)
                .read_to_vec()
                .map_err(|error| self.failed(&error))?;
            Ok(Response { status, body })
        }
    }

    impl Transport for HttpTransport {
        fn endpoint(&self) -> &str {
            &self.endpoint
        }

        fn get(&self, path: &str, bounds: Bounds) -> Result<Response, Unreachable> {
            let request = self.agent.get(format!("{}{path}", self.endpoint));
            let limited = request
                .config()
                .timeout_global(Some(self.timeout + bounds.patience))
                .build();
            self.read(limited.call(), bounds)
        }

        fn post(&self, path: &str, json: &[u8], bounds: Bounds) -> Result<Response, Unreachable> {
            let request = self
                .agent
                .post(format!("{}{path}", self.endpoint))
                .content_type("application/json");
            let limited = request
                .config()
                .timeout_global(Some(self.timeout + bounds.patience))
                .build();
            self.read(limited.send(json), bounds)
        }
    }

    #[cfg(test)]
    mod tests {
        use std::{
            io::{Read, Write},
            net::TcpListener,
            thread,
        };

        use super::*;

        /// Serves one canned answer and gives back what was asked.
        fn serve(answer: Vec<u8>) -> (String, thread::JoinHandle<String>) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = format!("http://{}/", listener.local_addr().unwrap());
            let served = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = vec![0; 4096];
                let length = stream.read(&mut asked).unwrap();
                // The client may hang up before all is written: that is what one test is about.
                let _ = stream.write_all(&answer);
                String::from_utf8_lossy(&asked[..length]).into_owned()
            });
            (endpoint, served)
        }

        const BOUNDS: Bounds = Bounds {
            max_bytes: 16,
            patience: Duration::ZERO,
        };

        #[test]
        fn statuses_are_answers_and_redirects_are_not_followed() {
            for status in [
                "200 OK",
                "404 Not Found",
                "302 Found\r\nlocation: http://127.0.0.1:1/",
            ] {
                let (endpoint, served) =
                    serve(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhi").into_bytes());
                let node = HttpTransport::new(&endpoint, Duration::from_secs(5)).unwrap();
                let response = node.get("/v1/status", BOUNDS).unwrap();
                assert_eq!(
                    (response.status.to_string(), response.body),
                    (status[..3].to_owned(), b"hi".to_vec())
                );
                assert!(served.join().unwrap().starts_with("GET /v1/status HTTP/1.1\r\n"));
            }
        }

        #[test]
        fn a_body_beyond_the_bound_is_no_answer() {
            let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n".to_vec();
            answer.extend([b'x'; 17]);
            let (endpoint, served) = serve(answer);
            let node = HttpTransport::new(&endpoint, Duration::from_secs(5)).unwrap();
            assert!(node.get("/", BOUNDS).is_err());
            served.join().unwrap();
        }

        #[test]
        fn only_http_addresses() {
            for endpoint in ["https://x", "127.0.0.1:1", "http://", "", "file:///x"] {
                assert!(
                    HttpTransport::new(endpoint, Duration::from_secs(1)).is_err(),
                    "{endpoint}"
                );
            }
        }
    }
}
