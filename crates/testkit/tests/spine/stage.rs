//! One thing of each kind, and a good request for every door.

use std::path::Path;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tidegate_domain::Name;
use tidegate_testkit::{Api, Estate, Fleet, TestServer, artifact};

/// A server with one thing of each kind.
pub struct Stage {
    pub server: TestServer,
    things: Vec<(&'static str, String)>,
    /// When its freeze begins.
    from_ms: i64,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn id(answer: &Value) -> String {
    answer["value"]["id"].as_str().expect("an id").to_owned()
}

/// A change of `shop` in `test`.
pub fn content(title: &str) -> Value {
    json!({"title": title, "class": "normal", "application": "shop", "environments": ["test"]})
}

impl Stage {
    pub async fn set(data: &Path) -> Stage {
        let server = TestServer::at_rest(data).await;
        let admin = &server.admin;
        let estate = Estate::define(admin, 2).await;
        Fleet::enrol(admin, &[name("t-01"), name("t-02")]).await;
        estate.bring("1.0").await;
        let more = json!({"definitions": [{"application": {"name": "books"}}, {"environment": {"name": "lab", "tier": "test"}},
            {"strategy": {"name": "careful", "strategy": {}}}, {"person": {"name": "ada"}}]});
        admin.post("/definitions", &more).await.good();
        let planned = estate.plan("1.0", json!({})).await.good();
        let deployment = planned["deployment"]["id"].as_str().expect("an id").to_owned();
        let change = id(&admin.post("/changes", &json!({"content": content("one")})).await.good());
        let release = json!({"application": "shop", "version": "1.0", "title": "one", "versions": {"shop": "1.0"}});
        let release = id(&admin.post("/releases", &release).await.good());
        let from_ms = server.now_ms() + 3_600_000;
        let freeze = json!({"name": "rest", "reason": "holidays", "environments": ["test"], "from_ms": from_ms,
            "until_ms": from_ms + 3_600_000});
        let freeze = id(&admin.post("/freezes", &freeze).await.good());
        let asked = json!({"deployment": deployment, "reason": "it must be"});
        let asked = admin.post(&format!("/freezes/{freeze}/exceptions"), &asked).await.good();
        let exception = asked["value"]["exceptions"][0]["id"].as_str().expect("an id").to_owned();
        let token = admin.post("/tokens", &json!({"person": "ada", "label": "hers", "valid_seconds": 3600})).await.good();
        let things = vec![
            ("deployment", deployment.clone()),
            ("change", change),
            ("release", release),
            ("freeze", freeze),
            ("exception", exception),
            ("token", token["id"].as_str().expect("an id").to_owned()),
            ("plan", planned["deployment"]["plan"].as_str().expect("a digest").to_owned()),
            ("attempt", format!("{deployment}:t-01:1")),
            ("target", "t-01".to_owned()),
            ("gate", "0.after.0".to_owned()),
        ];
        Stage { server, things, from_ms }
    }

    pub fn thing(&self, kind: &str) -> &str {
        &self.things.iter().find(|(it, _)| *it == kind).expect("a thing of that kind").1
    }

    /// The path of an operation with things that are there.
    pub fn path(&self, path: &str) -> String {
        let part = |part: &str| match part {
            "{digest}" => self.thing("plan").to_owned(),
            "{attempt}" => self.thing("attempt").to_owned(),
            "{exception}" => self.thing("exception").to_owned(),
            "{target}" | "{name}" => self.thing("target").to_owned(),
            "{key}" => self.thing("gate").to_owned(),
            "{id}" => self.of(path).to_owned(),
            other => other.to_owned(),
        };
        let below = path.strip_prefix("/api/v1").expect("a path of the API");
        below.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn of(&self, path: &str) -> &str {
        let noun = path.split('/').nth(3).expect("a noun").trim_end_matches('s');
        self.thing(noun)
    }

    /// The body of a good request.
    pub fn body(&self, method: &str, path: &str) -> Value {
        let reason = json!({"reason": "because"});
        match (method, path.strip_prefix("/api/v1").expect("a path of the API")) {
            ("POST", "/definitions" | "/definitions/validate") => {
                json!({"definitions": [{"component": {"name": "shop", "application": "shop", "steps": [{"name": "unpack", "do": "unpack"}]}}]})
            }
            ("POST", "/changes") => json!({"content": content("another")}),
            ("PUT", "/changes/{id}") => content("other words"),
            ("POST", "/changes/{id}/vote") => {
                json!({"choice": "approve", "digest": format!("sha256:{}", "0".repeat(64))})
            }
            ("POST", "/changes/{id}/close") => json!({"outcome": "successful", "review": "well done"}),
            ("POST", "/releases") => {
                json!({"application": "shop", "version": "1.1", "title": "two", "versions": {"shop": "1.0"}})
            }
            ("POST", "/releases/{id}/meet") => json!({"phase": 0, "criterion": 0}),
            ("POST", "/releases/{id}/changes" | "/deployments/{id}/change") => json!({"change": self.thing("change")}),
            ("POST", "/freezes") => {
                json!({"name": "another", "reason": "rest", "environments": ["test"], "applications": ["shop"],
                "from_ms": self.from_ms + 86_400_000, "until_ms": self.from_ms + 90_000_000})
            }
            ("POST", "/freezes/{id}/exceptions") => json!({"deployment": self.thing("deployment"), "reason": "it must be"}),
            ("POST", "/freezes/{id}/exceptions/{exception}/rule") => json!({"choice": "reject", "reason": "no"}),
            ("POST", "/deployments") => {
                json!({"application": "shop", "environment": "test", "versions": {"shop": "1.0"}})
            }
            ("POST", "/deployments/{id}/targets/{target}/answer") => json!({"answer": "run_again"}),
            ("POST", "/records") => {
                let deployment = json!({"reference": "run 1", "application": "shop", "environment": "test", "versions": {"shop": "0.9"},
                    "started_at_ms": self.from_ms - 2_000, "ended_at_ms": self.from_ms - 1_000});
                json!({"source": "ci", "deployments": [deployment]})
            }
            ("POST", "/tokens") => json!({"person": "ada", "label": "another", "valid_seconds": 60}),
            ("POST", path) if takes_nothing(path) => json!({}),
            _ => reason,
        }
    }

    /// A good request as somebody.
    pub fn request(&self, api: &Api, method: &str, path: &str) -> RequestBuilder {
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = api.request(verb, &self.path(path));
        match (method, path) {
            ("POST", "/api/v1/artifacts") => {
                let query = [("component", "shop"), ("version", "1.0"), ("format", "tar_gz")];
                request.query(&query).body(artifact("#!/bin/sh\necho 1.0\n"))
            }
            ("POST" | "PUT", _) => request.json(&self.body(method, path)),
            _ => request,
        }
    }
}

fn takes_nothing(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let words = ["submit", "withdraw-vote", "unhold", "plan", "complete-phase", "resume", "approve", "enrolment"];
    words.contains(&last) || path == "/releases/{id}/start" || path == "/releases/{id}/close" || path == "/deployments/{id}/start"
}
