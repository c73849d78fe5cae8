//! What only the operator of this machine may tell a running node: HTTP on a socket in its home, which the file system
//! guards. Nothing here decides what is accepted; it says when to attest, and when to take no more work.
//!
//! ```text
//! GET  /status   {"phase", "draining", "pending"}
//! POST /join     register now if that is due, whatever was tried before
//! POST /drain    take no new envelopes
//! POST /resume   take them again
//! ```

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::UnixListener, sync::watch};

use crate::{NodeError, clock, handle::NodeHandle, home::Home};

/// The longest answer that a client of the socket reads, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Serves the socket until `stopping` says so. Without it the node runs all the same: it is the operator's convenience.
pub(crate) async fn serve(node: NodeHandle, home: Home, mut stopping: watch::Receiver<bool>) {
    let path = home.admin_socket();
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no admin socket: drain and join cannot reach this node");
            return;
        }
    };
    let router = Router::new()
        .route("/status", get(status))
        .route("/join", post(join))
        .route("/drain", post(drain))
        .route("/resume", post(resume))
        .with_state(Admin { node, home });
    let stop = async move {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
        tracing::warn!(%error, "the admin socket ended");
    }
    let _ = std::fs::remove_file(path);
}

/// The home's lock is held, so a socket that is there already is nobody's.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[derive(Clone)]
struct Admin {
    node: NodeHandle,
    home: Home,
}

impl Admin {
    fn says(&self) -> Json<Value> {
        let status = self.node.status();
        Json(json!({
            "phase": status.phase.name(),
            "draining": status.draining,
            "pending": status.pending,
            "now_ms": status.now_ms,
        }))
    }
}

async fn status(State(admin): State<Admin>) -> Json<Value> {
    admin.says()
}

async fn join(State(admin): State<Admin>) -> Json<Value> {
    // It may have been there from when it left, or not at all.
    let _ = std::fs::remove_file(admin.home.left());
    let asked_ms = clock::now_ms();
    admin.node.register_now();
    tracing::info!("asked to register");
    Json(json!({ "asked_ms": asked_ms }))
}

async fn drain(State(admin): State<Admin>) -> Json<Value> {
    admin.node.drain(true);
    tracing::info!("draining: new envelopes are refused");
    admin.says()
}

async fn resume(State(admin): State<Admin>) -> Json<Value> {
    admin.node.drain(false);
    tracing::info!("taking envelopes again");
    admin.says()
}

/// Asks the node that runs on `home`. Blocks up to `timeout`.
///
/// # Errors
/// [`NodeError::Admin`] when nobody answers, or something else than was asked.
pub fn ask(home: &Home, method: &str, what: &str, timeout: Duration) -> Result<Value, NodeError> {
    let path = home.admin_socket();
    let failed = |detail: String| NodeError::Admin {
        path: path.clone(),
        detail,
    };
    let io = |error: std::io::Error| failed(error.to_string());
    let mut stream = UnixStream::connect(&path).map_err(io)?;
    stream.set_read_timeout(Some(timeout)).map_err(io)?;
    stream.set_write_timeout(Some(timeout)).map_err(io)?;
    let request =
        format!("{method} {what} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(io)?;
    let mut answer = Vec::new();
    stream
        .take(MAX_ANSWER_BYTES)
        .read_to_end(&mut answer)
        .map_err(io)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| failed("the answer has no end".into()))?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        return Err(failed(format!("status {status}")));
    }
    serde_json::from_str(body).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// A socket that answers once, with these bytes.
    fn answered(answer: &'static [u8]) -> Result<Value, NodeError> {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let listener = UnixListener::bind(home.admin_socket()).expect("bound");
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut asked = [0; 512];
            let length = stream.read(&mut asked).expect("a request");
            stream.write_all(answer).expect("answered");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let result = ask(&home, "POST", "/drain", Duration::from_secs(5));
        assert!(
            served
                .join()
                .expect("served")
                .starts_with("POST /drain HTTP/1.1\r\n")
        );
        result
    }

    #[test]
    fn an_answer_is_read_and_anything_else_is_named() {
        let good = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"pending\": 3}").expect("read");
        assert_eq!(good["pending"], 3);
        for bad in [
            &b"HTTP/1.1 404 Not Found\r\n\r\n{}"[..],
            b"HTTP/1.1 200 OK\r\n\r\nnot json",
            b"rubbish",
            b"",
        ] {
            assert_eq!(answered(bad).expect_err("refused").code(), "admin.unreachable");
        }
    }

    #[test]
    fn a_home_without_a_node_does_not_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let error =
            ask(&Home::at(folder.path()), "GET", "/status", Duration::from_secs(1)).expect_err("nobody");
        assert_eq!(error.code(), "admin.unreachable");
    }
}
