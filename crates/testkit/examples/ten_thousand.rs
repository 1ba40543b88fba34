//! Figures with ten thousand targets, as one JSON object: planning them in twenty waves, and a restart with all of them in flight.
//!
//! Floors stand beside them: hashing the plan's bytes alone, and reading the deployment's rows alone.

use std::io::Write as _;
use std::time::Instant;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::{Digest, Id, Name, canonical};
use tidegate_server::clock::Clock;
use tidegate_server::deployment::desk;
use tidegate_testkit::{Estate, Fleet, TestServer};

const TARGETS: usize = 10_000;
/// Enrolments under way at once.
const TOGETHER: usize = 64;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let estate = Estate::define(&server.admin, TARGETS).await;
    let names: Vec<Name> = (1..=TARGETS).map(|number| Name::parse(&format!("t-{number:02}")).expect("a name")).collect();
    let enrolments = names.chunks(1).map(|one| Fleet::enrol(&server.admin, one));
    futures_util::stream::iter(enrolments).buffer_unordered(TOGETHER).collect::<Vec<()>>().await;
    estate.bring("1.0").await;
    let plan = plan(&server, &estate).await;
    let restart = restart(server, folder.path()).await;
    writeln!(std::io::stdout(), "{}", json!({"targets": TARGETS, "plan": plan, "restart": restart})).expect("somebody reads");
}

/// A plan of twenty waves, over the API, its way back and its rows stored.
async fn plan(server: &TestServer, estate: &Estate<'_>) -> Value {
    let begun = Instant::now();
    let planned = estate.plan("1.0", json!({"cut": {"rolling": {"batches": ["5%"]}}})).await.good();
    let seconds = begun.elapsed().as_secs_f64();
    let digest = planned["deployment"]["plan"].as_str().expect("a digest");
    let plan = desk::plan(&server.running.app, &Digest::parse(digest).expect("a digest")).await.expect("a plan");
    assert_eq!(plan.waves.len(), 20);
    let text = canonical::text(&plan);
    let begun = Instant::now();
    let hashed = Digest::of(text.as_bytes());
    let floor_seconds = begun.elapsed().as_secs_f64();
    assert_eq!(hashed.as_str(), digest);
    json!({"seconds": seconds, "waves": plan.waves.len(), "bytes": text.len(), "hash_alone_seconds": floor_seconds})
}

/// All ten thousand are ordered at once; then the server is started again.
async fn restart(server: TestServer, folder: &std::path::Path) -> Value {
    let estate_api = server.admin.clone();
    let request = json!({"application": "shop", "environment": "test", "versions": {"shop": "1.0"},
        "strategy": {"inline": {"unreachable_after_seconds": 3600}}});
    let planned = estate_api.post("/deployments", &request).await.good();
    let id = Id::parse(planned["deployment"]["id"].as_str().expect("an id")).expect("an id");
    let begun = Instant::now();
    estate_api.post(&format!("/deployments/{id}/start"), &json!({})).await.good();
    while in_flight(&server, &id).await < TARGETS as u32 {
        tokio::task::yield_now().await;
    }
    let ordered_seconds = begun.elapsed().as_secs_f64();
    server.running.stop().await;
    let begun = Instant::now();
    let server = TestServer::with(tidegate_testkit::config(folder), Clock::System, None).await;
    let started_seconds = begun.elapsed().as_secs_f64();
    // The first order is there for its agent as soon as its poll is answered from the store.
    let first = Name::parse("t-01").expect("a name");
    assert_eq!(server.running.app.store.open_orders(&first).await.expect("a read").len(), 1);
    let first_order_seconds = begun.elapsed().as_secs_f64();
    // And the orchestrator has the whole deployment in hand when it has looked at it once.
    desk::look(&server.running.app, &id).await.expect("a look");
    let looked_seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    assert_eq!(server.running.app.store.targets_of(&id).await.expect("a read").len(), TARGETS);
    let rows_alone_seconds = begun.elapsed().as_secs_f64();
    server.running.stop().await;
    json!({"ordered_seconds": ordered_seconds, "started_seconds": started_seconds, "first_order_seconds": first_order_seconds,
        "looked_seconds": looked_seconds, "rows_alone_seconds": rows_alone_seconds})
}

async fn in_flight(server: &TestServer, id: &Id) -> u32 {
    let found = server.running.app.store.load::<Deployment>(id.as_str()).await.expect("a read").expect("a deployment");
    found.value.in_flight()
}
