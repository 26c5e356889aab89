//! The address that clients know. It belongs to us for as long as we run; rankers come and go
//! behind it, each with a duplicate of the one listening socket.

use std::{io, net::SocketAddr, os::fd::AsFd, os::fd::OwnedFd};

use tokio::net::TcpSocket;

#[derive(Debug, thiserror::Error)]
#[error("listen on {address}: {source}; choose another address with --listen")]
pub struct SocketError {
    address: SocketAddr,
    source: io::Error,
}

/// Reserved from the start, so that a taken port is reported before anything is trained; listening
/// from the first ranker on. Clients then wait in its queue, instead of failing, while a ranker is
/// replaced or restarted; before that they are refused, since nothing could answer.
#[derive(Debug)]
pub struct FrontDoor {
    reserved: Option<TcpSocket>,
    listening: Option<std::net::TcpListener>,
    address: SocketAddr,
}

/// Connections that may wait for a ranker.
const QUEUE: u32 = 1024;

impl FrontDoor {
    pub fn reserve(address: SocketAddr) -> Result<Self, SocketError> {
        let reserve = || -> io::Result<Self> {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            // A restart must not wait for the connections of the last one to fade away.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let address = socket.local_addr()?;
            Ok(Self {
                reserved: Some(socket),
                listening: None,
                address,
            })
        };
        reserve().map_err(|source| SocketError { address, source })
    }

    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A duplicate of the listening socket, to hand to a ranker. Needs a tokio runtime.
    pub fn duplicate(&mut self) -> io::Result<OwnedFd> {
        if let Some(socket) = self.reserved.take() {
            self.listening = Some(socket.listen(QUEUE)?.into_std()?);
        }
        let listener = self
            .listening
            .as_ref()
            .ok_or_else(|| io::Error::other("the address was lost"))?;
        listener.as_fd().try_clone_to_owned()
    }
}

/// An address on the loopback device that is free right now.
pub fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn refuses_until_somebody_can_answer_and_then_queues() {
        let mut door = FrontDoor::reserve(([127, 0, 0, 1], 0).into()).unwrap();
        assert!(TcpStream::connect(door.address()).is_err());
        let duplicate = TcpListener::from(door.duplicate().unwrap());
        let client = TcpStream::connect(door.address()).unwrap();
        drop(duplicate);
        // Whoever gets the next duplicate finds the client still waiting.
        let next = TcpListener::from(door.duplicate().unwrap());
        next.set_nonblocking(false).unwrap();
        assert_eq!(next.accept().unwrap().1, client.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_says_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = FrontDoor::reserve(address).unwrap_err().to_string();
        let wanted = format!(
            "listen on {address}: Address already in use (os error 98); choose another address with --listen"
        );
        assert_eq!(error, wanted);
    }
}
