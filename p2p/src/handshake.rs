//! What a listener makes of a stranger's first bytes, without a socket, so that any input can be tried.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::InboundConnectionUpgrade;
use libp2p::{PeerId, noise};

use crate::identity::Identity;

/// The Noise handshake of our TCP listener with one who says `heard`, whatever it is answered. `None` where no peer
/// proves who it is, as it must be for everybody who does not answer to our part.
pub fn handshake(identity: &Identity, heard: &[u8]) -> Option<PeerId> {
    let config = noise::Config::new(identity.keypair()).ok()?;
    let deaf = Deaf(futures::io::Cursor::new(heard.to_vec()));
    let (peer, _) = futures::executor::block_on(config.upgrade_inbound(deaf, "/noise")).ok()?;
    Some(peer)
}

/// Says what it was made to say, and hears nothing.
struct Deaf(futures::io::Cursor<Vec<u8>>);

impl AsyncRead for Deaf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_anybody_without_answering() {
        let identity = Identity::from_seed([1; 32]);
        for heard in [&[][..], &[0, 0], &[0, 32], &[0xff; 64], &[7; 4096]] {
            assert_eq!(handshake(&identity, heard), None);
        }
    }
}
