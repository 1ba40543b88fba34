//! What the service counts about its users' requests, in the Prometheus text format.
//!
//! Probes (`/health`, `/version`, `/metrics`) are not counted, so that a share of failed requests is a share of the users'
//! requests. Every series exists from the start with 0: no data is then never mistaken for no failure.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

/// The routes that are counted; `OTHER` is everything that is no route.
const ROUTES: [&str; 4] = ["/entries", "/accounts/{id}/balance", "/accounts/{id}/statement", OTHER];
const OTHER: &str = "other";
const PROBES: [&str; 3] = ["/health", "/version", "/metrics"];

/// Upper bounds in microseconds, as text in seconds; the last bucket has none.
const BUCKETS: [(u128, &str); 6] =
    [(1_000, "0.001"), (5_000, "0.005"), (25_000, "0.025"), (100_000, "0.1"), (500_000, "0.5"), (u128::MAX, "+Inf")];
const CODES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: [Counts; ROUTES.len()],
}

#[derive(Debug, Default)]
struct Counts {
    codes: [AtomicU64; CODES.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    microseconds: AtomicU64,
}

impl Metrics {
    /// Counts one answered request; `path` is the route that matched, if one did.
    pub fn record(&self, path: Option<&str>, status: StatusCode, took: Duration) {
        let path = path.unwrap_or(OTHER);
        if PROBES.contains(&path) {
            return;
        }
        let route = ROUTES.iter().position(|route| *route == path).unwrap_or(ROUTES.len() - 1);
        let code = match status.as_u16() {
            0..400 => 0,
            400..500 => 1,
            500.. => 2,
        };
        let bucket = BUCKETS.iter().position(|(bound, _)| took.as_micros() <= *bound).unwrap_or(BUCKETS.len() - 1);
        let counts = &self.routes[route];
        counts.codes[code].fetch_add(1, Ordering::Relaxed);
        counts.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        counts.microseconds.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// The text that Prometheus, and Tidegate's metric gate, read.
    pub fn text(&self, version: &str) -> String {
        let mut out = String::with_capacity(4 << 10);
        out.push_str("# HELP ledger_info What runs.\n# TYPE ledger_info gauge\n");
        line(&mut out, format_args!("ledger_info{{version=\"{version}\"}} 1"));
        out.push_str(
            "# HELP ledger_requests_total Answered requests, probes not counted.\n# TYPE ledger_requests_total counter\n",
        );
        for (route, counts) in ROUTES.iter().zip(&self.routes) {
            for (code, count) in CODES.iter().zip(&counts.codes) {
                let count = count.load(Ordering::Relaxed);
                line(&mut out, format_args!("ledger_requests_total{{code=\"{code}\",route=\"{route}\"}} {count}"));
            }
        }
        out.push_str("# HELP ledger_request_seconds How long answers took.\n# TYPE ledger_request_seconds histogram\n");
        for (route, counts) in ROUTES.iter().zip(&self.routes) {
            counts.histogram(&mut out, route);
        }
        out
    }
}

impl Counts {
    fn histogram(&self, out: &mut String, route: &str) {
        let mut below = 0;
        for ((_, bound), count) in BUCKETS.iter().zip(&self.buckets) {
            below += count.load(Ordering::Relaxed);
            line(out, format_args!("ledger_request_seconds_bucket{{route=\"{route}\",le=\"{bound}\"}} {below}"));
        }
        let seconds = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        line(out, format_args!("ledger_request_seconds_sum{{route=\"{route}\"}} {seconds}"));
        line(out, format_args!("ledger_request_seconds_count{{route=\"{route}\"}} {below}"));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_code_and_probes_are_not() {
        let metrics = Metrics::default();
        metrics.record(Some("/entries"), StatusCode::CREATED, Duration::from_millis(1));
        metrics.record(Some("/entries"), StatusCode::INTERNAL_SERVER_ERROR, Duration::from_millis(30));
        metrics.record(Some("/health"), StatusCode::OK, Duration::from_millis(1));
        metrics.record(None, StatusCode::NOT_FOUND, Duration::from_secs(2));
        let text = metrics.text("1.1");
        let chosen: Vec<&str> = text.lines().filter(|line| line.contains("/entries") || line.contains("info{")).collect();
        expect_test::expect![[r#"
            ledger_info{version="1.1"} 1
            ledger_requests_total{code="2xx",route="/entries"} 1
            ledger_requests_total{code="4xx",route="/entries"} 0
            ledger_requests_total{code="5xx",route="/entries"} 1
            ledger_request_seconds_bucket{route="/entries",le="0.001"} 1
            ledger_request_seconds_bucket{route="/entries",le="0.005"} 1
            ledger_request_seconds_bucket{route="/entries",le="0.025"} 1
            ledger_request_seconds_bucket{route="/entries",le="0.1"} 2
            ledger_request_seconds_bucket{route="/entries",le="0.5"} 2
            ledger_request_seconds_bucket{route="/entries",le="+Inf"} 2
            ledger_request_seconds_sum{route="/entries"} 0.031
            ledger_request_seconds_count{route="/entries"} 2"#]]
        .assert_eq(&chosen.join("\n"));
        assert!(text.contains("ledger_requests_total{code=\"4xx\",route=\"other\"} 1\n"), "{text}");
        assert!(text.contains("ledger_request_seconds_bucket{route=\"other\",le=\"0.5\"} 0\n"), "{text}");
        assert!(!text.contains("/health"));
    }
}
