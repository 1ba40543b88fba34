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

/// What every long list is asked for.
const QUERIES: &str = "
?sort=oldest ?sort=name ?application=app-07 ?environment=production-1 ?application=app-07&environment=production-1 ?text=app-07
?text=nowhere-to-be-found ?text=4711 ?limit=200";
/// What else of the lists is asked for, by page and by API.
const STATES: &str = "
/deployments?state=failed /deployments?state=succeeded /deployments?state=planned /deployments?state=running,paused,queued
/deployments?state=failed&application=app-07 /deployments?state=failed&environment=production-1
/changes?state=closed /changes?state=awaiting_authorisation /changes?state=draft,submitted /changes?state=cancelled&application=app-07
/changes?state=closed&sort=name /releases?state=closed /releases?state=early_life_support /releases?state=draft
/targets /targets?environment=fleet /targets?state=enrolled /targets?text=fleet-099 /targets?text=nowhere-to-be-found
/targets?sort=newest /targets/fleet-00777 /targets/production-1-01 /freezes /people";
/// Pages and doors that there is one of.
const ALONE_STANDING: &str = "
/ /calendar /calendar?view=quarter /calendar?application=app-07 /environments /environments?application=app-07
/environments?from=staging-1&to=production-1 /insights /insights?application=app-07 /insights?from=2000-01-01 /tokens /people?text=carl /settings /docs/api /audit /audit?noun=deployment /audit?noun=freeze /audit?actor=carl /audit?actor=system
/audit?noun=freeze&actor=system /audit?text=nowhere-to-be-found /audit?before=1000000
/api/v1/applications /api/v1/components /api/v1/environments /api/v1/strategies /api/v1/tokens /api/v1/events
/api/v1/events?after=1000000 /api/v1/measure/dora /api/v1/whoami";

/// Every page and every list: the first page, filtered, sorted, from the middle on, and one thing of it.
pub fn addresses(now_ms: i64) -> Vec<String> {
    let deep = cursor('n', now_ms - 180 * 86_400_000, "X");
    let mut all: Vec<String> = ALONE_STANDING.split_whitespace().map(str::to_owned).collect();
    for door in ["", "/api/v1"] {
        for list in ["/deployments", "/changes", "/releases", "/artifacts"] {
            let after = [String::new(), format!("?after={deep}"), format!("?application=app-07&after={deep}")];
            let queries = QUERIES.split_whitespace().map(str::to_owned).chain(after);
            all.extend(queries.map(|query| [door, list, &query].concat()));
        }
        all.extend(STATES.split_whitespace().map(|address| [door, address].concat()));
        all.extend(things().into_iter().map(|address| [door, &address].concat()));
    }
    all
}

/// One of each, large and small, over and not begun; and lists by name from the middle on.
fn things() -> Vec<String> {
    let release = RELEASES / 2 / APPLICATIONS * APPLICATIONS + 7;
    let deployment = id("DEP", release, 3);
    let others = [id("DEP", RELEASES, 7), id("DEP", RELEASES, 57), id("DEP", RELEASES + 1, 0), id("DEP", RELEASES + 1, 1)];
    let mut all: Vec<String> = others.iter().map(|id| format!("/deployments/{id}")).collect();
    all.extend([
        format!("/deployments/{deployment}"),
        format!("/releases/{}", id("REL", release, 0)),
        format!("/changes/{}", id("CHG", release, 0)),
        format!("/changes/{}", id("CHG", release * 9 + 2, 1)),
        format!("/deployments?sort=name&after={}", cursor('b', 0, deployment.as_str())),
        format!("/targets?sort=name&after={}", cursor('b', 0, "fleet-05000")),
    ]);
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
