//! Accepting connections, for HTTP/1 and for HTTP/2 alike.
//!
//! A connection costs a task and no thread. What is quiet, or sends its head or its TLS handshake too slowly, is closed;
//! beyond the limit of connections new ones wait in the system's queue.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::server::Limits;
use crate::tls::{Tls, handshake};

/// Between two pings on a quiet HTTP/2 connection. An answer counts as a sign of life.
const PING: Duration = Duration::from_secs(10);
/// HTTP/2 frames of one stream and of one connection that are on their way at a time, bytes.
const WINDOW: u32 = 1 << 20;
/// After an error of accept, for instance when no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// Which protocol a door speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2, for gRPC.
    Grpc,
}

impl Protocol {
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Protocol::Http => b"http/1.1",
            Protocol::Grpc => b"h2",
        }
    }
}

/// A door: where, what, how secured.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) protocol: Protocol,
    pub(crate) routes: Router,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) limits: Limits,
}

impl Door {
    /// Serves until told to stop, then lets the requests in work finish for as long as the limits allow.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&room) => accepted,
                _ = stop.wait_for(|&stop| stop) => break,
            };
            match accepted {
                Ok((stream, _, permit)) => self.spawn(stream, permit, graceful.watcher()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        // Whoever connects from now on is refused by the system.
        drop(self.listener);
        if tokio::time::timeout(self.limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were cut off: they did not finish in time");
        }
    }

    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, from) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, from, permit))
    }

    fn spawn(&self, stream: TcpStream, permit: OwnedSemaphorePermit, watcher: Watcher) {
        let (protocol, limits) = (self.protocol, self.limits);
        let routes = self.routes.clone();
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
        tokio::spawn(async move {
            let _permit = permit;
            let result = match acceptor {
                None => connection(protocol, stream, routes, limits, watcher).await,
                Some(acceptor) => {
                    match tokio::time::timeout(limits.head, handshake(acceptor, stream)).await {
                        Ok(Ok(stream)) => connection(protocol, stream, routes, limits, watcher).await,
                        Ok(Err(error)) => Err(error.into()),
                        Err(_) => Err("the TLS handshake took too long".into()),
                    }
                }
            };
            if let Err(error) = result {
                tracing::debug!(error, "a connection ended");
            }
        });
    }
}

async fn connection(
    protocol: Protocol,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    routes: Router,
    limits: Limits,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut stream = TimeoutStream::new(stream);
    // A client that does not read its answer holds no more than its connection, and that not for ever.
    stream.set_write_timeout(Some(limits.arrival));
    if protocol == Protocol::Grpc {
        stream.set_read_timeout(Some(limits.head.max(2 * PING)));
    }
    let io = TokioIo::new(Box::pin(stream));
    let service = TowerToHyperService::new(
        routes.map_request(|request: hyper::Request<Incoming>| request.map(Body::new)),
    );
    match protocol {
        Protocol::Http => {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_headers(64);
            watcher.watch(http.serve_connection(io, service)).await?;
        }
        Protocol::Grpc => {
            let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_concurrent_streams(256)
                .max_header_list_size(16 << 10);
            watcher.watch(http.serve_connection(io, service)).await?;
        }
    }
    Ok(())
}
