//! An agent that speaks the wire contract by hand, so that a test can say the wrong thing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tidegate_api::agent as wire;
use tidegate_domain::Name;

use crate::Answer;
use crate::api::send;

/// An agent with a key and, perhaps, a session.
#[derive(Debug, Clone)]
pub struct WireAgent {
    /// The target it says it is.
    pub target: Name,
    key: SigningKey,
    session: Option<String>,
    base: String,
}

impl WireAgent {
    /// An agent of a target; the number makes its key.
    pub fn new(base: &str, target: &Name, key: u8) -> WireAgent {
        WireAgent { target: target.clone(), key: SigningKey::from_bytes(&[key; 32]), session: None, base: base.to_owned() }
    }

    /// Its public key in base64.
    pub fn public_key(&self) -> String {
        BASE64.encode(self.key.verifying_key().to_bytes())
    }

    /// A call of the contract.
    pub fn call(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = client().post(format!("{}{path}", self.base)).json(body);
        match &self.session {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Makes a call.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.call(path, body)).await
    }

    /// Enrols with a one-time token.
    pub async fn enrol(&self, token: &str) -> Answer {
        self.post(wire::ENROL, &json!({"token": token, "agent_key": self.public_key()})).await
    }

    /// Asks for something to sign.
    ///
    /// # Panics
    ///
    /// If there is nothing.
    pub async fn challenge(&self) -> String {
        let answer = self.post(wire::HELLO, &json!({"target": self.target})).await.good();
        answer["challenge"].as_str().expect("a challenge").to_owned()
    }

    /// Answers a challenge.
    pub async fn answer_challenge(&self, challenge: &str) -> Answer {
        let signature = self.key.sign(wire::session_text(&self.target, challenge).as_bytes());
        let request = json!({"target": self.target, "challenge": challenge, "signature": BASE64.encode(signature.to_bytes())});
        self.post(wire::SESSION, &request).await
    }

    /// Opens a session.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub async fn begin(&mut self) {
        let challenge = self.challenge().await;
        let session = self.answer_challenge(&challenge).await.good();
        self.session = session["token"].as_str().map(str::to_owned);
    }

    /// Asks what to do; the answer is not looked at.
    pub async fn ask(&self, nonce: &str, known: &[&str], wait_seconds: u32) -> Answer {
        let request = json!({"nonce": nonce, "known": known, "wait_seconds": wait_seconds, "agent_version": "test"});
        self.post(wire::POLL, &request).await
    }

    /// Asks what to do, and believes the answer if the server's key signed it over this question.
    ///
    /// # Panics
    ///
    /// If it did not.
    pub async fn poll(&self, server_key: &str, known: &[&str], wait_seconds: u32) -> wire::PollAnswer {
        let nonce = "00112233445566778899aabbccddeeff";
        let answer = self.ask(nonce, known, wait_seconds).await.good();
        let message = answer["message"].as_str().expect("a message");
        let signature = answer["signature"].as_str().expect("a signature");
        assert!(is_signed(server_key, message, signature), "the answer is not signed by the server");
        let answer: wire::PollAnswer = serde_json::from_str(message).expect("an answer");
        assert_eq!((answer.nonce.as_str(), &answer.target), (nonce, &self.target), "the answer is to another question");
        answer
    }

    /// Fetches bytes.
    pub async fn fetch(&self, digest: &str) -> Answer {
        let request = client().get(format!("{}/agent/v1/artifacts/{digest}", self.base));
        send(request.bearer_auth(self.session.as_deref().unwrap_or_default())).await
    }
}

fn client() -> &'static reqwest::Client {
    static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    // Connections are not kept: each belongs to the runtime of the test that opened it.
    CLIENT.get_or_init(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client"))
}

/// Whether the server's key signed a message of a poll.
pub fn is_signed(server_key: &str, message: &str, signature: &str) -> bool {
    let bytes = |text: &str| BASE64.decode(text).ok();
    let key = bytes(server_key).and_then(|it| <[u8; 32]>::try_from(it).ok()).and_then(|it| VerifyingKey::from_bytes(&it).ok());
    let signature = bytes(signature).and_then(|it| Signature::from_slice(&it).ok());
    match (key, signature) {
        (Some(key), Some(signature)) => key.verify(wire::answer_text(message).as_bytes(), &signature).is_ok(),
        _ => false,
    }
}
