//! How a request is answered that is not done: a refusal is for the caller, a fault for whoever reads the log.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not done.
#[derive(Debug)]
pub enum NotDone {
    /// The caller can mend it.
    Refused {
        /// 4xx.
        status: StatusCode,
        /// Stable, for programs.
        code: &'static str,
        /// What is wrong.
        what: String,
        /// What would be right.
        remedy: &'static str,
    },
    /// The caller cannot.
    Fault(sqlx::Error),
}

impl NotDone {
    /// A refusal of a value.
    pub fn invalid(code: &'static str, what: String, remedy: &'static str) -> NotDone {
        NotDone::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, code, what, remedy }
    }
}

impl From<sqlx::Error> for NotDone {
    fn from(cause: sqlx::Error) -> NotDone {
        NotDone::Fault(cause)
    }
}

impl From<JsonRejection> for NotDone {
    fn from(rejection: JsonRejection) -> NotDone {
        let remedy = "send JSON such as {\"account\": \"rent\", \"amount_cents\": 1250}";
        NotDone::Refused { status: rejection.status(), code: "body-invalid", what: rejection.body_text(), remedy }
    }
}

impl IntoResponse for NotDone {
    fn into_response(self) -> Response {
        let (status, code, what, remedy) = match self {
            NotDone::Refused { status, code, what, remedy } => (status, code, what, remedy),
            NotDone::Fault(cause) => {
                tracing::error!(%cause, "a request failed and nothing of it was kept");
                let what = "the ledger could not do it and has kept nothing of it".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "fault", what, "see the log of the service for the cause")
            }
        };
        (status, Json(json!({ "code": code, "what": what, "remedy": remedy }))).into_response()
    }
}
