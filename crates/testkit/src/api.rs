//! The API as a test speaks it: JSON in, status and JSON out.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// The API, as somebody.
#[derive(Debug, Clone)]
pub struct Api {
    /// The server's address.
    pub base: String,
    /// Their token.
    pub token: String,
    http: reqwest::Client,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; a string where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The body of an answer that must be good.
    ///
    /// # Panics
    ///
    /// If it is not; with the answer.
    #[track_caller]
    pub fn good(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }

    /// The whole of an answer that must be a problem: status, code, title, place and remedy, as a line for people.
    ///
    /// # Panics
    ///
    /// If it is good, or is no whole problem.
    #[track_caller]
    pub fn problem(&self) -> String {
        let refused = self.refused();
        let kind = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        let text = |name: &str| self.body[name].as_str().filter(|text| !text.is_empty());
        let (title, remedy) = (text("title"), text("remedy"));
        assert!(title.is_some() && remedy.is_some() && text("request").is_some() && text("type").is_some(), "{}", self.body);
        let place = text("place").map(|place| format!(" at {place}")).unwrap_or_default();
        format!("{refused}: {}{place}; {}", title.unwrap_or_default(), remedy.unwrap_or_default())
    }

    /// The code of an answer that must be a problem: `"409 not_admitted"`.
    ///
    /// # Panics
    ///
    /// If it is good.
    #[track_caller]
    pub fn refused(&self) -> String {
        assert!(!self.status.is_success(), "{} {}", self.status, self.body);
        format!("{} {}", self.status.as_u16(), self.body["code"].as_str().unwrap_or("without a code"))
    }
}

impl Api {
    /// The API at an address, with a token.
    pub fn new(base: String, token: String) -> Api {
        Api { base, token, http: reqwest::Client::new() }
    }

    /// The same API as somebody else.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Api {
        Api { token: token.to_owned(), ..self.clone() }
    }

    /// Asks.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Commands.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Commands with a key under which the answer is remembered.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Answer {
        self.send(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// How many events there are.
    ///
    /// # Panics
    ///
    /// If nobody may read them.
    pub async fn events(&self) -> u64 {
        let verified = self.get("/audit").await.good();
        assert!(verified["broken"].is_null(), "{verified}");
        verified["events"].as_u64().expect("a count")
    }

    /// A request below `/api/v1`, to be given headers or a body.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token)
    }

    /// Sends a request.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        send(request).await
    }
}

/// Sends a request and takes the whole answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("the answer ends");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}
