//! A suite that runs, and how it ends.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use dunghan_rpc::{Issuer, Peer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::Health;
use crate::starting::Databases;

/// A suite that listens and answers. Before it is [`ready`](Self::ready) it answers that it is not.
#[derive(Debug)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where `/metrics` and `/health` are, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Where the feeds of services are, if anywhere: with none, nothing listens there once it is ready.
    pub feeds: Option<SocketAddr>,
    /// Whose tokens hold.
    pub issuer: Issuer,
    pub(crate) stack: Peer,
    pub(crate) stopping: CancellationToken,
    pub(crate) draining: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(crate) databases: Databases,
    /// None once it was waited for.
    pub(crate) starting: Option<JoinHandle<anyhow::Result<()>>>,
    pub(crate) serving: JoinHandle<Result<(), tonic::transport::Error>>,
    pub(crate) health: Health,
    pub(crate) drain_limit: Duration,
}

impl Started {
    /// Waits until all services have started, however long their databases are away.
    ///
    /// Errors: what waiting does not mend, for example a password that does not hold.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let Some(starting) = &mut self.starting else { return Ok(()) };
        let ended = starting.await;
        self.starting = None;
        ended?
    }

    /// The services without a socket between; calls still need a token.
    pub fn in_process(&self) -> Peer {
        self.stack.clone()
    }

    /// Stops in the written order: not serving, streams and jobs end, calls under way get a limited time.
    pub async fn stop(self) -> anyhow::Result<()> {
        let limit_s = self.drain_limit.as_secs();
        tracing::info!(limit_s, "stopping: calls under way have {limit_s} s at most");
        // First, so that nobody is sent here any more; then no new connection is taken.
        self.health.stop().await;
        self.stopping.cancel();
        self.draining.cancel();
        self.tracker.close();
        // One stream that never ends would hold the drain for ever.
        let ended = tokio::time::timeout(self.drain_limit, async {
            if let Some(starting) = self.starting {
                // Not ready is what it was; why, nobody asked.
                let _ = starting.await;
            }
            self.tracker.wait().await;
            let served = self.serving.await;
            let databases =
                std::mem::take(&mut *self.databases.lock().unwrap_or_else(PoisonError::into_inner));
            for database in databases {
                if let Err(error) = database.close().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a database did not close"
                    );
                }
            }
            served
        });
        match ended.await {
            Ok(served) => {
                served??;
                tracing::info!("stopped");
            }
            Err(_) => {
                tracing::warn!(limit_s, "stopped, and calls were cut off: they took too long");
            }
        }
        Ok(())
    }
}

/// Waits for SIGINT or SIGTERM. A second one ends the process at once.
pub async fn stopped_by_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(())
}
