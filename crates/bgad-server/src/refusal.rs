//! Why a request is not answered, in the words of HTTP and of gRPC.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::{Code, Status};

/// Clients are told to come back after this time when a queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that was not answered, and what the client can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request is malformed: sending it again will not help.
    #[error("{0}")]
    Invalid(String),
    /// There is no such model, version or path.
    #[error("{0}")]
    NotFound(String),
    /// No token, or a wrong one.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The answer does not exist in a form that the client accepts.
    #[error("{0}")]
    NotAcceptable(String),
    /// The body did not arrive in time.
    #[error("{0}")]
    Slow(String),
    /// The body is larger than the limit.
    #[error("the request is larger than {limit} bytes: send fewer or smaller images, or raise --body-limit")]
    TooLarge {
        /// Largest body allowed, bytes.
        limit: usize,
    },
    /// The server has too much to do, or is about to stop.
    #[error("{0}")]
    Busy(Busy),
    /// The server failed.
    #[error("{0}")]
    Internal(String),
}

/// What there is too much of, or too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("the queue of the model is full")]
    Queue,
    #[error("the server holds as many requests as its memory allows")]
    Memory,
    #[error("the request waited longer than the deadline")]
    Deadline,
    #[error("no model judges at present")]
    NoModel,
    #[error("the line judges another part, or judges parts as they come")]
    Line,
}

impl Busy {
    fn reason(self) -> &'static str {
        match self {
            Busy::Queue => "queue",
            Busy::Memory => "memory",
            Busy::Deadline => "deadline",
            Busy::NoModel => "no_model",
            Busy::Line => "line",
        }
    }
}

impl Refusal {
    pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::Invalid(message.into())
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
            Refusal::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Refusal::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A word for the label `reason` of a metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refusal::Invalid(_) => "invalid",
            Refusal::NotFound(_) => "not_found",
            Refusal::Unauthenticated(_) | Refusal::Forbidden(_) => "access",
            Refusal::NotAcceptable(_) => "not_acceptable",
            Refusal::Slow(_) => "slow_client",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::Busy(busy) => busy.reason(),
            Refusal::Internal(_) => "internal",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        error_response(self.status(), &self.to_string())
    }
}

/// `{"error": message}`. Clients parse it only if the type is exactly `application/json`.
pub(crate) fn error_response(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": message }).to_string();
    let json = HeaderValue::from_static("application/json");
    let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let code = match &refusal {
            Refusal::Invalid(_) | Refusal::NotAcceptable(_) => Code::InvalidArgument,
            Refusal::NotFound(_) => Code::NotFound,
            Refusal::Unauthenticated(_) => Code::Unauthenticated,
            Refusal::Forbidden(_) => Code::PermissionDenied,
            Refusal::Slow(_) => Code::DeadlineExceeded,
            Refusal::TooLarge { .. } => Code::ResourceExhausted,
            Refusal::Busy(_) => Code::Unavailable,
            Refusal::Internal(_) => Code::Internal,
        };
        Status::new(code, refusal.to_string())
    }
}
