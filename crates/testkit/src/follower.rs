//! Somebody who follows the history as server-sent events.

use futures_util::StreamExt as _;
use serde_json::Value;

use crate::Api;

/// What one server-sent event carried.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub position: u64,
    /// Its data.
    pub data: Value,
}

/// An open stream.
pub struct Follower {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<Vec<u8>>> + Send>>,
    text: String,
}

impl Follower {
    /// Follows `path` below `/api/v1`, after the entry that came last.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn begin(api: &Api, path: &str, last: Option<u64>) -> Follower {
        let request = api.request(reqwest::Method::GET, path);
        let request = if let Some(last) = last { request.header("last-event-id", last.to_string()) } else { request };
        let response = request.send().await.expect("the server answers");
        assert!(response.status().is_success(), "{}", response.status());
        let body = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec()));
        Follower { body: Box::pin(body), text: String::new() }
    }

    /// The next entry; none when the stream has ended.
    ///
    /// # Panics
    ///
    /// If an entry has no id or its data is no JSON.
    pub async fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                    let position = id.parse().expect("the id is a position");
                    return Some(Entry { position, data: serde_json::from_str(data).expect("the data is JSON") });
                }
                // A comment that keeps the connection open.
                continue;
            }
            let chunk = self.body.next().await?.ok()?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}
