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
    let unsteady =
        json!([{"component": "svc-api", "ends": 3, "ended_seconds_ago": 4, "is_down": true, "last_words": "no <port>"}]);
    let poll = json!({"nonce": "n", "known": [], "wait_seconds": 0, "agent_version": "1", "unsteady": unsteady});
    agent.post("/agent/v1/poll", &poll).await.good();
    let today = browser.get("/").await.text;
    assert!(today.contains("Planned before what was verified there since"), "{today}");
    assert!(today.contains("nothing planned"), "it is not what comes next: {today}");
    for page in [today, browser.get("/targets/t-01").await.text] {
        assert!(page.contains("svc-api has ended 3 times by itself and is down: no &lt;port&gt;"), "{page}");
    }
    assert!(browser.get("/targets").await.text.contains("svc-api does not stay up"));
    assert!(!browser.get("/environments").await.text.contains(&planned), "the matrix does not promise it");
    server.running.stop().await;
}
