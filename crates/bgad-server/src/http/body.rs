//! Bodies of requests, within their limits.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use crate::refusal::Refusal;
use crate::server::{Held, Server};

/// Bytes that a body grows by before more memory is asked for.
const STEP: usize = 1 << 20;

/// A whole body and the memory it holds.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// Given back when the request is answered.
    pub(super) _held: Held,
}

/// Reads a body that may have been compressed; limits count decompressed bytes.
pub(super) async fn receive(server: &Server, request: Request) -> Result<Received, Refusal> {
    let said = request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse().ok());
    let read = read(server, said.unwrap_or(0), request.into_body());
    match tokio::time::timeout(server.limits.arrival, read).await {
        Ok(received) => received,
        Err(_) => {
            let seconds = server.limits.arrival.as_secs();
            Err(Refusal::Slow(format!("the body did not arrive within {seconds} seconds")))
        }
    }
}

async fn read(server: &Server, said: usize, mut body: Body) -> Result<Received, Refusal> {
    let limit = server.limits.body;
    if said > limit {
        return Err(Refusal::TooLarge { limit });
    }
    let mut held = Held::default();
    let mut allowed = said;
    server.hold(&mut held, said)?;
    let mut bytes = BytesMut::with_capacity(said.min(STEP));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::invalid(format!("the body cannot be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        while bytes.len() + data.len() > allowed {
            server.hold(&mut held, STEP)?;
            allowed += STEP;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes: bytes.freeze(), _held: held })
}
