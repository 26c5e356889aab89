use std::{io, net::SocketAddr};

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

use crate::server::BACKLOG;

/// Where the rank port's socket came from, which decides how it begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Ours alone. Clients that come too early or late find nobody, so it is open from the start and
    /// as long as traffic may still be sent here.
    Bound,
    /// Passed to us (LISTEN_FDS=1), perhaps to others as well. Whoever accepts must be able to answer,
    /// and connections that we leave alone are taken by another or wait.
    Inherited,
}

/// The inherited socket if there is one, else a new one at `address`.
pub fn rank_listener(address: SocketAddr) -> io::Result<(TcpListener, Origin)> {
    match ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            Ok((TcpListener::from_std(listener)?, Origin::Inherited))
        }
        None => Ok((bind(address)?, Origin::Bound)),
    }
}

/// Listens at `address`.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
