//! Answers other than a thumbnail: a status for each way in which a request can fail.

use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use offspring::{ErrorKind, JoinError, JoinErrorKind, Report, TrySubmitError};

/// A status, and the reason as text.
pub(crate) struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// Returns the answer to a request that may succeed later.
    pub(crate) fn busy(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.reason)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// The upload: too large, or cut off.
impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// The job was not taken.
impl<T> From<TrySubmitError<T>> for Refusal {
    fn from(error: TrySubmitError<T>) -> Self {
        Self::busy(error.to_string())
    }
}

/// The task has returned an error of the decoder.
impl From<Report> for Refusal {
    fn from(report: Report) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, report.to_string())
    }
}

/// The task has not returned.
impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        let status = match error.kind() {
            // The picture has ended its worker. A worker that was killed from outside got a second run.
            JoinErrorKind::Panicked(_)
            | JoinErrorKind::Exited(_)
            | JoinErrorKind::Signaled(_)
            | JoinErrorKind::Poisoned { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            JoinErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            // The load of the service, or its end.
            JoinErrorKind::Expired | JoinErrorKind::PoolClosed | JoinErrorKind::DescriptorsLost => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            // No worker could be had for want of descriptors or processes. The pool tries again.
            JoinErrorKind::NotStarted(error) if error.kind() == ErrorKind::LimitReached => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        eprintln!("{status}: {error}"); // with task and process id, which are not for the client
        Self::new(status, format!("the task {}", error.kind()))
    }
}
