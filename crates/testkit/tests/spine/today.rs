//! What Today says, in a browser.

use serde_json::json;
use tidegate_domain::deployment::order::Outcome;
use tidegate_testkit::{Estate, Fleet, TestServer, WireAgent};

use crate::browser::Browser;
use crate::stage::name;

#[tokio::test]
async fn today_tells_of_programs_that_do_not_stay_up_and_of_plans_that_something_overtook() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let estate = Estate::define(&server.admin, 1).await;
    let mut fleet = Fleet::new(vec![name("t-01")], |_| Outcome::Healthy);
    Fleet::enrol(&server.admin, &[name("t-01")]).await;
    estate.bring("1.0").await;
    estate.bring("1.1").await;
    let planned = estate.plan("1.0", json!({})).await.good()["deployment"]["id"].as_str().expect("an id").to_owned();
    let mut browser = Browser::new(&server);
    browser.sign_in(&server.running).await;
    let before = browser.get("/").await.text;
    assert!(before.contains(&planned) && !before.contains("can no longer start"), "it is what comes next: {before}");
    let deployed = estate.deploy("1.1", json!({})).await;
    fleet.until(&server.running.app, &deployed, |it| it.state.is_terminal()).await;
    let mut agent = WireAgent::new(&server.admin.base, &name("t-01"), 7);
    agent.begin().await;
    let unsteady = json!([{"component": "shop", "ends": 3, "ended_seconds_ago": 4, "is_down": true, "last_words": "no <port>"},
            {"component": "invented", "ends": 2, "ended_seconds_ago": 4, "is_down": false}]);
    let poll = json!({"nonce": "n", "known": [], "wait_seconds": 0, "agent_version": "1", "unsteady": unsteady});
    agent.post("/agent/v1/poll", &poll).await.good();
    let today = browser.get("/").await.text;
    assert!(today.contains("Planned before what was verified there since"), "{today}");
    assert!(today.contains("nothing planned"), "it is not what comes next: {today}");
    assert!(today.contains("href=\"/targets/t-01\">Look</a>"), "it needs whoever looks: {today}");
    for page in [today, browser.get("/targets/t-01").await.text] {
        assert!(page.contains("shop has ended 3 times by itself in ten minutes and is down: no &lt;port&gt;"), "{page}");
    }
    assert!(browser.get("/targets").await.text.contains("shop does not stay up"));
    assert!(!browser.get("/environments").await.text.contains(&planned), "the matrix does not promise it");
    server.person("vera", json!([{"role": "viewer", "scope": "all"}])).await;
    let mut veras = Browser::new(&server);
    veras.sign_in_as(&server.running, "vera").await;
    let hers = veras.get("/").await.text;
    assert!(
        hers.contains("has ended 3 times") && hers.contains("Nothing waits for you"),
        "she reads, and can do nothing: {hers}"
    );
    // Its last line is a line of a log that people of another application may not read.
    server.admin.post("/definitions", &json!({"definitions": [{"application": {"name": "books"}}]})).await.good();
    let bert = server.person("bert", json!([{"role": "operator", "scope": {"application": "books"}}])).await;
    let mut berts = Browser::new(&server);
    berts.sign_in_as(&server.running, "bert").await;
    for path in ["/", "/targets", "/targets/t-01"] {
        let page = berts.get(path).await;
        assert!(page.status == 200 && !page.text.contains("has ended"), "{path}: {}", page.text);
    }
    assert!(bert.get("/targets/t-01").await.good()["unsteady"].is_null());
    let told = server.admin.get("/targets/t-01").await.good();
    assert_eq!(told["unsteady"][0]["component"], "shop", "nobody invents a component: {told}");
    assert_eq!(told["unsteady"].as_array().map(Vec::len), Some(1), "{told}");
    server.running.stop().await;
}
