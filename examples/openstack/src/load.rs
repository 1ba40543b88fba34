//! The way in: the public API, as any client would speak it.

use anyhow::bail;
use reqwest::{Client, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_api::request::ApplyDefinitions;
use tidegate_api::view::RecordedView;

use crate::series::{Load, weight};

/// A server and a token.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address, such as `http://127.0.0.1:7400`.
    pub address: String,
    /// A token of a release manager or an administrator.
    pub token: String,
}

/// What was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Records that are new.
    pub recorded: u64,
    /// Records that were there before.
    pub known: u64,
    /// Freezes that are new.
    pub freezes: u64,
}

impl Server {
    /// Loads a series; `done` hears how many records each step brought. Loading it again changes nothing.
    ///
    /// # Errors
    ///
    /// What the server refuses, in its words, or that it cannot be reached.
    pub async fn load(&self, load: &Load, mut done: impl FnMut(usize)) -> anyhow::Result<Loaded> {
        let client = Client::new();
        let definitions = ApplyDefinitions { definitions: load.definitions.clone() };
        self.ask::<Value>(&client, Method::POST, "/definitions", &definitions).await?;
        let mut loaded = Loaded::default();
        for freeze in &load.freezes {
            let query = format!("/freezes?text={}", freeze.name.replace(' ', "%20"));
            let there = self.ask::<Value>(&client, Method::GET, &query, &()).await?;
            let same = |row: &Value| row["value"]["name"] == freeze.name.as_str();
            if !there["rows"].as_array().is_some_and(|rows| rows.iter().any(same)) {
                self.ask::<Value>(&client, Method::POST, "/freezes", freeze).await?;
                loaded.freezes += 1;
            }
        }
        for batch in &load.batches {
            let answer = self.ask::<RecordedView>(&client, Method::POST, "/records", batch).await?;
            loaded.recorded += answer.recorded;
            loaded.known += answer.known;
            done(weight(batch));
        }
        Ok(loaded)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = client.request(method.clone(), format!("{}/api/v1{path}", self.address)).bearer_auth(&self.token);
        let request = if method == Method::GET {
            request
        } else {
            request.header("content-type", "application/json").body(serde_json::to_vec(body)?)
        };
        let answer = request.send().await?;
        let good = answer.status().is_success();
        let body = answer.bytes().await?;
        if !good {
            let said: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = |field: &str| said[field].as_str().unwrap_or_default().to_owned();
            bail!("{path}: {} at {}; {} [{}]", text("title"), text("place"), text("remedy"), text("code"));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
