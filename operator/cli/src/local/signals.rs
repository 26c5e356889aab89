//! How somebody says stop.

use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
};

use super::LocalError;

#[derive(Clone, Copy, Debug)]
pub enum Stop {
    Interrupt,
    Terminate,
}

pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, LocalError> {
        let listen = |kind| signal(kind).map_err(LocalError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    pub async fn next(&mut self) -> Stop {
        select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}
