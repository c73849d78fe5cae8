//! The fetch protocol's codec: bounded bytes in, bounded bytes out.

use std::io;

use futures::{AsyncRead, AsyncWrite};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

use crate::frame::{FrameError, read_bounded, write_bounded};

/// Reads at most so many bytes each way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchCodec {
    pub(crate) request_bytes: u32,
    pub(crate) response_bytes: u32,
}

/// A request as it arrived. That it broke its bound is handed on as a value, because the library tells nobody of a
/// request that could not be read, and the peer is to be scored.
#[derive(Debug)]
pub(crate) enum Request {
    Sound(Vec<u8>),
    Malformed(FrameError),
}

/// A broken bound of an answer is `InvalidData`, by which the swarm task tells the peer's fault from the line's.
fn as_io(error: FrameError) -> io::Error {
    match error {
        FrameError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

impl Codec for FetchCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_bounded(io, self.request_bytes).await {
            Ok(bytes) => Ok(Request::Sound(bytes)),
            Err(FrameError::Io(error)) => Err(error),
            Err(error) => Ok(Request::Malformed(error)),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_bounded(io, self.response_bytes).await.map_err(as_io)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            Request::Sound(bytes) => write_bounded(io, &bytes).await,
            Request::Malformed(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_bounded(io, &response).await
    }
}
