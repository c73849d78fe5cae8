//! Bytes on our streams. Lengths are big-endian and checked against the bound before memory is taken.
//!
//! ```text
//! direct:  channel u8 | length u32 | payload      repeated on one long-lived stream
//! fetch:              | length u32 | payload      one request, one answer, a stream each
//! ```

use std::io;
use std::sync::Arc;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::event::Channel;

/// Memory taken ahead of the bytes that arrive, at most.
const READ_AHEAD: usize = 16 * 1024;

/// A direct message to be written. The payload is shared, so a broadcast holds it once.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) channel: Channel,
    pub(crate) bytes: Arc<[u8]>,
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a length of {len} bytes exceeds the bound of {max}")]
    Oversized { len: u32, max: u32 },
    #[error("channel {0} does not exist")]
    Channel(u8),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FrameError {
    /// Whether the peer broke the format, as opposed to a connection that broke.
    pub(crate) fn is_malformed(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// Reads one direct message; `None` where the stream ends between two of them.
pub(crate) async fn read_frame<R>(io: &mut R, max: u32) -> Result<Option<(Channel, Vec<u8>)>, FrameError>
where
    R: AsyncRead + Unpin + Send,
{
    let mut tag = [0];
    if io.read(&mut tag).await? == 0 {
        return Ok(None);
    }
    let channel = match tag {
        [0] => Channel::Consensus,
        [1] => Channel::Control,
        [other] => return Err(FrameError::Channel(other)),
    };
    let bytes = read_bounded(io, max).await?;
    Ok(Some((channel, bytes)))
}

/// What a direct stream gave before it ended.
#[derive(Debug)]
pub struct Frames {
    /// Its messages, in order.
    pub frames: Vec<(Channel, Vec<u8>)>,
    /// Whether it ended because the peer broke the format.
    pub malformed: bool,
}

/// Reads a whole direct stream that carries these bytes, as the connection's reader does, with messages of at most `max`
/// bytes. Here without a socket, so that any input can be tried.
pub fn read_frames(bytes: &[u8], max: u32) -> Frames {
    let mut io = futures::io::Cursor::new(bytes);
    let mut frames = Vec::new();
    loop {
        match futures::executor::block_on(read_frame(&mut io, max)) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => {
                let malformed = false;
                return Frames { frames, malformed };
            }
            Err(error) => {
                let malformed = error.is_malformed();
                return Frames { frames, malformed };
            }
        }
    }
}

/// Writes one direct message without flushing. The length was checked when it was queued.
pub(crate) async fn write_frame<W>(io: &mut W, frame: &Frame) -> io::Result<()>
where
    W: AsyncWrite + Unpin + Send,
{
    let tag = match frame.channel {
        Channel::Consensus => 0,
        Channel::Control => 1,
    };
    io.write_all(&[tag]).await?;
    write_bounded(io, &frame.bytes).await
}

/// Reads a length and that many bytes.
pub(crate) async fn read_bounded<R>(io: &mut R, max: u32) -> Result<Vec<u8>, FrameError>
where
    R: AsyncRead + Unpin + Send,
{
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let len = u32::from_be_bytes(length);
    if len > max {
        return Err(FrameError::Oversized { len, max });
    }
    let expected = usize::try_from(len).map_err(|_| FrameError::Oversized { len, max })?;
    let mut bytes = Vec::with_capacity(expected.min(READ_AHEAD));
    io.take(u64::from(len)).read_to_end(&mut bytes).await?;
    if bytes.len() < expected {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(bytes)
}

/// Writes a length and the bytes, without flushing.
pub(crate) async fn write_bounded<W>(io: &mut W, bytes: &[u8]) -> io::Result<()>
where
    W: AsyncWrite + Unpin + Send,
{
    let len = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    io.write_all(&len.to_be_bytes()).await?;
    io.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    fn read(bytes: &[u8], max: u32) -> Result<Option<(Channel, Vec<u8>)>, FrameError> {
        block_on(read_frame(&mut Cursor::new(bytes), max))
    }

    #[test]
    fn the_format_is_pinned_and_round_trips() {
        let mut wire = Vec::new();
        for (channel, bytes) in [(Channel::Consensus, b"vote".as_slice()), (Channel::Control, b"")] {
            block_on(write_frame(
                &mut wire,
                &Frame {
                    channel,
                    bytes: bytes.into(),
                },
            ))
            .expect("memory");
        }
        assert_eq!(wire, b"\x00\x00\x00\x00\x04vote\x01\x00\x00\x00\x00");
        let mut cursor = Cursor::new(wire);
        let first = block_on(read_frame(&mut cursor, 4)).expect("sound");
        assert_eq!(first, Some((Channel::Consensus, b"vote".to_vec())));
        let second = block_on(read_frame(&mut cursor, 4)).expect("sound");
        assert_eq!(second, Some((Channel::Control, vec![])));
        assert_eq!(block_on(read_frame(&mut cursor, 4)).expect("end"), None);
    }

    #[test]
    fn a_length_bomb_is_refused_by_its_header_alone() {
        let mut cursor = Cursor::new(b"\x00\xff\xff\xff\xffxxxxxxxx".as_slice());
        let refused = block_on(read_frame(&mut cursor, 1 << 20));
        assert!(matches!(
            refused,
            Err(FrameError::Oversized { len: u32::MAX, .. })
        ));
        assert_eq!(cursor.position(), 5, "nothing of the payload was read");
    }

    #[test]
    fn a_promise_of_much_takes_memory_only_as_it_arrives() {
        // 64 MiB promised, 3 bytes sent: the reader ends with the stream, having reserved READ_AHEAD.
        let cut = read(b"\x00\x04\x00\x00\x00abc", 64 << 20);
        assert!(matches!(cut, Err(FrameError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn an_unknown_channel_is_malformed_and_a_cut_is_not() {
        assert!(read(b"\x02\x00\x00\x00\x00", 10).is_err_and(|e| e.is_malformed()));
        for cut in 1..8 {
            assert!(read(&b"\x00\x00\x00\x00\x03abc"[..cut], 10).is_err_and(|e| !e.is_malformed()));
        }
    }
}
