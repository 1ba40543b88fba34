//! The people of the demo, each speaking to the API with a token of their own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_api::Problem;
use tidegate_api::request::{ApplyDefinitions, MakeToken, Nothing};
use tidegate_api::view::{AppliedDefinitions, MadeToken};
use tidegate_domain::Name;

/// Somebody of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The administrator.
    Admin,
    /// Writes the software and the changes.
    Dana,
    /// Plans the releases and declares the freeze.
    Rosa,
    /// Authorises changes.
    Grace,
    /// Runs the deployments.
    Olaf,
}

impl Who {
    const ALL: [Who; 5] = [Who::Admin, Who::Dana, Who::Rosa, Who::Grace, Who::Olaf];

    /// Their name.
    pub fn name(self) -> &'static str {
        match self {
            Who::Admin => "admin",
            Who::Dana => "dana",
            Who::Rosa => "rosa",
            Who::Grace => "grace",
            Who::Olaf => "olaf",
        }
    }
}

/// An answer of the API that is a no.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", .0.title, .0.code)]
pub struct Refused(pub Box<Problem>);

/// The people and what they have had acknowledged.
pub struct People {
    base: String,
    http: reqwest::Client,
    tokens: BTreeMap<Who, String>,
    acknowledged: AtomicU64,
}

const DEFINITIONS: &str = include_str!("people.yaml");

impl People {
    /// Everybody, with a token each.
    pub async fn new(running: &tidegate_server::Running) -> anyhow::Result<People> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let admin = tidegate_server::first_token(running).await.map_err(|no| anyhow::anyhow!("{no}"))?;
        let mut people = People {
            base: format!("http://{}", running.address),
            http,
            tokens: BTreeMap::from([(Who::Admin, admin)]),
            acknowledged: AtomicU64::new(0),
        };
        people.define(DEFINITIONS).await?;
        for who in Who::ALL.into_iter().filter(|who| *who != Who::Admin) {
            let request = MakeToken { person: Name::parse(who.name())?, label: "demo".into(), valid_seconds: 86_400 };
            let made: MadeToken = people.post(Who::Admin, "/tokens", &request).await?;
            people.tokens.insert(who, made.secret);
        }
        Ok(people)
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// How many commands were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Defines what a text says, as the administrator.
    pub async fn define(&self, yaml: &str) -> anyhow::Result<AppliedDefinitions> {
        let read = tidegate_api::strict::yaml::<tidegate_api::Definition>(yaml, "the demo's definitions");
        let first =
            |marked: Vec<tidegate_api::strict::Marked>| marked.first().map_or_else(String::new, |it| it.refusal.to_string());
        let definitions = read.map_err(|marked| anyhow::anyhow!("{}", first(marked)))?.into_iter().map(|it| it.value).collect();
        self.post(Who::Admin, "/definitions", &ApplyDefinitions { definitions }).await
    }

    /// Asks.
    pub async fn get<A: DeserializeOwned>(&self, who: Who, path: &str) -> anyhow::Result<A> {
        self.send(who, Method::GET, path, None::<&Nothing>).await
    }

    /// Commands.
    pub async fn post<A: DeserializeOwned>(&self, who: Who, path: &str, body: &impl Serialize) -> anyhow::Result<A> {
        let answer = self.send(who, Method::POST, path, Some(body)).await?;
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }

    /// Brings bytes.
    pub async fn upload<A: DeserializeOwned>(&self, who: Who, path: &str, bytes: Vec<u8>) -> anyhow::Result<A> {
        let request = self.request(who, Method::POST, path).body(bytes);
        let answer = answer(request, path).await?;
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }

    async fn send<A: DeserializeOwned>(
        &self,
        who: Who,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<A> {
        let request = self.request(who, method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        answer(request, path).await
    }

    fn request(&self, who: Who, method: Method, path: &str) -> reqwest::RequestBuilder {
        let token = self.tokens.get(&who).map_or("", String::as_str);
        self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(token)
    }
}

async fn answer<A: DeserializeOwned>(request: reqwest::RequestBuilder, path: &str) -> anyhow::Result<A> {
    let response = request.send().await.with_context(|| format!("{path} does not answer"))?;
    let status = response.status();
    let bytes = response.bytes().await.with_context(|| format!("{path} broke off"))?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).with_context(|| format!("{path} answers in another form"));
    }
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Err(Refused(Box::new(problem)).into()),
        Err(_) => bail!("{path} answers {status}"),
    }
}
