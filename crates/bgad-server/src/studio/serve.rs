//! The studio as a server of its own, for as long as the program runs.

use std::io;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use super::{Project, router};

/// A token that nobody guesses.
pub fn token() -> String {
    // Two identifiers of 74 random bits each; hashed, so that their times do not show.
    let parts = [uuid::Uuid::now_v7(), uuid::Uuid::now_v7()];
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part.as_bytes()));
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Serves the studio at `address` until Ctrl-C or SIGTERM; `ready` learns where it listens, which matters for port 0.
///
/// # Errors
///
/// If the folder cannot be used or the address is taken.
pub fn serve(project: Project, address: SocketAddr, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = router(project)?;
        let listener = TcpListener::bind(address).await?;
        ready(listener.local_addr()?);
        tokio::select! {
            served = axum::serve(listener, router) => served,
            // Every file is whole at every moment, so there is nothing to wait for; training goes on from its checkpoint.
            stopped = stopped() => stopped,
        }
    })?;
    // Threads at work would be waited for otherwise.
    runtime.shutdown_background();
    Ok(())
}

#[cfg(unix)]
async fn stopped() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stopped() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
