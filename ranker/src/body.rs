//! Reads request bodies into one budget of memory.
//!
//! Bodies are in memory before the pool decides about them, so their number has a bound of its own:
//! what is read at one time, or waits for its ranking, is never more than [`BUDGET`] bytes. It
//! counts bytes, not requests: thousands of usual requests of some ten kilobytes fit, and sixteen of
//! the largest. (A buffer whose body came without a length grows by doubling, so it may have room
//! for twice the bytes in it.)

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::EXPECT};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, Kind};

/// Bytes of all bodies together; or of one, where a single one may be larger.
const BUDGET: usize = 128 << 20;
/// Bytes of a body that is too large that are still read, and thrown away: most clients write the
/// whole body before they read an answer, and would see a broken pipe instead of ours.
const DISCARD_FACTOR: usize = 4;

/// All bodies that are in memory.
pub struct Bodies {
    limit: usize,
    budget: Arc<Semaphore>,
}

/// A whole body, and its share of the budget for as long as it is kept.
pub struct Held {
    pub bytes: Bytes,
    pub share: OwnedSemaphorePermit,
}

impl Bodies {
    /// Bodies of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self::within(limit, BUDGET)
    }

    fn within(limit: usize, budget: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            limit,
            budget: Arc::new(Semaphore::new(budget.max(limit))),
        }
    }

    /// The whole body, if it and the budget have room for it. What a body announces is set aside
    /// before anything is read; what comes without being announced is set aside as it comes.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Held, ApiError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        // A client that asks first is told before it sends anything.
        let asks = headers.contains_key(EXPECT);
        if announced > self.limit {
            return Err(self.too_large(&mut body, asks).await);
        }
        let Some(mut share) = self.share(announced) else {
            if !asks {
                discard(&mut body, self.limit).await;
            }
            return Err(full());
        };
        let mut bytes = BytesMut::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                ApiError::new(
                    Kind::InvalidJson,
                    "the body ended before its announced length",
                )
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > self.limit {
                return Err(self.too_large(&mut body, false).await);
            }
            let more = length.saturating_sub(share.num_permits());
            share.merge(self.share(more).ok_or_else(full)?);
            bytes.extend_from_slice(&data);
        }
        let bytes = bytes.freeze();
        Ok(Held { bytes, share })
    }

    fn share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.budget).try_acquire_many_owned(bytes).ok()
    }

    async fn too_large(&self, body: &mut Body, asks: bool) -> ApiError {
        if !asks {
            discard(body, self.limit.saturating_mul(DISCARD_FACTOR)).await;
        }
        ApiError::new(
            Kind::BodyTooLarge,
            format!("the body is larger than {} bytes", self.limit),
        )
    }
}

fn full() -> ApiError {
    ApiError::new(
        Kind::Overloaded,
        "too many requests are being read, try again",
    )
}

async fn discard(body: &mut Body, mut rest: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        match rest.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(left) => rest = left,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::body::Frame;
    use tokio::sync::mpsc;

    use super::*;

    const LIMIT: usize = 100;

    /// A body of unknown length whose frames come from a channel.
    struct Chunked(mpsc::UnboundedReceiver<Bytes>);

    impl hyper::body::Body for Chunked {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0
                .poll_recv(cx)
                .map(|data| data.map(|data| Ok(Frame::data(data))))
        }
    }

    fn chunked(frames: &[usize]) -> Body {
        let (send, frames_sent) = mpsc::unbounded_channel();
        for length in frames {
            send.send(Bytes::from(vec![b'x'; *length])).unwrap();
        }
        Body::new(Chunked(frames_sent))
    }

    fn announced(length: usize) -> Body {
        Body::from(vec![b'x'; length])
    }

    async fn read(bodies: &Bodies, body: Body) -> Result<Held, Kind> {
        let read = bodies.read(&HeaderMap::new(), body).await;
        read.map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn bodies_share_a_budget_for_as_long_as_they_are_kept() {
        let bodies = Bodies::within(LIMIT, 250);
        let first = read(&bodies, announced(100)).await.unwrap();
        let second = read(&bodies, chunked(&[60, 40])).await.unwrap();
        assert_eq!((first.bytes.len(), second.bytes.len()), (100, 100));
        assert_eq!(bodies.budget.available_permits(), 50);

        for too_much in [announced(51), chunked(&[50, 1])] {
            assert_eq!(read(&bodies, too_much).await.err(), Some(Kind::Overloaded));
            assert_eq!(bodies.budget.available_permits(), 50, "nothing is lost");
        }
        read(&bodies, announced(50)).await.unwrap();
        drop(first);
        read(&bodies, announced(100)).await.unwrap();
        drop(second);
        assert_eq!(bodies.budget.available_permits(), 250);
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_takes_nothing_with_it() {
        let bodies = Bodies::within(LIMIT, 10);
        for body in [announced(101), chunked(&[60, 41]), announced(10_000)] {
            assert_eq!(read(&bodies, body).await.err(), Some(Kind::BodyTooLarge));
            assert_eq!(bodies.budget.available_permits(), LIMIT);
        }
        // One of the largest has room even where the budget is smaller.
        read(&bodies, announced(LIMIT)).await.unwrap();
    }
}
