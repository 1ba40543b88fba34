//! What was carried out elsewhere is recorded whole or not at all, once, and stays what it is: a record.

use serde_json::{Value, json};
use tidegate_testkit::{Dice, Estate, TestServer};

const HOUR_MS: i64 = 3_600_000;

struct Records {
    server: TestServer,
    now_ms: i64,
    _folder: tempfile::TempDir,
}

impl Records {
    async fn open() -> Records {
        let folder = tempfile::tempdir().expect("a folder");
        let server = TestServer::at_rest(folder.path()).await;
        Estate::define_as(&server.admin, "production", 1, json!({"tier": "production", "controlled": true})).await;
        let billing = json!([{"application": {"name": "billing"}}, {"component": {"name": "bill", "application": "billing"}}]);
        server.admin.post("/definitions", &json!({"definitions": billing})).await.good();
        let now_ms = server.now_ms();
        Records { server, now_ms, _folder: folder }
    }

    fn change(&self, reference: &str) -> Value {
        let content = json!({"title": "Raise the limit", "class": "normal", "application": "shop", "environments": ["production"],
            "versions": {"shop": "7.0"}});
        json!({"reference": reference, "content": content, "author": "eve", "written_at_ms": self.now_ms - 10 * HOUR_MS,
            "authorised_at_ms": self.now_ms - 5 * HOUR_MS, "implemented_at_ms": self.now_ms - 4 * HOUR_MS,
            "closed_at_ms": self.now_ms - 4 * HOUR_MS, "outcome": "successful"})
    }

    fn deployment(&self, reference: &str, version: &str) -> Value {
        json!({"reference": reference, "application": "shop", "environment": "production", "versions": {"shop": version},
            "started_at_ms": self.now_ms - 4 * HOUR_MS, "ended_at_ms": self.now_ms - 3 * HOUR_MS})
    }

    fn batch(changes: &[Value], deployments: &[Value]) -> Value {
        json!({"source": "ci", "changes": changes, "deployments": deployments})
    }

    async fn events(&self) -> Value {
        self.server.admin.get("/audit").await.good()["events"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_stands_beside_what_was_done_here() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    let mut deployment = it.deployment("run 1", "7.0");
    deployment["change"] = "c1".into();
    let batch = Records::batch(&[it.change("c1")], &[deployment]);
    let answer = admin.post("/records", &batch).await.good();
    assert_eq!((&answer["recorded"], &answer["known"]), (&json!(2), &json!(0)));
    let id = answer["deployments"][0].as_str().expect("an id");
    let found = admin.get(&format!("/deployments/{id}")).await.good();
    let (kept, plan) = (&found["deployment"], &found["plan"]);
    assert_eq!((&kept["state"], &kept["recorded"]["source"]), (&json!("succeeded"), &json!("ci")));
    assert_eq!(kept["change"], answer["changes"][0]);
    assert_eq!((&plan["installations"], &plan["waves"]), (&json!([]), &json!([])), "its plan orders nothing");
    let dora = admin.get("/measure/dora").await.good();
    assert_eq!((&dora["deployments"], &dora["change_lead_time_seconds"]), (&json!(1), &json!(7.0 * 3_600.0)));
    // The same again is known and writes nothing.
    let before = it.events().await;
    let again = admin.post("/records", &batch).await.good();
    assert_eq!((&again["recorded"], &again["known"], &again["deployments"]), (&json!(0), &json!(2), &answer["deployments"]));
    assert_eq!(it.events().await, before);
    // It can be looked at and not steered.
    for verb in ["start", "resume"] {
        assert_eq!(admin.post(&format!("/deployments/{id}/{verb}"), &json!({})).await.refused(), "409 state_forbids", "{verb}");
    }
    for verb in ["stop", "fall-back", "pause"] {
        let answer = admin.post(&format!("/deployments/{id}/{verb}"), &json!({"reason": "no"})).await;
        assert_eq!(answer.status.as_u16(), 409, "{verb}: {}", answer.body);
    }
    it.server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_recorded_whole_or_not_at_all() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    admin.post("/records", &Records::batch(&[], &[it.deployment("run 0", "6.0")])).await.good();
    let before = it.events().await;
    let with = |field: &str, value: Value| {
        let mut deployment = it.deployment("run 2", "7.1");
        deployment[field] = value;
        Records::batch(&[], &[it.deployment("run 1", "7.0"), deployment])
    };
    let cases = [
        ("in the future", with("ended_at_ms", json!(it.now_ms + 1))),
        ("ended before it began", with("ended_at_ms", json!(it.now_ms - 9 * HOUR_MS))),
        ("good, and yet failed", with("failed_at_ms", json!(it.now_ms - 4 * HOUR_MS))),
        ("no versions", with("versions", json!({}))),
        ("an unknown component", with("versions", json!({"shoop": "1"}))),
        ("a component of another application", with("versions", json!({"bill": "1"}))),
        ("an unknown environment", with("environment", json!("producton"))),
        ("an unknown change", with("change", json!("c9"))),
        ("an unknown release", with("release", json!("r9"))),
        ("no reference", with("reference", json!(" "))),
        ("a reference twice", with("reference", json!("run 1"))),
        ("what was recorded otherwise", with("reference", json!("run 0"))),
        ("nothing", json!({"source": "ci"})),
        ("no source", json!({"source": "", "deployments": [it.deployment("run 1", "7.0")]})),
    ];
    let mut said = String::new();
    for (what, batch) in cases {
        said.push_str(&format!("{what}: {}\n", admin.post("/records", &batch).await.problem()));
    }
    let mut plans = it.change("c1");
    plans["content"]["plans"] = json!({"production": format!("sha256:{}", "0".repeat(64))});
    said.push_str(&format!("plans: {}\n", admin.post("/records", &Records::batch(&[plans], &[])).await.problem()));
    assert_eq!(it.events().await, before, "something was stored");
    expect_test::expect![[r#"
        in the future: 400 out_of_range: ended_at_ms is not in the past at deployments[1].ended_at_ms; record what is over, with instants between 1970 and now, in milliseconds
        ended before it began: 400 out_of_range: ended_at_ms is before what comes before it at deployments[1].ended_at_ms; give the instants in their order
        good, and yet failed: 400 malformed: it names an instant of failure, and did not fail at deployments[1].failed_at_ms; leave failed_at_ms out, or say how it failed
        no versions: 400 out_of_range: it has 0 component versions at deployments[1].versions; give it 1 to 500
        an unknown component: 404 not_found: there is no component shoop; check the name; `tidegate list components` names what there is
        a component of another application: 400 malformed: component bill belongs to billing at versions; name components of shop
        an unknown environment: 404 not_found: there is no environment producton; check the name; `tidegate list environments` names what there is
        an unknown change: 404 not_found: no change "c9" of this application and source is recorded at deployments[1].change; record the change before it, or in the same batch
        an unknown release: 404 not_found: no release "r9" of this application and source is recorded at deployments[1].release; record the release before it, or in the same batch
        no reference: 400 malformed: " " is not a reference at deployments[1].reference; use 1 to 200 plain characters
        a reference twice: 400 malformed: two deployments of the batch have the reference "run 1" at deployments; give each a reference of its own
        what was recorded otherwise: 409 already_exists: "run 0" of ci was recorded otherwise before at deployments[1]; what happened does not change: leave it out, or give what is another thing another reference
        nothing: 409 nothing_to_do: there is nothing to record; give at least one release, change or deployment
        no source: 400 malformed: "" is not a source at source; use 1 to 200 plain characters
        plans: 400 malformed: it names plans, and nothing of it was planned here at changes[0].content.plans; leave the plans out
    "#]].assert_eq(&said);
    it.server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_figure_is_made_of_what_nobody_knows() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    let mut guessed = it.change("c1");
    guessed["time"] = "approximate".into();
    let (mut under, mut bad) = (it.deployment("run 1", "7.0"), it.deployment("run 2", "7.1"));
    under["change"] = "c1".into();
    // It fell back, and nobody wrote down when it was seen to fail.
    bad["outcome"] = "fell_back".into();
    admin.post("/records", &Records::batch(&[guessed], &[under, bad])).await.good();
    let dora = admin.get("/measure/dora").await.good();
    assert_eq!((&dora["deployments"], &dora["change_fail_rate"]), (&json!(2), &json!(0.5)));
    assert_eq!(dora["change_lead_time_seconds"], Value::Null, "a lead time of a guessed change");
    assert_eq!(dora["failed_deployment_recovery_time_seconds"], Value::Null, "a recovery of no time");
    it.server.running.stop().await;
}

/// Old periods are read when they are first asked for, and brought up to date afterwards: whatever was asked before, the figures
/// are those of a plain count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_any_period_are_what_a_plain_count_says() {
    let it = Records::open().await;
    let mut dice = Dice::new(20_261_127);
    let mut all: Vec<(i64, bool, i64)> = Vec::new();
    for round in 0..40 {
        // Some come in between two looks, of any time of the last three years.
        let (mut changes, mut deployments) = (Vec::new(), Vec::new());
        for number in 0..dice.below(4) {
            let (at_ms, failed) = (it.now_ms - (dice.below(1_000) as i64 + 1) * 24 * HOUR_MS, dice.one_in(3));
            let lead_hours = dice.below(90) as i64 + 1;
            let mut change = it.change(&format!("c{round}-{number}"));
            for (field, ms) in [("written_at_ms", -lead_hours * HOUR_MS), ("authorised_at_ms", 0), ("implemented_at_ms", 0)] {
                change[field] = (at_ms + HOUR_MS + ms).into();
            }
            change["closed_at_ms"] = (at_ms + HOUR_MS).into();
            let mut deployment = it.deployment(&format!("run {round}-{number}"), "7.0");
            deployment["change"] = change["reference"].clone();
            deployment["started_at_ms"] = at_ms.into();
            deployment["ended_at_ms"] = (at_ms + HOUR_MS).into();
            deployment["outcome"] = if failed { "failed" } else { "succeeded" }.into();
            changes.push(change);
            deployments.push(deployment);
            all.push((at_ms, failed, lead_hours));
        }
        if !deployments.is_empty() {
            it.server.admin.post("/records", &Records::batch(&changes, &deployments)).await.good();
        }
        let days = |dice: &mut Dice| it.now_ms - dice.below(1_001) as i64 * 24 * HOUR_MS;
        let (a, b) = (days(&mut dice), days(&mut dice));
        let (from_ms, until_ms) = (a.min(b), a.max(b) + 1);
        let dora = it.server.admin.get(&format!("/measure/dora?from_ms={from_ms}&until_ms={until_ms}")).await.good();
        let inside: Vec<_> = all.iter().filter(|(at_ms, _, _)| (from_ms..until_ms).contains(at_ms)).collect();
        let failed = inside.iter().filter(|(_, failed, _)| *failed).count();
        let rate = (!inside.is_empty()).then(|| failed as f64 / inside.len() as f64);
        assert_eq!(
            (&dora["deployments"], &dora["change_fail_rate"]),
            (&json!(inside.len()), &json!(rate)),
            "round {round}: {dora}"
        );
        // A change that failed came into effect all the same.
        let mut leads: Vec<i64> = inside.iter().map(|(_, _, lead_hours)| *lead_hours).collect();
        leads.sort_unstable();
        let p95 = (!leads.is_empty()).then(|| (leads[(leads.len() * 95).div_ceil(100) - 1] * 3_600) as f64);
        assert_eq!(dora["change_lead_time"]["nearest_rank"]["p95"].as_f64(), p95, "round {round}: {dora}");
        assert_eq!(dora["change_lead_time"]["count"].as_u64().unwrap_or_default(), inside.len() as u64, "round {round}: {dora}");
        // The same two periods each time, which stand until something in them changes; and two of one minute are two.
        let one_ms = all.first().map_or(it.now_ms - 24 * HOUR_MS, |(at_ms, _, _)| *at_ms);
        for (from_ms, until_ms) in [
            (it.now_ms - 2_000 * 24 * HOUR_MS, it.now_ms),
            (it.now_ms - 300 * 24 * HOUR_MS, it.now_ms),
            (one_ms, one_ms + 1),
            (one_ms + 1, one_ms + 2),
        ] {
            let dora = it.server.admin.get(&format!("/measure/dora?from_ms={from_ms}&until_ms={until_ms}")).await.good();
            let inside = all.iter().filter(|(at_ms, _, _)| (from_ms..until_ms).contains(at_ms)).count();
            assert_eq!(dora["deployments"], json!(inside), "round {round}: {from_ms}..{until_ms}");
        }
        assert!(dora.get("not_counted_before_ms").is_none(), "{dora}");
    }
    it.server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_release_takes_in_what_is_recorded_and_nothing_else() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    let release = json!({"reference": "r1", "application": "shop", "version": "7", "title": "Autumn", "model": "train",
        "versions": {"shop": "7.0"}, "author": "eve", "written_at_ms": it.now_ms - 20 * HOUR_MS, "closed_at_ms": it.now_ms - HOUR_MS});
    let answer = admin.post("/records", &json!({"source": "ci", "releases": [release]})).await.good();
    let id = answer["releases"][0].as_str().expect("an id").to_owned();
    let mut later = it.change("c1");
    later["release"] = "r1".into();
    admin.post("/records", &Records::batch(&[later], &[])).await.good();
    let draft = json!({"content": it.change("x")["content"], "release": id});
    assert_eq!(admin.post("/changes", &draft).await.refused(), "409 state_forbids");
    let shown = admin.get(&format!("/releases/{id}")).await.good();
    assert_eq!(shown["value"]["changes"].as_array().map(Vec::len), Some(1));
    let listed = admin.get(&format!("/changes?release={id}")).await.good();
    assert_eq!(listed["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(admin.get(&format!("/artifacts?release={id}")).await.refused(), "400 malformed");
    it.server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_back_leads_to_a_record() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    let estate = Estate::define(admin, 1).await;
    estate.bring("1.0").await;
    let mut record = it.deployment("run 1", "0.9");
    record["environment"] = "test".into();
    admin.post("/records", &Records::batch(&[], &[record])).await.good();
    let planned = estate.plan("1.0", json!({})).await.good();
    assert_eq!(planned["deployment"]["fallback_plan"], Value::Null, "nothing verified is known to go back to: {planned}");
    it.server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unauthorised_change_enters_at_review_and_is_told_at_its_freeze() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    let mut change = it.change("c1");
    change.as_object_mut().expect("an object").remove("authorised_at_ms");
    let mut deployment = it.deployment("run 1", "7.0");
    deployment["change"] = "c1".into();
    let freeze = json!({"name": "year end", "reason": "books", "environments": ["production"], "components": ["shop"],
        "from_ms": it.now_ms - 24 * HOUR_MS, "until_ms": it.now_ms + HOUR_MS});
    let freeze = admin.post("/freezes", &freeze).await.good();
    let answer = admin.post("/records", &Records::batch(&[change], &[deployment])).await.good();
    let change = admin.get(&format!("/changes/{}", answer["changes"][0].as_str().expect("an id"))).await.good();
    assert_eq!((&change["value"]["state"], &change["value"]["outcome"]), (&json!("review"), &json!("successful")));
    let path = format!("/freezes/{}/deployments", freeze["value"]["id"].as_str().expect("an id"));
    let passages = admin.get(&path).await.good();
    let row = &passages["rows"][0];
    assert_eq!(
        (&row["deployment"], &row["passage"], &row["exact"]),
        (&answer["deployments"][0], &json!("elsewhere"), &json!(true))
    );
    it.server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_at_once_do_not_lose_each_other() {
    let it = Records::open().await;
    let admin = &it.server.admin;
    let batches = (0..8).map(|number| {
        let deployment = it.deployment(&format!("run {number}"), &format!("7.{number}"));
        async move { admin.post("/records", &Records::batch(&[], &[deployment])).await.good() }
    });
    let answers: Vec<Value> = futures_util::future::join_all(batches).await;
    assert!(answers.iter().all(|answer| answer["recorded"] == 1), "{answers:?}");
    let listed = admin.get("/deployments?limit=200").await.good();
    assert_eq!(listed["rows"].as_array().map(Vec::len), Some(8));
    it.server.running.stop().await;
}
