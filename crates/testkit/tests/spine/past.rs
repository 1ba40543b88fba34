//! Databases of earlier programs: opened, migrated, read whole, and gone on with. Where they come from: `fixtures/README.md`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tidegate_api::definition::NamedStrategy;
use tidegate_domain::Digest;
use tidegate_domain::access::{Person, Token};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::deployment::order::Order;
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Deployment, TargetProgress};
use tidegate_domain::estate::{Application, Component, Environment, Slot, TargetRecord};
use tidegate_domain::release::Release;
use tidegate_store::{Filter, Order as Sorted, PageRequest, Record, Store};
use tidegate_testkit::{Api, TestServer, config};

use crate::browser::Browser;

fn fixtures() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(folder).expect("the fixtures").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "gz")).collect();
    found.sort();
    assert!(found.len() >= 3, "{found:?}");
    found
}

/// Unpacks a fixture as the database of a data folder.
fn unpacked(fixture: &Path, data: &Path) -> String {
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(fixture).expect("a fixture");
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("it is whole");
    std::fs::create_dir(data).expect("a folder");
    std::fs::write(data.join("tidegate.db"), bytes).expect("there is room");
    format!("sqlite:{}", data.join("tidegate.db").display())
}

async fn all<T: Record>(store: &Store) -> Vec<T> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { order: Sorted::ByName, after, limit: 100 };
        let page = store.list::<T>(&Filter::default(), &page).await.unwrap_or_else(|fault| panic!("{}: {fault}", T::NOUN));
        found.extend(page.rows.into_iter().map(|row| row.value));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(found.len() as u64, store.count::<T>(&Filter::default()).await.expect("a count"));
    found
}

/// Everything that is stored, as today's types; how much it was.
async fn read(store: &Store) -> usize {
    let mut read = all::<Application>(store).await.len() + all::<Component>(store).await.len();
    read += all::<Environment>(store).await.len() + all::<NamedStrategy>(store).await.len();
    read += all::<Artifact>(store).await.len() + all::<Change>(store).await.len() + all::<Release>(store).await.len();
    read += all::<Freeze>(store).await.len() + all::<Slot>(store).await.len();
    read += all::<Person>(store).await.len() + all::<Token>(store).await.len();
    for target in all::<TargetRecord>(store).await {
        assert!(store.open_orders(&target.target.name).await.expect("orders").is_empty(), "the story was over");
        read += 1;
    }
    for deployment in all::<Deployment>(store).await {
        let plan = store.document(&deployment.plan).await.expect("a read").expect("the plan is kept");
        let digest = Digest::of(plan.as_bytes());
        assert_eq!(digest, deployment.plan, "the plan of {} is still the one that was approved", deployment.id);
        serde_json::from_str::<Plan>(&plan).unwrap_or_else(|error| panic!("plan of {}: {error}", deployment.id));
        for row in store.targets_of(&deployment.id).await.expect("targets") {
            serde_json::from_str::<TargetProgress>(&row.body).expect("a target's progress");
            read += 1;
        }
        read += 1;
    }
    read
}

#[tokio::test]
async fn every_database_of_the_past_is_migrated_and_read_whole() {
    for fixture in fixtures() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = unpacked(&fixture, &folder.path().join("data"));
        let store = Store::open(&url).await.unwrap_or_else(|fault| panic!("{}: {fault}", fixture.display()));
        let verified = store.verify().await.expect("a walk");
        assert!(verified.broken.is_none() && verified.events > 500, "{}: {verified:?}", fixture.display());
        let read = read(&store).await;
        println!("{}: {read} things, {} events", fixture.display(), verified.events);
        assert!(read > 90, "{}: {read}", fixture.display());
        store.close().await;
        assert!(read_orders(&url).await > 20, "{}", fixture.display());
        // What was migrated once is as new: opened again, nothing is left to do.
        Store::open(&url).await.expect("it opens again").close().await;
    }
}

/// Every order as today's type; how many there are. The store itself hands out the open ones alone.
async fn read_orders(url: &str) -> usize {
    let mut connection = SqliteConnection::connect(url).await.expect("it opens");
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM orders").fetch_all(&mut connection).await.expect("orders");
    for body in &bodies {
        serde_json::from_str::<Order>(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    }
    connection.close().await.expect("it closes");
    bodies.len()
}

#[tokio::test]
async fn what_works_beside_a_server_leaves_the_database_of_an_earlier_one_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let url = unpacked(&fixtures()[0], &data);
    let (config, to) = (config(&data), folder.path().join("backup"));
    let refused = tidegate_server::backup(&config, &to).await.expect_err("it may be running").to_string();
    assert!(refused.contains("of an older program"), "{refused}");
    assert!(!to.exists());
    assert!(tidegate_server::login_link(&config, "admin").await.is_err());
    let mut connection = SqliteConnection::connect(&url).await.expect("it opens");
    let version: i64 = sqlx::query_scalar("SELECT version FROM schema_version").fetch_one(&mut connection).await.expect("a row");
    assert_eq!(version, 1);
    connection.close().await.expect("it closes");
    // Once a server has migrated it, all of it works.
    TestServer::start(&data).await.running.stop().await;
    tidegate_server::backup(&config, &to).await.expect("a backup");
}

/// The ids of a list.
async fn ids(api: &Api, list: &str) -> Vec<String> {
    let rows = api.get(&format!("/{list}?limit=200")).await.good()["rows"].clone();
    let id = |row: &Value| row.pointer("/value/id").or(row.pointer("/deployment/id")).or(row.get("id")).cloned();
    let ids = rows.as_array().expect("rows").iter().map(|row| id(row).unwrap_or_else(|| panic!("{row}")));
    ids.map(|id| id.as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_server_shows_every_database_of_the_past_and_goes_on_with_it() {
    for fixture in fixtures() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        unpacked(&fixture, &data);
        let server = TestServer::start(&data).await;
        assert!(server.running.login_link.is_none(), "the people are there");
        let api = &server.admin;
        let before = api.events().await;
        let mut browser = Browser::new(&server);
        browser.sign_in(&server.running).await;
        for list in ["deployments", "changes", "releases", "freezes"] {
            let ids = ids(api, list).await;
            assert!(!ids.is_empty(), "{list}");
            for id in ids {
                api.get(&format!("/{list}/{id}")).await.good();
                if list == "freezes" {
                    continue;
                }
                let page = browser.get(&format!("/{list}/{id}")).await;
                assert_eq!(page.status, 200, "{}: {id}: {}", fixture.display(), page.text);
            }
        }
        for page in ["/", "/calendar", "/environments", "/targets", "/artifacts", "/audit", "/people", "/freezes"] {
            assert_eq!(browser.get(page).await.status, 200, "{}: {page}", fixture.display());
        }
        let content =
            json!({"title": "goes on", "class": "normal", "application": ids_of(api).await, "environments": ["staging"]});
        let written = api.post("/changes", &json!({ "content": content })).await.good();
        let id = written["value"]["id"].as_str().expect("an id");
        api.post(&format!("/changes/{id}/submit"), &json!({})).await.good();
        assert!(api.events().await > before, "and the history holds together");
        server.running.stop().await;
    }
}

/// The one application of the story.
async fn ids_of(api: &Api) -> Value {
    api.get("/applications").await.good()["rows"][0]["value"]["name"].clone()
}
