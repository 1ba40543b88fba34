//! Asks every page and every list, and takes the times to the first byte.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE};
use serde_json::{Value, json};

use crate::fill::RELEASES;
use crate::world::{APPLICATIONS, id};

/// Requests from one connection, and from each of several.
const ALONE: usize = 200;
const EACH: usize = 25;
const TOGETHER: usize = 8;
/// No address is asked for longer, however slow it is, but some answers it gets.
const LONGEST: Duration = Duration::from_secs(2);
const FEWEST: usize = 5;

/// Somebody who is signed in, in a browser and with a token.
pub struct Asker {
    pub who: &'static str,
    pub base: String,
    pub token: String,
    pub cookie: String,
}

/// A cursor into the middle of a list, as the store writes it.
fn cursor(mark: char, at_ms: i64, id: &str) -> String {
    format!("{mark}{at_ms}/{id}").bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Every page and every list: the first page, filtered, sorted, from the middle on, and one thing of it.
pub fn addresses(now_ms: i64) -> Vec<String> {
    let middle = now_ms - 180 * 86_400_000;
    let deep = cursor('n', middle, "X");
    let deep_name = |id: &str| cursor('b', 0, id);
    let release = RELEASES / 2 / APPLICATIONS * APPLICATIONS + 7;
    let (released, change, dep) = (id("REL", release, 0), id("CHG", release, 0), id("DEP", release, 3));
    let paused = id("DEP", RELEASES, 7);
    let planned = id("DEP", RELEASES, 57);
    let fleet = id("DEP", RELEASES + 1, 0);
    let of_list = |list: &str| {
        let mut all: Vec<String> = [
            "",
            "?sort=oldest",
            "?sort=name",
            "?application=app-07",
            "?environment=production-1",
            "?application=app-07&environment=production-1",
            "?text=app-07",
            "?text=nowhere-to-be-found",
            "?text=4711",
            "?limit=200",
        ]
        .iter()
        .map(|query| [list, query].concat())
        .collect();
        all.push(format!("{list}?after={deep}"));
        all.push(format!("{list}?application=app-07&after={deep}"));
        all
    };
    let states = |list: &str, states: &[&str]| -> Vec<String> { states.iter().map(|it| format!("{list}?state={it}")).collect() };
    let mut all: Vec<String> = Vec::new();
    for door in ["", "/api/v1"] {
        for list in ["/deployments", "/changes", "/releases", "/artifacts"] {
            all.extend(of_list(&format!("{door}{list}")));
        }
        all.extend(states(
            &format!("{door}/deployments"),
            &["failed", "succeeded", "planned", "running,paused,queued", "failed&application=app-07"],
        ));
        all.extend(states(
            &format!("{door}/changes"),
            &["closed", "awaiting_authorisation", "draft,submitted", "cancelled&application=app-07"],
        ));
        all.extend(states(&format!("{door}/releases"), &["closed", "early_life_support", "draft"]));
        all.push(format!("{door}/deployments?sort=name&after={}", deep_name(dep.as_str())));
        for query in ["", "?environment=fleet", "?state=enrolled", "?text=fleet-099", "?text=nowhere-to-be-found", "?sort=newest"]
        {
            all.push(format!("{door}/targets{query}"));
        }
        all.push(format!("{door}/targets?sort=name&after={}", deep_name("fleet-05000")));
        all.extend([format!("{door}/targets/fleet-00777"), format!("{door}/targets/production-1-01")]);
        all.extend([format!("{door}/releases/{released}"), format!("{door}/changes/{change}")]);
        all.extend([&dep, &paused, &planned, &fleet].map(|id| format!("{door}/deployments/{id}")));
        all.push(format!("{door}/freezes"));
        all.push(format!("{door}/people"));
    }
    all.push(format!("/changes/{}", id("CHG", release * 9 + 2, 1)));
    all.extend(
        [
            "/",
            "/calendar",
            "/calendar?view=quarter",
            "/environments",
            "/environments?application=app-07",
            "/environments?from=staging-1&to=production-1",
        ]
        .map(str::to_owned),
    );
    all.extend(
        [
            "/calendar?application=app-07",
            "/audit",
            "/audit?noun=deployment",
            "/audit?noun=freeze",
            "/audit?actor=carl",
            "/audit?actor=system",
            "/audit?before=1000000",
        ]
        .map(str::to_owned),
    );
    all.push(format!("/audit?stream=deployment/{dep}"));
    for list in [
        "/applications",
        "/components",
        "/environments",
        "/strategies",
        "/tokens",
        "/events",
        "/events?after=1000000",
        "/measure/dora",
        "/whoami",
    ] {
        all.push(format!("/api/v1{list}"));
    }
    all
}

/// Times of one address.
struct Times {
    ms: Vec<f64>,
    bytes: usize,
    status: u16,
}

impl Asker {
    fn request(&self, http: &reqwest::Client, address: &str) -> reqwest::RequestBuilder {
        let request = http.get(format!("{}{address}", self.base)).header(ACCEPT_ENCODING, "gzip");
        if address.starts_with("/api/") {
            request.header(AUTHORIZATION, format!("Bearer {}", self.token))
        } else {
            request.header(COOKIE, &self.cookie)
        }
    }

    async fn times(&self, http: &reqwest::Client, address: &str, most: usize) -> Times {
        let (mut ms, mut bytes, mut status) = (Vec::new(), 0, 0);
        let begun = Instant::now();
        while ms.len() < most && (begun.elapsed() < LONGEST || ms.len() < FEWEST) {
            let request = self.request(http, address);
            let asked = Instant::now();
            let answer = request.send().await.expect("the server answers");
            ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
            status = answer.status().as_u16();
            bytes = answer.bytes().await.expect("all of it").len();
        }
        Times { ms, bytes, status }
    }

    /// The figures of one address, alone and with several at once.
    pub async fn measure(&self, address: &str) -> Value {
        let clients: Vec<reqwest::Client> = (0..TOGETHER).map(|_| reqwest::Client::new()).collect();
        self.times(&clients[0], address, 3).await;
        let alone = self.times(&clients[0], address, ALONE).await;
        let together = join_all(clients.iter().map(|http| self.times(http, address, EACH))).await;
        let all = together.into_iter().flat_map(|times| times.ms).collect();
        json!({"address": address, "who": self.who, "status": alone.status, "bytes": alone.bytes,
            "alone": figures(alone.ms), "together": figures(all)})
    }
}

/// Median and 99th percentile.
pub fn figures(mut ms: Vec<f64>) -> Value {
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share).round() as usize];
    json!({"p50_ms": at(0.5), "p99_ms": at(0.99), "count": ms.len()})
}
