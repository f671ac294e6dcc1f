//! Starting, running and stopping a server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::access::{Access, AccessError};
use crate::http::{app, guard};
use crate::library::{Library, LibraryError, Source};
use crate::listen::{Door, Protocol};
use crate::rpc;
use crate::server::{Limits, Server};
use crate::tls::{Tls, TlsError, TlsFiles};

/// File descriptors of a process where the system does not say.
const FILES: u64 = 1024;

/// What a server is told.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The models.
    pub source: Source,
    /// Address of the HTTP door.
    pub http: SocketAddr,
    /// Address of the gRPC door; `None` for none.
    pub grpc: Option<SocketAddr>,
    /// Worker threads; `None` for one per core.
    pub threads: Option<usize>,
    /// What it takes on at most.
    pub limits: Limits,
    /// Tokens.
    pub access: Access,
    /// Certificates.
    pub tls: Option<TlsFiles>,
    /// Whether an address that others can reach may be open to all.
    pub insecure: bool,
    /// Between two looks for new model files and certificates.
    pub poll: Duration,
    /// Folder of operators' answers; `None` keeps none.
    pub feedback: Option<PathBuf>,
}

/// Why a server did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// There is nothing to serve.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// It would not be safe.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}

/// Where a running server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The HTTP door.
    pub http: SocketAddr,
    /// The gRPC door.
    pub grpc: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT, finishes what is in work and returns. `started` is told once requests are welcome.
///
/// # Errors
///
/// A [`ServeError`] that says why the server did not start.
pub fn serve(options: ServeOptions, started: impl FnOnce(Addresses)) -> Result<(), ServeError> {
    let threads = threads(&options);
    runtime()?.block_on(run_with(options, threads, |_| Ok(Router::new()), started))
}

pub(crate) fn threads(options: &ServeOptions) -> usize {
    options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Sockets need little; the cores are for judging.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, ServeError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("bgad-doors")
        .enable_all()
        .build()
        .map_err(system("cannot start the runtime"))
}

/// Serves; `prepare` may start more beside it, and gives further routes.
pub(crate) async fn run_with(
    options: ServeOptions,
    threads: usize,
    prepare: impl FnOnce(&Arc<Server>) -> Result<Router, ServeError>,
    started: impl FnOnce(Addresses),
) -> Result<(), ServeError> {
    let ServeOptions { http, grpc, tls, mut limits, .. } = options.clone();
    // A connection is a file descriptor; models and records need some as well.
    let files = rlimit::increase_nofile_limit(3 * limits.connections as u64).unwrap_or(FILES);
    limits.connections =
        limits.connections.min(usize::try_from(files / 3).unwrap_or(limits.connections).max(1));
    let mutual = tls.as_ref().is_some_and(|files| files.client_ca.is_some());
    for address in [Some(http), grpc].into_iter().flatten() {
        options.access.check(address, mutual, options.insecure)?;
    }
    let mut access = options.access;
    let loopback = http.ip().is_loopback() && grpc.is_none_or(|address| address.ip().is_loopback());
    access.local = loopback && access.token.is_none();
    let open_tls = |protocol: Protocol| {
        tls.clone().map(|files| Tls::open(files, protocol.alpn()).map(Arc::new)).transpose()
    };
    let (http_tls, grpc_tls) = (open_tls(Protocol::Http)?, open_tls(Protocol::Grpc)?);

    // SIGTERM may come while models are still being opened.
    let mut terminate = signal(SignalKind::terminate()).map_err(system("cannot listen for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("cannot listen for SIGINT"))?;
    let library = tokio::task::block_in_place(|| Library::open(options.source))?;
    let server = Server::new(library, threads, limits, access).map_err(system("cannot start the workers"))?;
    let server = match options.feedback {
        Some(folder) => server.with_feedback(folder).map_err(system("cannot make the feedback folder"))?,
        None => server,
    };
    let server = Arc::new(server);

    let (stop, stopped) = watch::channel(false);
    let mut doors = tokio::task::JoinSet::new();
    let listener = bind(http).await?;
    let mut addresses = Addresses { http: local(&listener)?, grpc: None };
    let routes = app(Arc::clone(&server));
    let routes = routes.merge(guard(Arc::clone(&server), prepare(&server)?));
    let door = Door { listener, protocol: Protocol::Http, routes, tls: http_tls.clone(), limits };
    doors.spawn(door.serve(stopped.clone()));
    if let Some(address) = grpc {
        let listener = bind(address).await?;
        addresses.grpc = Some(local(&listener)?);
        let routes = rpc::routes(Arc::clone(&server)).await;
        let door = Door { listener, protocol: Protocol::Grpc, routes, tls: grpc_tls.clone(), limits };
        doors.spawn(door.serve(stopped.clone()));
    }
    let following = follow(Arc::clone(&server), vec![http_tls, grpc_tls], options.poll);
    let following = tokio::spawn(following);
    tracing::info!(http = %addresses.http, grpc = ?addresses.grpc, threads, "serving");
    started(addresses);

    tokio::select! {
        _ = terminate.recv() => {},
        _ = interrupt.recv() => {},
    }
    tracing::info!("stopping: finishing what is in work");
    server.stop();
    following.abort();
    // Nobody waits for this channel's readers to be gone.
    let _ = stop.send(true);
    doors.join_all().await;
    tokio::task::block_in_place(|| server.workers.finish());
    Ok(())
}

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

pub(crate) fn local(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(system("a listener has no address"))
}

/// Looks for new model files and certificates again and again.
async fn follow(server: Arc<Server>, tls: Vec<Option<Arc<Tls>>>, poll: Duration) {
    loop {
        tokio::time::sleep(poll).await;
        let (server, tls) = (Arc::clone(&server), tls.clone());
        let looked = tokio::task::spawn_blocking(move || {
            tls.iter().flatten().for_each(|tls| tls.refresh());
            // A version that is refused was logged; the others serve.
            if let Err(error) = server.library.scan() {
                server.metrics.fault("repository");
                tracing::error!(%error, "the model repository cannot be read; what serves goes on");
            }
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "looking for new models failed");
        }
    }
}
