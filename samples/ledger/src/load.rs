//! A steady, bounded load: what users would do, so that there is something to measure and something to lose.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Uri, header};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

/// Entries go to `load-0` to `load-15`, so that no account grows too long to add up on a long day.
pub const LOAD_ACCOUNTS: u64 = 16;

/// Services that one load asks; more are left alone.
const URLS_MAX: usize = 64;
/// Requests a second to each service.
const RATE_MIN: f64 = 0.01;
const RATE_MAX: f64 = 50.0;
/// Longest wait for an answer; then the connection is given up.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Of so many requests one reads a balance; the others are entries.
const ONE_READS_OF: u64 = 5;

/// What came of the requests to one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Answered with 2xx.
    pub ok: u64,
    /// Answered with anything else.
    pub failed: u64,
    /// Not answered: nobody there, or the connection broke.
    pub unreachable: u64,
    /// Entries among `ok`.
    pub acknowledged_entries: u64,
    /// Their sum. The balances of the load's accounts together are never less, and more only by entries that were kept but whose
    /// answer was lost.
    pub acknowledged_cents: i64,
}

/// What came of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadSummary {
    /// By address, as given.
    pub services: BTreeMap<String, Tally>,
    /// Addresses that were left alone, with why.
    pub refused: BTreeMap<String, String>,
}

impl LoadSummary {
    /// All services together.
    pub fn total(&self) -> Tally {
        self.services.values().fold(Tally::default(), |sum, tally| Tally {
            ok: sum.ok + tally.ok,
            failed: sum.failed + tally.failed,
            unreachable: sum.unreachable + tally.unreachable,
            acknowledged_entries: sum.acknowledged_entries + tally.acknowledged_entries,
            acknowledged_cents: sum.acknowledged_cents + tally.acknowledged_cents,
        })
    }
}

/// Asks each of `urls` (such as `http://127.0.0.1:8101`) `per_second_per_url` times a second until `shutdown` comes.
///
/// One connection and one request in flight for each service; a service that is slow or away is asked less, and nothing is
/// caught up. At most 64 services on this host, 0.01 to 50 requests a second each. Requests that are in flight at `shutdown`
/// are waited for.
pub async fn load(urls: Vec<String>, per_second_per_url: f64, shutdown: impl Future<Output = ()>) -> LoadSummary {
    let rate = if per_second_per_url.is_nan() { RATE_MIN } else { per_second_per_url.clamp(RATE_MIN, RATE_MAX) };
    let between = Duration::from_secs_f64(1.0 / rate);
    let (stop, stopped) = watch::channel(());
    let mut summary = LoadSummary::default();
    let mut users = JoinSet::new();
    let shift = between / (urls.len().clamp(1, URLS_MAX) as u32);
    for url in urls {
        let index = summary.services.len();
        match address(&url, index) {
            Ok(address) => {
                // Spread over the interval, so that not all ask at once; a repeated address counts once.
                if summary.services.insert(url.clone(), Tally::default()).is_none() {
                    let first = Instant::now() + shift * index as u32;
                    users.spawn(User::new(url, address).ask(first, between, stopped.clone()));
                }
            }
            Err(why) => {
                tracing::warn!(url, %why, "the load leaves an address alone");
                summary.refused.insert(url, format!("{why:#}"));
            }
        }
    }
    drop(stopped);
    shutdown.await;
    drop(stop);
    while let Some(done) = users.join_next().await {
        match done {
            Ok((url, tally)) => drop(summary.services.insert(url, tally)),
            Err(cause) => tracing::error!(%cause, "a part of the load ended early"),
        }
    }
    summary
}

/// The socket behind an address of this host; nobody else's service is ever asked.
fn address(url: &str, index: usize) -> anyhow::Result<SocketAddr> {
    ensure!(index < URLS_MAX, "more than {URLS_MAX} services");
    let uri: Uri = url.parse().context("that is no address")?;
    ensure!(uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none(), "use http://127.0.0.1:PORT");
    let authority = uri.authority().context("use http://127.0.0.1:PORT")?.as_str();
    let text = authority.strip_prefix("localhost:").map_or_else(|| authority.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = text.parse().context("use http://127.0.0.1:PORT")?;
    ensure!(address.ip().is_loopback(), "{} is not on this host", address.ip());
    Ok(address)
}

/// Who asks one service.
struct User {
    url: String,
    address: SocketAddr,
    asked: u64,
    tally: Tally,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Body>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl User {
    fn new(url: String, address: SocketAddr) -> User {
        User { url, address, asked: 0, tally: Tally::default(), connection: None }
    }

    async fn ask(mut self, first: Instant, between: Duration, mut stopped: watch::Receiver<()>) -> (String, Tally) {
        let mut ticks = tokio::time::interval_at(first, between);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // Only ever ends by the other half being dropped.
                _ = stopped.changed() => return (self.url, self.tally),
                _ = ticks.tick() => self.one().await,
            }
        }
    }

    async fn one(&mut self) {
        self.asked += 1;
        let amount_cents = (self.asked * 37 % 1_000) as i64 + 1;
        let account = format!("load-{}", self.asked % LOAD_ACCOUNTS);
        let entry = (!self.asked.is_multiple_of(ONE_READS_OF)).then_some(amount_cents);
        match tokio::time::timeout(ANSWER_MAX, self.answer(&account, entry)).await {
            Ok(Ok(status)) if status.is_success() => {
                self.tally.ok += 1;
                self.tally.acknowledged_entries += u64::from(entry.is_some());
                self.tally.acknowledged_cents += entry.unwrap_or_default();
            }
            Ok(Ok(_)) => self.tally.failed += 1,
            Ok(Err(_)) | Err(_) => {
                self.tally.unreachable += 1;
                self.connection = None;
            }
        }
    }

    async fn answer(&mut self, account: &str, entry: Option<i64>) -> anyhow::Result<StatusCode> {
        let request = Request::builder().header(header::HOST, self.address.to_string());
        let request = match entry {
            Some(amount_cents) => {
                let body = serde_json::json!({ "account": account, "amount_cents": amount_cents }).to_string();
                let request = request.method(Method::POST).uri("/entries").header(header::CONTENT_TYPE, "application/json");
                request.body(Body::from(body))?
            }
            None => request.uri(format!("/accounts/{account}/balance")).body(Body::empty())?,
        };
        let connection = self.connected().await?;
        let response = connection.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        axum::body::to_bytes(Body::new(body), 64 << 10).await?;
        Ok(head.status)
    }

    /// The open connection, or a new one if the service has closed it meanwhile.
    async fn connected(&mut self) -> anyhow::Result<&mut Connection> {
        if let Some(connection) = &mut self.connection
            && connection.sender.ready().await.is_err()
        {
            self.connection = None;
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                let driver = tokio::spawn(async move { drop(connection.await) });
                Ok(none.insert(Connection { sender, driver }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_of_this_host_are_asked() {
        let check = |url: &str| address(url, 0).map_or_else(|why| format!("no: {why}"), |address| address.to_string());
        assert_eq!(check("http://127.0.0.1:8101"), "127.0.0.1:8101");
        assert_eq!(check("http://localhost:8101/"), "127.0.0.1:8101");
        assert_eq!(check("http://[::1]:8101"), "[::1]:8101");
        assert_eq!(check("http://192.0.2.1:80"), "no: 192.0.2.1 is not on this host");
        for url in [
            "https://127.0.0.1:1",
            "http://example.org:80",
            "http://127.0.0.1",
            "http://a@127.0.0.1:1",
            "",
            "http://2130706433:80",
        ] {
            assert!(check(url).starts_with("no: "), "{url}");
        }
        assert!(address("http://127.0.0.1:1", URLS_MAX).is_err());
    }
}
