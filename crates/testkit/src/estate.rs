//! Something to deploy, and somewhere to deploy it to.

use serde_json::{Value, json};

use crate::{Answer, Api};

/// An application `shop` with one component, an environment of so many targets `t-01` …, and versions of it.
pub struct Estate<'a> {
    api: &'a Api,
    /// The environment's name.
    pub environment: String,
}

/// A tar.gz with one program in it; the bytes differ by `content`.
///
/// # Panics
///
/// Never: it is written to memory.
pub fn artifact(content: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    archive.append_data(&mut header, "bin/run", content.as_bytes()).expect("memory takes it");
    archive.into_inner().and_then(flate2::write::GzEncoder::finish).expect("memory takes it")
}

impl<'a> Estate<'a> {
    /// Defines it, with an environment that asks for no change.
    pub async fn define(api: &'a Api, targets: usize) -> Estate<'a> {
        Estate::define_as(api, "test", targets, json!({"tier": "test"})).await
    }

    /// Defines it, with an environment as described.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn define_as(api: &'a Api, environment: &str, targets: usize, mut described: Value) -> Estate<'a> {
        described["name"] = environment.into();
        let prefix = &environment[..1];
        let mut definitions = vec![
            json!({"application": {"name": "shop"}}),
            json!({"component": {"name": "shop", "application": "shop", "steps": [
                {"name": "unpack", "do": "unpack"}, {"name": "switch", "do": "switch"}]}}),
            json!({"environment": described}),
        ];
        for number in 1..=targets {
            definitions.push(json!({"target": {"name": format!("{prefix}-{number:02}"), "environment": environment}}));
        }
        for chunk in definitions.chunks(2_000) {
            api.post("/definitions", &json!({"definitions": chunk})).await.good();
        }
        Estate { api, environment: environment.to_owned() }
    }

    /// Brings a version.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn bring(&self, version: &str) -> Value {
        let path = format!("/artifacts?component=shop&version={version}&format=tar_gz");
        let request = self.api.request(reqwest::Method::POST, &path).body(artifact(&format!("#!/bin/sh\necho {version}\n")));
        self.api.send(request).await.good()
    }

    /// Plans a deployment with a strategy as the API writes it.
    pub async fn plan(&self, version: &str, strategy: Value) -> Answer {
        let request = json!({"application": "shop", "environment": self.environment, "versions": {"shop": version},
            "strategy": {"inline": strategy}});
        self.api.post("/deployments", &request).await
    }

    /// Plans and starts a deployment; returns its id.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn deploy(&self, version: &str, strategy: Value) -> String {
        let planned = self.plan(version, strategy).await.good();
        let id = planned["deployment"]["id"].as_str().expect("an id").to_owned();
        self.api.post(&format!("/deployments/{id}/start"), &json!({})).await.good();
        id
    }
}
