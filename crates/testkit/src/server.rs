//! A real server on a fresh directory and a free port.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidegate_server::app::Serving;
use tidegate_server::clock::Clock;
use tidegate_server::{Config, Running};

use crate::Api;

/// 2026-11-21T00:00:00Z, where the clocks of tests begin.
const BEGIN_MS: i64 = 1_795_219_200_000;

/// A server that a test started.
pub struct TestServer {
    /// The server.
    pub running: Running,
    /// Its API, as the administrator.
    pub admin: Api,
    clock: Option<Arc<AtomicI64>>,
}

impl TestServer {
    /// Starts a server on `data`, with the machine's clock.
    ///
    /// # Panics
    ///
    /// If it does not start; tests want to know.
    pub async fn start(data: &Path) -> TestServer {
        TestServer::with(config(data), Clock::System, None).await
    }

    /// Starts a server on `data`, with a clock that the test moves.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn at_rest(data: &Path) -> TestServer {
        let clock = Arc::new(AtomicI64::new(BEGIN_MS));
        TestServer::with(config(data), Clock::Set(clock.clone()), Some(clock)).await
    }

    /// Starts a server on a `PostgreSQL` database, with a clock that the test moves.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn on_database(data: &Path, url: String) -> TestServer {
        let clock = Arc::new(AtomicI64::new(BEGIN_MS));
        TestServer::with(Config { database: Some(url), ..config(data) }, Clock::Set(clock.clone()), Some(clock)).await
    }

    /// Starts a server as configured.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn with(config: Config, clock: Clock, set: Option<Arc<AtomicI64>>) -> TestServer {
        let running = tidegate_server::start(&config, clock).await.expect("the server starts");
        let token = tidegate_server::first_token(&running).await.expect("the first administrator gets a token");
        let admin = Api::new(format!("http://{}", running.address), token);
        TestServer { running, admin, clock: set }
    }

    /// Ends it and starts another one on the same directory, with the same clock and the same token.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn restart(self, data: &Path) -> TestServer {
        let TestServer { running, admin, clock } = self;
        running.stop().await;
        let time = clock.clone().map_or(Clock::System, Clock::Set);
        let running = tidegate_server::start(&config(data), time).await.expect("the server starts again");
        let admin = Api::new(format!("http://{}", running.address), admin.token);
        TestServer { running, admin, clock }
    }

    /// The server's time.
    pub fn now_ms(&self) -> i64 {
        self.running.app.now_ms()
    }

    /// Lets time pass.
    ///
    /// # Panics
    ///
    /// On a server with the machine's clock.
    pub fn pass_ms(&self, ms: i64) {
        self.clock.as_ref().expect("a clock that the test moves").fetch_add(ms, Ordering::SeqCst);
        self.running.app.wake.notify_one();
    }

    /// The API as somebody new, with roles as the API writes grants.
    ///
    /// # Panics
    ///
    /// If the administrator may not make people.
    pub async fn person(&self, name: &str, grants: serde_json::Value) -> Api {
        let definitions = serde_json::json!({"definitions": [{"person": {"name": name, "grants": grants}}]});
        self.admin.post("/definitions", &definitions).await.good();
        let request = serde_json::json!({"person": name, "label": "test", "valid_seconds": 3600});
        let made = self.admin.post("/tokens", &request).await.good();
        self.admin.with_token(made["secret"].as_str().expect("a secret"))
    }
}

/// A configuration for tests: any port of loopback, the embedded database.
pub fn config(data: &Path) -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data: data.to_owned(),
        database: None,
        public_url: None,
        allow_commands: false,
        serving: Serving::default(),
    }
}
