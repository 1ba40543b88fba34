//! How much of whom: each token and each address may ask so often, and whoever asks more often is told when to come back.
//!
//! A token has a place of its own only once it has proved good, so that made-up ones fill no memory; what comes without a good
//! token is counted by its address. Nobody who floods from an address keeps a token out that is known. Agents are left alone: how
//! many of them poll is bounded by the fleet ([`crate::overload`]).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_domain::{Code, Refusal};

use crate::app::{AddressFrom, App, Serving};
use crate::problem::No;
use crate::{access, observe};

/// Seconds' worth of requests that may come at once: what a page with its parts or a script's start needs.
const BURST: Duration = Duration::from_secs(10);
/// Tokens and addresses that are remembered; whoever comes beyond shares one place with all others.
const PLACES_MAX: usize = 10_000;
/// Time between two looks for places that nobody needs any more.
const SWEEP: Duration = Duration::from_secs(1);

/// The rates of one server.
pub struct Rates {
    began: Instant,
    hasher: RandomState,
    tokens: Places<u64>,
    strangers: Places<IpAddr>,
    address: AddressFrom,
}

/// Who pays for a request.
#[derive(Clone, Copy)]
enum Payer {
    Token(u64),
    Stranger(IpAddr),
}

impl Rates {
    /// The rates as they were asked for.
    pub fn new(serving: &Serving) -> Rates {
        Rates {
            began: Instant::now(),
            hasher: RandomState::new(),
            tokens: Places::new(serving.token_requests_per_second),
            strangers: Places::new(serving.stranger_requests_per_second),
            address: serving.address,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Who pays: the token if it has proved good before, else where it comes from.
    fn payer(&self, token: Option<u64>, from: IpAddr) -> Payer {
        token.filter(|token| self.tokens.knows(token)).map_or(Payer::Stranger(from), Payer::Token)
    }

    /// Takes one request from whoever pays, or says how long they have to wait.
    fn take(&self, payer: Payer) -> Result<(), Duration> {
        match payer {
            Payer::Token(token) => self.tokens.take(token, self.now()),
            Payer::Stranger(from) => self.strangers.take(from, self.now()),
        }
    }

    /// Puts things right once it is known who asked: a good token pays for itself from now on, and one that is good no more does
    /// not.
    fn settle(&self, payer: Payer, token: Option<u64>, outcome: Outcome) {
        match (payer, outcome) {
            (Payer::Stranger(from), Outcome::Known) => {
                self.strangers.give_back(&from, self.now());
                if let Some(token) = token {
                    self.tokens.admit(token, self.now());
                }
            }
            (Payer::Token(token), Outcome::Refused) => self.tokens.forget(&token),
            (Payer::Stranger(_), Outcome::Open | Outcome::Refused) | (Payer::Token(_), Outcome::Known | Outcome::Open) => {}
        }
    }
}

/// What a request showed of its asker.
#[derive(Clone, Copy)]
enum Outcome {
    /// Somebody who is known.
    Known,
    /// A door that asks nobody who they are.
    Open,
    /// Nobody, where somebody was needed.
    Refused,
}

/// How soon each may ask again.
struct Places<K> {
    /// Time between two requests; none if there is no bound.
    apart: Option<Duration>,
    inner: Mutex<Inner<K>>,
}

struct Inner<K> {
    /// When each has all its requests again. What lies in the past says no more than that it is there.
    whole_at: HashMap<K, Duration>,
    /// The same for all those who have no place.
    others: Duration,
    swept_at: Duration,
}

impl<K: Hash + Eq> Places<K> {
    fn new(per_second: u32) -> Places<K> {
        let apart = (per_second > 0).then(|| Duration::from_secs(1) / per_second);
        let inner = Inner { whole_at: HashMap::new(), others: Duration::ZERO, swept_at: Duration::ZERO };
        Places { apart, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, key: &K) -> bool {
        self.inner().whole_at.contains_key(key)
    }

    fn take(&self, key: K, now: Duration) -> Result<(), Duration> {
        let Some(apart) = self.apart else { return Ok(()) };
        let mut inner = self.inner();
        let whole_at = inner.place(key, now);
        let next = (*whole_at).max(now) + apart;
        match next.checked_sub(now + BURST) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *whole_at = next;
                Ok(())
            }
        }
    }

    fn give_back(&self, key: &K, now: Duration) {
        let Some(apart) = self.apart else { return };
        if let Some(whole_at) = self.inner().whole_at.get_mut(key) {
            *whole_at = whole_at.saturating_sub(apart).max(now);
        }
    }

    fn admit(&self, key: K, now: Duration) {
        if self.apart.is_some() {
            self.inner().place(key, now);
        }
    }

    fn forget(&self, key: &K) {
        self.inner().whole_at.remove(key);
    }
}

impl<K: Hash + Eq> Inner<K> {
    fn place(&mut self, key: K, now: Duration) -> &mut Duration {
        if self.whole_at.len() >= PLACES_MAX && !self.whole_at.contains_key(&key) {
            if now >= self.swept_at + SWEEP {
                self.whole_at.retain(|_, whole_at| *whole_at > now);
                self.swept_at = now;
            }
            if self.whole_at.len() >= PLACES_MAX {
                return &mut self.others;
            }
        }
        self.whole_at.entry(key).or_insert(now)
    }
}

/// Lets a request in, or tells whoever asks too often when to come back.
pub async fn bound(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if is_free(&path) {
        return next.run(request).await;
    }
    let token = token(&app.rates, request.headers());
    let payer = app.rates.payer(token, from(app.rates.address, &request));
    if let Err(wait) = app.rates.take(payer) {
        return come_back(&app, &path, wait);
    }
    let response = next.run(request).await;
    let outcome = match response.status() {
        StatusCode::UNAUTHORIZED => Outcome::Refused,
        // An enrolment that succeeds has shown a token that was made for it.
        status if observe::is_known() || (path == tidegate_api::agent::ENROL && status.is_success()) => Outcome::Known,
        _ => Outcome::Open,
    };
    app.rates.settle(payer, token, outcome);
    response
}

/// What is not counted: whoever asks whether the server lives, the parts of pages, and agents, which come by the thousand through
/// one address after a start.
fn is_free(path: &str) -> bool {
    let agents = path.starts_with("/agent/") && path != tidegate_api::agent::ENROL;
    agents || path.starts_with("/assets/") || path == "/healthz" || path == "/readyz"
}

fn token(rates: &Rates, headers: &HeaderMap) -> Option<u64> {
    access::bearer(headers).or_else(|| access::cookie(headers)).map(|secret| rates.hasher.hash_one(secret))
}

/// Where a request comes from. Of addresses of version 6 the network, as a host may have any number of them.
fn from(address: AddressFrom, request: &Request) -> IpAddr {
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let told = match address {
        AddressFrom::Connection => None,
        AddressFrom::Proxy => forwarded(request.headers()),
    };
    let network = |ip: Ipv6Addr| Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
    match told.or(connection).map(|ip| ip.to_canonical()) {
        Some(IpAddr::V6(ip)) => network(ip).into(),
        Some(ip @ IpAddr::V4(_)) => ip,
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The last entry is what the proxy in front has seen itself; those before it may say anything.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

fn come_back(app: &App, path: &str, wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let what = "there were too many requests in a short time";
    let no = No::Refused(Refusal::new(Code::RateLimited, what, format!("come back in {seconds} s, and ask less often")));
    let mut response = if crate::answer::is_for_programs(path) {
        no.into_response()
    } else {
        crate::pages::no_page(&crate::pages::nobody(app, path), &no)
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::{BURST, Duration, PLACES_MAX, Places};

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn ten_seconds_worth_may_come_at_once_and_then_one_after_the_other() {
        let places: Places<u32> = Places::new(5);
        let at_once = (0..1_000).take_while(|_| places.take(1, START).is_ok()).count();
        assert_eq!(at_once as u64, 5 * BURST.as_secs());
        assert_eq!(places.take(1, START), Err(Duration::from_millis(200)));
        assert_eq!(places.take(2, START), Ok(()), "somebody else");
        assert_eq!(places.take(1, START + Duration::from_millis(200)), Ok(()));
        assert!(places.take(1, START + Duration::from_millis(200)).is_err());
    }

    #[test]
    fn what_is_given_back_may_be_taken_again() {
        let places: Places<u32> = Places::new(1);
        while places.take(1, START).is_ok() {}
        places.give_back(&1, START);
        assert_eq!(places.take(1, START), Ok(()));
        assert!(places.take(1, START).is_err());
    }

    #[test]
    fn no_more_are_remembered_than_there_are_places_and_those_beyond_share_one() {
        let places: Places<usize> = Places::new(1);
        for key in 0..2 * PLACES_MAX {
            let _ = places.take(key, START);
        }
        assert_eq!(places.inner().whole_at.len(), PLACES_MAX);
        assert!(places.take(3 * PLACES_MAX, START).is_err(), "the shared place is empty");
        let later = START + BURST * 2;
        assert_eq!(places.take(3 * PLACES_MAX, later), Ok(()), "places of those who are gone are given away");
        assert_eq!(places.inner().whole_at.len(), 1);
    }

    #[test]
    fn without_a_bound_nothing_is_remembered() {
        let places: Places<usize> = Places::new(0);
        assert!((0..1_000).all(|key| places.take(key, START).is_ok()));
        places.admit(1, START);
        assert!(places.inner().whole_at.is_empty());
    }
}
