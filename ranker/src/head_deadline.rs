//! Closes a connection on which the head of a request takes too long.
//!
//! hyper's own timeout for heads runs while a kept-alive connection is idle, too. One number for
//! both is wrong: heads should arrive within seconds, but a proxy keeps connections idle for minutes
//! and must not find them closed just when it sends. So hyper's timeout bounds idleness, and this
//! stream bounds heads.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// How far a connection is, shared by its stream and its service: even while a head is awaited, odd
/// while a request is answered. Counting instead of flagging tells the stream of a request that came
/// and went between two reads.
#[derive(Clone, Debug, Default)]
pub struct Exchanges(Arc<AtomicU64>);

impl Exchanges {
    /// The head is complete. Until the guard goes, bytes that arrive belong to the body.
    pub fn begin(&self) -> Exchange {
        self.0.fetch_add(1, Ordering::Relaxed);
        Exchange(Arc::clone(&self.0))
    }
}

/// A request that is being answered.
pub struct Exchange(Arc<AtomicU64>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream whose reads fail with [`io::ErrorKind::TimedOut`] when a head is begun and not ended
/// within `limit`. The first head begins with the connection, a later one with its first byte.
pub struct HeadDeadline<S> {
    stream: S,
    exchanges: Exchanges,
    seen: u64,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    running: bool,
}

impl<S> HeadDeadline<S> {
    pub fn new(stream: S, exchanges: Exchanges, limit: Duration) -> Self {
        let timer = Box::pin(sleep(limit));
        Self {
            stream,
            exchanges,
            seen: 0,
            limit,
            timer,
            running: true,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer)?;
        let now = this.exchanges.0.load(Ordering::Relaxed);
        if now != this.seen {
            this.seen = now;
            this.running = false;
        }
        if now % 2 == 1 {
            return read.map(Ok);
        }
        if read.is_ready() && buffer.filled().len() > before && !this.running {
            this.timer.as_mut().reset(Instant::now() + this.limit);
            this.running = true;
        }
        if read.is_pending() && this.running {
            ready!(this.timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read.map(Ok)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadDeadline<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_millis(150);

    fn pair() -> (DuplexStream, HeadDeadline<DuplexStream>, Exchanges) {
        let (client, server) = duplex(1024);
        let exchanges = Exchanges::default();
        (
            client,
            HeadDeadline::new(server, exchanges.clone(), LIMIT),
            exchanges,
        )
    }

    /// Reads until the time is over; returns when that was.
    async fn times_out(stream: &mut HeadDeadline<DuplexStream>) -> Instant {
        loop {
            if let Err(error) = stream.read_u8().await {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return Instant::now();
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_closed() {
        let begin = Instant::now();
        let (_client, mut stream, _) = pair();
        assert!(times_out(&mut stream).await - begin >= LIMIT);
    }

    #[tokio::test]
    async fn bytes_that_drip_do_not_extend_the_time() {
        let begin = Instant::now();
        let (mut client, mut stream, _) = pair();
        let drip = tokio::spawn(async move {
            for _ in 0..200 {
                client.write_u8(b'x').await.unwrap();
                sleep(LIMIT / 10).await;
            }
        });
        assert!(times_out(&mut stream).await - begin >= LIMIT);
        assert!(!drip.is_finished());
    }

    #[tokio::test]
    async fn idle_connections_and_slow_bodies_have_other_limits() {
        let (mut client, mut stream, exchanges) = pair();
        client.write_u8(b'h').await.unwrap();
        stream.read_u8().await.unwrap();
        let exchange = exchanges.begin();
        timeout(3 * LIMIT, stream.read_u8()).await.unwrap_err();
        drop(exchange);
        timeout(3 * LIMIT, stream.read_u8()).await.unwrap_err();

        // Answered without a read between: the old head's time is over, too.
        drop(exchanges.begin());
        timeout(3 * LIMIT, stream.read_u8()).await.unwrap_err();

        let begin = Instant::now();
        client.write_u8(b'h').await.unwrap();
        assert!(times_out(&mut stream).await - begin >= LIMIT);
    }
}
