//! What both controllers stand on: calls with deadlines, streams, leadership, events, metrics.

pub mod apply;
pub mod backoff;
pub mod calls;
pub mod context;
pub mod error;
pub mod events;
pub mod http;
pub mod lease;
pub mod metrics;
pub mod reconciler;
pub mod status;
pub mod watch;

pub use apply::Applied;
pub use calls::{Calls, Namespaced};
pub use context::Context;
pub use error::{Class, Error};
