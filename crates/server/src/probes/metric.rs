//! Metric probes: text endpoints of targets, or a Prometheus server.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tidegate_domain::deployment::plan::PlannedTarget;
use tidegate_domain::gate::metric::{Metric, Selector, Source};
use tidegate_domain::gate::{Counters, Reading};
use tokio::time::timeout;

use super::{TOGETHER_MAX, addresses, body, prometheus};
use crate::app::App;

/// Longest time one answer may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Reads the number, or the counters it is made of.
pub async fn read(app: &App, gate: &Metric, targets: &[PlannedTarget]) -> Reading {
    let reading = match &gate.source {
        Source::Endpoint { url, numerator, denominator } => match addresses(url, targets) {
            Ok(urls) => endpoints(app, urls, (numerator, denominator.as_ref())).await,
            Err(error) => Err(error),
        },
        Source::Prometheus { server, query } => ask(app, server, query).await,
    };
    reading.unwrap_or_else(Reading::Error)
}

async fn endpoints(
    app: &App,
    urls: Vec<(String, String)>,
    (numerator, denominator): (&Selector, Option<&Selector>),
) -> Result<Reading, String> {
    let read = |(source, url)| async move { fetch(app, url).await.map(|text| (source, text)) };
    let texts: Vec<Result<(String, String), String>> =
        futures_util::stream::iter(urls).map(read).buffered(TOGETHER_MAX).collect().await;
    let texts = texts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let Some(denominator) = denominator else {
        let values: Vec<f64> = texts.iter().filter_map(|(_, text)| prometheus::sum(text, numerator)).collect();
        return Ok(if values.is_empty() { Reading::NoData } else { Reading::Value(values.iter().sum()) });
    };
    let counters = |(source, text): &(String, String)| {
        let denominator = prometheus::sum(text, denominator)?;
        // A counter that has not counted anything yet is not listed by many libraries: nothing bad yet.
        Some((source.clone(), Counters { numerator: prometheus::sum(text, numerator).unwrap_or(0.0), denominator }))
    };
    let read: BTreeMap<String, Counters> = texts.iter().filter_map(counters).collect();
    Ok(if read.is_empty() { Reading::NoData } else { Reading::Counters(read) })
}

async fn fetch(app: &App, url: String) -> Result<String, String> {
    let asked = async {
        let response = app.http.get(&url).send().await.map_err(|_| format!("{url} does not answer"))?;
        if !response.status().is_success() {
            return Err(format!("{url} answers {}", response.status().as_u16()));
        }
        body(response).await
    };
    timeout(WITHIN, asked).await.unwrap_or_else(|_| Err(format!("{url} took more than {} s", WITHIN.as_secs())))
}

/// An instant query; the first sample is the number.
async fn ask(app: &App, server: &str, query: &str) -> Result<Reading, String> {
    let url = format!("{}/api/v1/query", server.trim_end_matches('/'));
    let asked = async {
        let response =
            app.http.get(&url).query(&[("query", query)]).send().await.map_err(|_| format!("{url} does not answer"))?;
        let answer: Value =
            serde_json::from_str(&body(response).await?).map_err(|_| format!("{url} does not answer with JSON"))?;
        if answer["status"] != "success" {
            return Err(format!("{url}: {}", answer["error"].as_str().unwrap_or("the query failed")));
        }
        let data = &answer["data"];
        let sample = if data["resultType"] == "scalar" { &data["result"][1] } else { &data["result"][0]["value"][1] };
        Ok(match sample.as_str().map(str::parse::<f64>) {
            Some(Ok(value)) => Reading::Value(value),
            Some(Err(_)) | None => Reading::NoData,
        })
    };
    timeout(WITHIN, asked).await.unwrap_or_else(|_| Err(format!("{url} took more than {} s", WITHIN.as_secs())))
}
