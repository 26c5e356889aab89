use std::{convert::Infallible, future::Future, io, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    pin, select,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::head_deadline::{Exchanges, HeadDeadline};

/// An idle connection is kept longer than load balancers and clients keep theirs (60 and 90 seconds
/// are usual), so that it is they who close, never we while a request is on its way.
const IDLE: Duration = Duration::from_secs(120);
/// Room for a request's head; more is answered with 431.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Open connections of a port: several for each client of a large shop. A head that never ends is
/// all that a connection can keep in memory, so together they keep 128 MiB at most.
pub const MAX_CONNECTIONS: usize = 2048;
/// Connections that the kernel holds for us at most.
pub const BACKLOG: u32 = 1024;
/// Pause after a failed accept: most often a lack of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers HTTP/1.1 on one listening socket.
pub struct Server {
    pub listener: TcpListener,
    pub router: Router,
    /// Plain HTTP where absent.
    pub tls: Option<TlsAcceptor>,
    /// As many are open at the same time; more wait in the backlog until one ends, where a process
    /// that shares the socket may take them.
    pub max_connections: usize,
    /// Time for the head of a request to arrive.
    pub head_timeout: Duration,
}

/// How a server ends once it is told to.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// After the last accept: how long open connections may go on with new requests. They are kept
    /// for as long as it takes them to see `Connection: close` in an answer, idle ones included.
    pub linger: Duration,
    /// After that: how long requests that have begun may take.
    pub grace: Duration,
}

impl Server {
    /// Accepts until `stop` is done, then ends as `ending` says. Returns when no connection is left.
    pub async fn run(self, stop: impl Future<Output = ()>, ending: Ending) {
        let (closing, _) = watch::channel(false);
        let mut connections = JoinSet::new();
        pin!(stop);
        loop {
            select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < self.max_connections => match accepted {
                    Ok((stream, _)) => self.connect(stream, &closing, &mut connections),
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        warn!(%error, "cannot accept connections");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        self.take_waiting(&closing, &mut connections).await;
        drop(self);
        let deadline = Instant::now() + ending.linger;
        let _ = timeout_at(deadline, finish(&mut connections)).await;
        closing.send_replace(true);
        if timeout(ending.grace, finish(&mut connections))
            .await
            .is_err()
        {
            warn!(
                connections = connections.len(),
                "requests did not end in time"
            );
        }
    }

    /// Clients whose connections the kernel has already made must not see them reset.
    async fn take_waiting(&self, closing: &watch::Sender<bool>, connections: &mut JoinSet<()>) {
        for _ in 0..BACKLOG {
            match timeout(Duration::ZERO, self.listener.accept()).await {
                Ok(Ok((stream, _))) => self.connect(stream, closing, connections),
                _ => break,
            }
        }
    }

    fn connect(
        &self,
        stream: TcpStream,
        closing: &watch::Sender<bool>,
        connections: &mut JoinSet<()>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let (router, closing) = (self.router.clone(), closing.subscribe());
        let (tls, head_timeout) = (self.tls.clone(), self.head_timeout);
        connections.spawn(async move {
            match tls {
                None => talk(stream, router, head_timeout, closing).await,
                Some(tls) => match shake_hands(&tls, stream, head_timeout).await {
                    Ok(stream) => talk(stream, router, head_timeout, closing).await,
                    Err(error) => debug!(%error, "no TLS connection"),
                },
            }
        });
    }
}

async fn shake_hands(
    tls: &TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> io::Result<TlsStream<TcpStream>> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(limit, tls.accept(stream)).await.map_err(late)?
}

async fn finish(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// One connection, from accept to close.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    head_timeout: Duration,
    mut closing: watch::Receiver<bool>,
) {
    let exchanges = Exchanges::default();
    let stream = HeadDeadline::new(stream, exchanges.clone(), head_timeout);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let exchange = exchanges.begin();
        // A Router is always ready and never fails.
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let response: Result<_, Infallible> = answer.await;
            drop(exchange);
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    pin!(connection);
    let ended = select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone has ended, too.
    let _ = closing.wait_for(|closing| *closing).await;
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::oneshot,
    };

    use super::*;

    async fn ask(stream: &mut TcpStream) {
        let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
        stream.write_all(request).await.unwrap();
    }

    async fn answered(stream: &mut TcpStream) {
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn connections_beyond_the_most_wait_until_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server {
            listener,
            router: Router::new().route("/", get(|| async { "ok" })),
            tls: None,
            max_connections: 2,
            head_timeout: Duration::from_secs(60),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let ending = Ending {
            linger: Duration::ZERO,
            grace: Duration::from_secs(5),
        };
        let stopped = async { drop(stopped.await) };
        let served = tokio::spawn(server.run(stopped, ending));

        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            ask(&mut stream).await;
            answered(&mut stream).await;
            open.push(stream);
        }
        let mut third = TcpStream::connect(address).await.unwrap();
        ask(&mut third).await;
        let early = timeout(Duration::from_millis(300), answered(&mut third)).await;
        assert!(early.is_err(), "a third connection was taken");
        open.pop();
        timeout(Duration::from_secs(20), answered(&mut third))
            .await
            .unwrap();
        stop.send(()).unwrap();
        served.await.unwrap();
    }
}
