//! The few plain HTTP reads of this crate. What a wallet must believe goes through the wallet crate instead.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;

/// Largest answer that is read, bytes. The largest public answer is a light bundle of 256 epochs.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// A client for the public pages of local nodes.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
}

/// An answer: status, headers as text, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Every request ends within `timeout`.
    pub(crate) fn new(timeout: Duration) -> Client {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Client {
            agent: config.new_agent(),
        }
    }

    /// GETs `base + path`, whatever the status.
    pub(crate) fn get(&self, base: &str, path: &str) -> Result<Answer, Error> {
        let url = format!("{base}{path}");
        let fail = |e: ureq::Error| Error::Api {
            url: url.clone(),
            detail: e.to_string(),
        };
        let mut response = self.agent.get(&url).call().map_err(fail)?;
        let mut head = format!("{}\n", response.status());
        for (name, value) in response.headers() {
            head.push_str(&format!(
                "{name}: {}\n",
                String::from_utf8_lossy(value.as_bytes())
            ));
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()
            .map_err(fail)?;
        Ok(Answer {
            status: response.status().as_u16(),
            head,
            body,
        })
    }

    /// GETs a JSON document; any status but 200 is an error.
    pub(crate) fn json(&self, base: &str, path: &str) -> Result<Value, Error> {
        let answer = self.get(base, path)?;
        let refuse = |detail| Error::Api {
            url: format!("{base}{path}"),
            detail,
        };
        if answer.status != 200 {
            return Err(refuse(format!("status {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|e| refuse(e.to_string()))
    }
}
