//! The desk: what it keeps in memory, and who is named for what it decides together.

use serde_json::{Value, json};
use tidegate_domain::Name;
use tidegate_domain::deployment::order::{Order, Outcome};
use tidegate_domain::deployment::rollout::State;
use tidegate_testkit::{Estate, Fleet, TestServer, report};

use crate::stage::name;

const PLANNED: usize = 30;

/// Waits until as many deployments are in memory as there should be; a round that is under way holds one for a moment.
async fn comes_to(server: &TestServer, size: usize) {
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.running.app.desk.size() != size {
        assert!(tokio::time::Instant::now() < patience, "{} deployments are in memory", server.running.app.desk.size());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_under_way_is_not_kept_however_often_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let (admin, app) = (&server.admin, &server.running.app);
    let estate = Estate::define(admin, 2).await;
    let names: Vec<Name> = vec![name("t-01"), name("t-02")];
    Fleet::enrol(admin, &names).await;
    estate.bring("1.0").await;
    let mut planned = Vec::new();
    for _ in 0..PLANNED {
        let answer = estate.plan("1.0", json!({})).await.good();
        planned.push(answer["deployment"]["id"].as_str().expect("an id").to_owned());
    }
    for id in planned.iter().chain([&planned[0], &planned[0]]) {
        let path = format!("/deployments/{id}");
        let answers = futures_util::future::join_all((0..5).map(|_| admin.get(&path))).await;
        answers.into_iter().for_each(|answer| drop(answer.good()));
    }
    assert_eq!(app.desk.size(), 0, "planned ones were only read");
    admin.get("/deployments/DEP-none").await.refused();
    // A command that is refused leaves nothing either.
    assert_eq!(admin.post(&format!("/deployments/{}/resume", planned[0]), &json!({})).await.refused(), "409 state_forbids");
    assert_eq!(app.desk.size(), 0);
    let id = estate.deploy("1.0", json!({})).await;
    comes_to(&server, 1).await;
    Fleet::new(names, |_| Outcome::Healthy).until(app, &id, |it| it.state == State::Succeeded).await;
    admin.get(&format!("/deployments/{id}")).await.good();
    comes_to(&server, 0).await;
    server.running.stop().await;
}

const REPORTING: usize = 10;

#[tokio::test]
async fn of_reports_decided_together_each_keeps_its_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let (admin, app) = (&server.admin, &server.running.app);
    let estate = Estate::define(admin, REPORTING).await;
    let names: Vec<Name> = (1..=REPORTING).map(|number| name(&format!("t-{number:02}"))).collect();
    Fleet::enrol(admin, &names).await;
    estate.bring("1.0").await;
    let id = estate.deploy("1.0", json!({})).await;
    let mut orders: Vec<Order> = Vec::new();
    while orders.len() < REPORTING {
        tokio::task::yield_now().await;
        let rows = futures_util::future::join_all(names.iter().map(|name| app.store.open_orders(name))).await;
        let rows = rows.into_iter().flat_map(|rows| rows.expect("a read"));
        orders = rows.map(|row| serde_json::from_str(&row.body).expect("an order")).collect();
    }
    for outcome in [Outcome::InProgress, Outcome::Healthy] {
        let before = admin.events().await;
        // While the first is being stored the others come together on the pile.
        let reported = futures_util::future::join_all(orders.iter().map(|order| report(app, order, outcome))).await;
        reported.into_iter().for_each(|reported| reported.expect("it is taken"));
        let told = admin.get(&format!("/events?limit=200&after={before}")).await.good();
        let told = told["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| ["target_reported", "attested"].contains(&text(row, "kind")));
        let mut count = 0;
        for row in told {
            let target = row["body"]["target"].as_str().unwrap_or_else(|| text(&row["stream"], "id"));
            assert_eq!(text(row, "actor"), format!("agent:{target}"), "{row}");
            assert_eq!(text(row, "cause"), format!("report {id}:{target}:1"), "{row}");
            count += 1;
        }
        assert_eq!(count, if outcome == Outcome::Healthy { 2 * REPORTING } else { REPORTING });
    }
    server.running.stop().await;
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}
