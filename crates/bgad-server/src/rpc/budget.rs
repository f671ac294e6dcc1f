//! Bodies of calls take from the server's memory while they arrive.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tonic::Status;

use crate::server::{Held, Server};

struct Counted {
    body: Body,
    server: Arc<Server>,
    held: Held,
}

impl HttpBody for Counted {
    type Data = Bytes;
    // tonic finds its own status again, so that the client sees why.
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Counted { body, server, held } = &mut *self;
        let Some(frame) = ready!(Pin::new(body).poll_frame(context)?) else { return Poll::Ready(None) };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(match server.hold(held, bytes) {
            Ok(()) => Ok(frame),
            Err(refusal) => {
                server.metrics.rejected(refusal.reason());
                Err(Status::from(refusal).into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pub(super) async fn count(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(Counted { body, server, held: Held::default() }))).await
}
