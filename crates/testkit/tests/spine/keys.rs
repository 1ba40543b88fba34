//! A command that is repeated has one effect; a decision on an old version is refused; pages have neither holes nor repeats.
//! Each case runs on both databases.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Api, Estate, TestServer, on_postgres};

use crate::stage::content;

/// Makes two tests of each case.
macro_rules! on_both {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let folder = tempfile::tempdir().expect("a folder");
                let server = tidegate_testkit::TestServer::at_rest(folder.path()).await;
                crate::keys::$case(&server).await;
                server.running.stop().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::keys::with_database(async |server| crate::keys::$case(server).await).await;
            })*
        }
    };
}

on_both! {
    the_same_command_twice_has_one_effect_and_one_answer,
    two_at_the_same_moment_have_one_effect,
    an_answer_with_a_secret_is_given_once,
    a_decision_on_an_old_version_is_refused,
    of_two_decisions_on_one_version_one_is_made,
    pages_have_no_hole_and_no_repeat_while_things_come,
    lists_are_filtered_and_ordered,
}

async fn with_database(case: impl AsyncFn(&TestServer)) {
    let run = on_postgres(|url| async {
        let folder = tempfile::tempdir().expect("a folder");
        let server = TestServer::on_database(folder.path(), url).await;
        case(&server).await;
        server.running.stop().await;
    });
    if let Err(skipped) = run.await {
        println!("{skipped}");
    }
}

async fn write(api: &Api, title: &str) -> Value {
    api.post("/changes", &json!({"content": content(title)})).await.good()
}

fn id(stored: &Value) -> &str {
    stored["value"]["id"].as_str().expect("an id")
}

/// How many events people caused; what the orchestrator does about them comes when it comes.
async fn by_people(admin: &Api) -> usize {
    let page = admin.get("/events?limit=200").await.good();
    let rows = page["rows"].as_array().expect("rows");
    assert!(rows.len() < 200, "there are more than one page shows");
    rows.iter().filter(|row| row["actor"].to_string().contains("person")).count()
}

async fn the_same_command_twice_has_one_effect_and_one_answer(server: &TestServer) {
    let admin = &server.admin;
    let estate = Estate::define(admin, 2).await;
    estate.bring("1.0").await;
    let change = id(&write(admin, "for later").await).to_owned();
    let plan = json!({"application": "shop", "environment": "test", "versions": {"shop": "1.0"}});
    let planned = admin.post("/deployments", &plan).await.good();
    let deployment = planned["deployment"]["id"].as_str().expect("an id").to_owned();
    let freeze = json!({"name": "f", "reason": "r", "environments": ["test"], "from_ms": server.now_ms() + 1_000,
        "until_ms": server.now_ms() + 2_000});
    let release = json!({"application": "shop", "version": "1", "title": "x", "versions": {"shop": "1.0"}});
    let commands = [
        ("/changes".to_owned(), json!({"content": content("once")})),
        (format!("/changes/{change}/submit"), json!({})),
        ("/releases".to_owned(), release),
        ("/freezes".to_owned(), freeze),
        ("/definitions".to_owned(), json!({"definitions": [{"application": {"name": "new"}}]})),
        ("/deployments".to_owned(), plan),
        (format!("/deployments/{deployment}/start"), json!({"otherwise": "wait"})),
        (format!("/deployments/{deployment}/stop"), json!({"reason": "enough"})),
    ];
    for (number, (path, body)) in commands.iter().enumerate() {
        let key = format!("key-number-{number}");
        let before = by_people(admin).await;
        let first = admin.post_once(path, body, &key).await;
        assert_eq!(first.headers["tidegate-answer"], "fresh", "{path}: {}", first.body);
        let first = first.good();
        let after = by_people(admin).await;
        assert!(after > before, "{path}");
        let second = admin.post_once(path, body, &key).await;
        assert_eq!(second.headers["tidegate-answer"], "replayed", "{path}: {}", second.body);
        assert_eq!(second.good(), first, "{path}");
        let mut other = body.clone();
        other["reason"] = json!("other words");
        let other = admin.post_once(path, &other, &key).await.refused();
        // An unknown field is noticed before the key is.
        assert!(["409 idempotency_conflict", "400 unknown_field"].contains(&other.as_str()), "{path}: {other}");
        assert_eq!(
            admin.post_once("/changes", &json!({"content": content("other")}), &key).await.refused(),
            "409 idempotency_conflict"
        );
        assert_eq!(by_people(admin).await, after, "{path}: a repeat was carried out");
    }
    for key in ["short", &"x".repeat(129)] {
        let answer = admin.post_once("/changes", &json!({"content": content("x")}), key).await;
        assert_eq!(answer.refused(), "400 malformed");
    }
    // The key is its sender's own.
    let other = server.person("otto", json!([{"role": "developer", "scope": "all"}])).await;
    let his = other.post_once("/changes", &json!({"content": content("his")}), "key-number-0").await.good();
    assert_eq!(his["value"]["author"], "otto");
}

async fn two_at_the_same_moment_have_one_effect(server: &TestServer) {
    let admin = &server.admin;
    Estate::define(admin, 1).await;
    let before = admin.events().await;
    for round in 0..5 {
        let key = format!("at-once-{round}");
        let body = json!({"content": content("at once")});
        let answers = futures_util::future::join_all((0..6).map(|_| admin.post_once("/changes", &body, &key))).await;
        let answers: BTreeSet<String> = answers.into_iter().map(|answer| answer.good().to_string()).collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    assert_eq!(admin.events().await, before + 5);
}

async fn an_answer_with_a_secret_is_given_once(server: &TestServer) {
    let admin = &server.admin;
    Estate::define(admin, 1).await;
    let token = json!({"person": "admin", "label": "one", "valid_seconds": 60});
    for (path, body) in [("/tokens", token), ("/targets/t-01/enrolment", json!({}))] {
        let before = admin.events().await;
        let key = format!("secret{}", path.replace('/', "-"));
        let made = admin.post_once(path, &body, &key).await.good();
        let again = admin.post_once(path, &body, &key).await;
        assert_eq!(again.refused(), "409 idempotency_conflict");
        assert!(!again.body.to_string().contains(made["secret"].as_str().or(made["token"].as_str()).expect("a secret")));
        assert_eq!(admin.events().await, before + 1);
    }
}

async fn a_decision_on_an_old_version_is_refused(server: &TestServer) {
    let admin = &server.admin;
    let estate = Estate::define(admin, 1).await;
    estate.bring("1.0").await;
    let change = id(&write(admin, "one").await).to_owned();
    let path = format!("/changes/{change}");
    let seen = admin.get(&path).await.headers["etag"].to_str().expect("text").to_owned();
    assert_eq!(seen, "\"1\"");
    let edit = |etag: String, title: &str| {
        let request = admin.request(reqwest::Method::PUT, &path).header("if-match", etag).json(&content(title));
        admin.send(request)
    };
    let edited = edit(seen.clone(), "two").await;
    assert_eq!(edited.headers["etag"], "\"2\"", "{}", edited.body);
    assert_eq!(edit(seen, "three").await.refused(), "412 stale_version");
    assert_eq!(edit("yesterday".into(), "three").await.refused(), "400 malformed");
    assert_eq!(admin.get(&path).await.good()["value"]["content"]["title"], "two");
    // A deployment's view has its version in the header alone.
    let planned = estate.plan("1.0", json!({})).await;
    assert_eq!(planned.headers["etag"], "\"1\"");
    let deployment = format!("/deployments/{}", planned.good()["deployment"]["id"].as_str().expect("an id"));
    assert_eq!(admin.get(&deployment).await.headers["etag"], "\"1\"");
    let attached = admin.post(&format!("{deployment}/change"), &json!({"change": change})).await;
    assert_eq!(attached.headers["etag"], "\"2\"", "{}", attached.body);
    let request = admin.request(reqwest::Method::POST, &format!("{deployment}/stop")).header("if-match", "\"1\"");
    assert_eq!(admin.send(request.json(&json!({"reason": "x"}))).await.refused(), "412 stale_version");
}

const ROUNDS: usize = 40;

async fn of_two_decisions_on_one_version_one_is_made(server: &TestServer) {
    let admin = &server.admin;
    let estate = Estate::define(admin, 1).await;
    estate.bring("1.0").await;
    let mut changes = Vec::new();
    for title in ["one", "two", "three"] {
        changes.push(id(&write(admin, title).await).to_owned());
    }
    let planned = estate.plan("1.0", json!({})).await.good();
    let path = format!("/deployments/{}", planned["deployment"]["id"].as_str().expect("an id"));
    for round in 0..ROUNDS {
        let seen = admin.get(&path).await;
        let attached = seen.body["deployment"]["change"].as_str().unwrap_or_default().to_owned();
        let etag = &seen.headers["etag"];
        let attach = |change: &String| {
            let request = admin.request(reqwest::Method::POST, &format!("{path}/change")).header("if-match", etag);
            admin.send(request.json(&json!({"change": change})))
        };
        let two = changes.iter().filter(|change| **change != attached).take(2).map(attach);
        let mut told: Vec<String> = futures_util::future::join_all(two).await.iter().map(told).collect();
        told.sort();
        assert_eq!(told, ["200", "412 stale_version"], "round {round}");
    }
}

fn told(answer: &Answer) -> String {
    if answer.status.is_success() { answer.status.as_u16().to_string() } else { answer.refused() }
}

async fn pages_have_no_hole_and_no_repeat_while_things_come(server: &TestServer) {
    let admin = &server.admin;
    Estate::define(admin, 1).await;
    let mut known = BTreeSet::new();
    for batch in 0..30 {
        // Several at one instant: the id has to break the tie.
        server.pass_ms(1);
        let titles: Vec<String> = (0..10).map(|number| format!("change {batch}.{number}")).collect();
        let written = futures_util::future::join_all(titles.iter().map(|title| write(admin, title))).await;
        known.extend(written.iter().map(|stored| id(stored).to_owned()));
    }
    for sort in ["newest", "oldest", "name"] {
        let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = admin.get(&format!("/changes?limit=37&sort={sort}{after}")).await.good();
            seen.extend(page["rows"].as_array().expect("rows").iter().map(|row| id(row).to_owned()));
            pages += 1;
            server.pass_ms(1);
            write(admin, "one that came meanwhile").await;
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let once: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "{sort}: something came twice");
        assert!(known.is_subset(&once), "{sort}: something was left out");
        assert!(pages >= 9, "{sort}: {pages} pages");
        known = once;
    }
}

async fn lists_are_filtered_and_ordered(server: &TestServer) {
    let admin = &server.admin;
    Estate::define(admin, 1).await;
    let more = json!({"definitions": [{"application": {"name": "books"}}, {"environment": {"name": "lab", "tier": "test"}}]});
    admin.post("/definitions", &more).await.good();
    for (title, application, environments) in
        [("alpha 100%", "shop", json!(["test"])), ("beta_x", "books", json!(["lab"])), ("gamma", "books", json!(["test", "lab"]))]
    {
        server.pass_ms(10);
        let mut content = content(title);
        content["application"] = json!(application);
        content["environments"] = environments;
        let written = admin.post("/changes", &json!({"content": content})).await.good();
        if title == "gamma" {
            admin.post(&format!("/changes/{}/submit", id(&written)), &json!({})).await.good();
        }
    }
    let titles = async |query: &str| {
        let page = admin.get(&format!("/changes?{query}")).await.good();
        let title = |row: &Value| row["value"]["content"]["title"].as_str().expect("a title").to_owned();
        page["rows"].as_array().expect("rows").iter().map(title).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(titles("").await, "gamma, beta_x, alpha 100%");
    assert_eq!(titles("sort=oldest").await, "alpha 100%, beta_x, gamma");
    assert_eq!(titles("application=books").await, "gamma, beta_x");
    assert_eq!(titles("environment=lab").await, "beta_x");
    assert_eq!(titles("state=draft").await, "beta_x, alpha 100%");
    assert_eq!(titles("state=draft,awaiting_authorisation&limit=2").await, "gamma, beta_x");
    assert_eq!(titles("state=nonsense").await, "");
    assert_eq!(titles("text=ALPHA").await, "alpha 100%");
    assert_eq!(titles("text=100%25").await, "alpha 100%");
    assert_eq!(titles("text=_x").await, "beta_x");
    assert_eq!(titles("text=%25").await, "alpha 100%");
}
