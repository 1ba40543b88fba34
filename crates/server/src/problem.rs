//! What can go wrong on the way of a command: a refusal for people, a no of admission, or a fault of ours.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidegate_api::Problem;
use tidegate_domain::admission::Reason;
use tidegate_domain::{Code, Refusal};
use tidegate_store::CommitError;

/// A fault: ours, with a cause, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault in our words.
    pub fn new(what: impl Into<String>) -> Fault {
        Fault(what.into())
    }

    /// The fault as the reason why not.
    pub fn into_no(self) -> No {
        No::Fault(self)
    }

    /// A fault of the disk.
    pub fn io(path: &std::path::Path, error: std::io::Error) -> Fault {
        Fault(format!("{}: {error}", path.display()))
    }
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum No {
    /// For people.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Admission's no, with every reason.
    #[error("not admitted for {} reasons", .0.len())]
    NotAdmitted(Vec<Reason>),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<tidegate_store::Fault> for No {
    fn from(fault: tidegate_store::Fault) -> No {
        match fault.refusal() {
            Some(refusal) => No::Refused(refusal),
            None => No::Fault(Fault(fault.to_string())),
        }
    }
}

impl From<CommitError> for No {
    fn from(error: CommitError) -> No {
        match error {
            CommitError::Fence { stream, .. } => No::Refused(Refusal::new(
                Code::Contended,
                format!("{stream} was changed by somebody else meanwhile"),
                "look at it again and repeat",
            )),
            CommitError::KeyTaken { .. } => No::Refused(Refusal::new(
                Code::IdempotencyConflict,
                "the idempotency key was used by another request at the same moment",
                "repeat the request to get its answer",
            )),
            CommitError::Stopped => No::Fault(Fault::new("commits are stopped by fault injection")),
            CommitError::Fault(fault) => fault.into(),
        }
    }
}

impl No {
    /// The problem on the wire. A fault is logged here, once, and told without its cause.
    pub fn problem(&self) -> Problem {
        match self {
            No::Refused(refusal) => Problem::of(refusal),
            No::NotAdmitted(reasons) => Problem::not_admitted(reasons.clone()),
            No::Fault(fault) => {
                tracing::error!(cause = %fault, "a request failed by a fault of ours");
                let refusal =
                    Refusal::new(Code::Fault, "something went wrong on the server", "try again; the server's log has the cause");
                Problem::of(&refusal)
            }
        }
    }
}

/// A problem as an answer of the API.
pub fn response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    come_back(&mut response);
    // Carried along so that the request's id can be put in where it is known; see `answer`.
    response.extensions_mut().insert(problem.clone());
    response
}

/// Seconds after which to come back where nobody knows better.
const COME_BACK_SECONDS: &str = "2";

/// Says when to come back, where it is worth while.
pub fn come_back(response: &mut Response) {
    if matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static(COME_BACK_SECONDS));
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        response(&self.problem())
    }
}
