//! A trace of the core's transitions in a file, one JSON object a line, for the reference model of the tests.
//!
//! Each line is written before anything of its transition leaves the process, so a killed process has a line for all
//! that it said. The file grows without end and is not read by the node: it is for tests. There is no secret
//! in it: what a trace has of a message, every peer has seen.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

use tacit_consensus::trace::{Tracer, Transition};

use crate::NodeError;

/// The file, until a write fails.
pub(crate) struct TraceFile(Option<File>);

impl TraceFile {
    /// Goes on with a file, or begins it.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|source| NodeError::File {
            path: path.into(),
            source,
        })?;
        Ok(Self(Some(file)))
    }
}

impl Tracer for TraceFile {
    fn note(&mut self, transition: Transition) {
        let Some(file) = &mut self.0 else { return };
        let written = serde_json::to_vec(&transition)
            .map_err(std::io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
        if let Err(error) = written {
            tracing::warn!(%error, "the trace of consensus ends here: its file refused a line");
            self.0 = None;
        }
    }
}
