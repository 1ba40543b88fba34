//! What all answers to programs have in common, whatever made them: a no is a problem with a stable code, and it names its
//! request.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tidegate_api::Problem;
use tidegate_domain::{Code, Refusal, ids};

use crate::problem;

/// The header that carries a request's id.
const REQUEST_ID: &str = "x-request-id";

/// Whether what is below a path speaks to programs, and not to people.
pub fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/agent/")
}

/// The code of a no, carried by its answer to whoever counts and logs.
#[derive(Debug, Clone, Copy)]
pub struct Said(pub Code);

/// Completes a problem; makes one where something answered without words.
pub async fn complete(request: Request, next: Next) -> Response {
    let id = id(request.headers());
    let programs = is_for_programs(request.uri().path());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => replace(response, Problem { request: id, ..problem }),
        None if programs && is_no(response.status()) => {
            let problem = wordless(response.status());
            replace(response, Problem { request: id, ..problem })
        }
        None => {
            problem::come_back(&mut response);
            response
        }
    }
}

fn id(headers: &HeaderMap) -> Option<String> {
    headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).map(ids::clip)
}

fn is_no(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The problem in place of the body; other headers, such as `Allow`, stay.
fn replace(response: Response, problem: Problem) -> Response {
    let (mut parts, _) = response.into_parts();
    let (made, body) = problem::response(&problem).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    // Whoever knew better when to come back has said so already.
    let retry_after = parts.headers.remove(header::RETRY_AFTER);
    parts.headers.extend(made.headers);
    if let Some(value) = retry_after {
        parts.headers.insert(header::RETRY_AFTER, value);
    }
    parts.extensions.insert(Said(problem.code));
    Response::from_parts(parts, body)
}

/// What the framework says with a number alone.
fn wordless(status: StatusCode) -> Problem {
    let see = "see /api/openapi.json";
    let refusal = match status {
        StatusCode::NOT_FOUND => Refusal::new(Code::NotFound, "there is no such address", see),
        StatusCode::METHOD_NOT_ALLOWED => Refusal::new(Code::NotFound, "this address does not take that method", see),
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(Code::TooLarge, "the body is too large", "send less, or in parts"),
        StatusCode::SERVICE_UNAVAILABLE => Refusal::new(Code::Overloaded, "the answer took too long", "try again later"),
        status if status.is_server_error() => Refusal::new(Code::Fault, "something went wrong on the server", "try again"),
        _ => Refusal::new(Code::Malformed, "the request cannot be read", see),
    };
    Problem { status: status.as_u16(), ..Problem::of(&refusal) }
}
