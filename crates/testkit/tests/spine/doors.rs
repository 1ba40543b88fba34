//! Who may pass which door.

use std::collections::BTreeMap;

use expect_test::{Expect, expect, expect_file};
use serde_json::{Value, json};
use tidegate_domain::access::Role;
use tidegate_testkit::{Answer, Api};

use crate::openapi::operations;
use crate::stage::{Stage, content};

/// A scope and the letter that stands for it in the table.
const SCOPES: [(char, &str); 5] = [
    ('a', "\"all\""),
    ('p', "{\"application\": \"shop\"}"),
    ('e', "{\"environment\": \"test\"}"),
    // Elsewhere: whatever these pass concerns everybody.
    ('P', "{\"application\": \"books\"}"),
    ('E', "{\"environment\": \"lab\"}"),
];

fn same(told: &str, expected: &Expect) {
    expected.assert_eq(told);
}

#[tokio::test]
async fn the_doors_that_are_open_to_everybody_are_few() {
    let public: Vec<String> = operations()
        .into_iter()
        .filter(|(_, _, operation)| operation["x-permission"] == "public")
        .map(|(path, method, _)| format!("{method} {path}"))
        .collect();
    // The API has none; what stands beside it is asked below, without any credential.
    same(&public.join("\n"), &expect![""]);
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let client = reqwest::Client::new();
    let mut told = String::new();
    let pages = [
        "/",
        "/releases",
        "/changes",
        "/deployments",
        "/freezes",
        "/login",
        "/logout",
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/api/v1/whoami",
        "/api/v1/stream",
        "/docs/errors/not_found",
        "/assets/tidegate.css",
        "/agent/v1/artifacts/x",
        "/metrics",
        "/.git/config",
    ];
    for path in pages {
        let answer = client.get(format!("{}{path}", stage.server.admin.base)).send().await.expect("an answer");
        told.push_str(&format!("GET {path} {}\n", answer.status().as_u16()));
    }
    for path in ["enrol", "hello", "session", "poll", "report", "log"] {
        let answer =
            client.post(format!("{}/agent/v1/{path}", stage.server.admin.base)).body("{}").send().await.expect("an answer");
        told.push_str(&format!("POST /agent/v1/{path} {}\n", answer.status().as_u16()));
    }
    same(
        &told,
        &expect![[r#"
        GET / 401
        GET /releases 401
        GET /changes 401
        GET /deployments 401
        GET /freezes 401
        GET /login 200
        GET /logout 405
        GET /healthz 200
        GET /readyz 200
        GET /api/openapi.json 200
        GET /api/v1/whoami 401
        GET /api/v1/stream 401
        GET /docs/errors/not_found 200
        GET /assets/tidegate.css 200
        GET /agent/v1/artifacts/x 401
        GET /metrics 404
        GET /.git/config 404
        POST /agent/v1/enrol 400
        POST /agent/v1/hello 400
        POST /agent/v1/session 400
        POST /agent/v1/poll 401
        POST /agent/v1/report 401
        POST /agent/v1/log 401
    "#]],
    );
    stage.server.running.stop().await;
}

#[tokio::test]
async fn slow_nobody_passes_without_a_good_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let admin = &stage.server.admin;
    let ended = admin.post("/tokens", &json!({"person": "admin", "label": "ended", "valid_seconds": 3600})).await.good();
    admin.send(admin.request(reqwest::Method::DELETE, &format!("/tokens/{}", ended["id"].as_str().expect("an id")))).await.good();
    let short = admin.post("/tokens", &json!({"person": "admin", "label": "short", "valid_seconds": 60})).await.good();
    let enrolment = admin.post("/targets/t-02/enrolment", &json!({})).await.good();
    stage.server.pass_ms(61_000);
    let before = admin.events().await;
    let text = |value: &Value| value.as_str().expect("a secret").to_owned();
    let cut = admin.token[..admin.token.len() - 1].to_owned();
    let tokens = [
        String::new(),
        "rubbish".into(),
        "TOK-000.aaaa".into(),
        cut,
        text(&ended["secret"]),
        text(&short["secret"]),
        text(&enrolment["token"]),
    ];
    for token in tokens {
        let nobody = admin.with_token(&token);
        for (path, method, _) in operations() {
            let answer = nobody.send(stage.request(&nobody, &method, &path)).await;
            assert!(answer.problem().starts_with("401 not_signed_in"), "{method} {path}: {}", answer.body);
        }
    }
    assert_eq!(admin.events().await, before);
    stage.server.running.stop().await;
}

/// Whether an answer means that somebody may: anything but "you may not" and "there is none for you".
fn may(answer: &Answer, method: &str) -> bool {
    let hidden = answer.body["code"] == "permission_denied" || answer.body["code"] == "not_found";
    let empty = method == "GET" && answer.body["rows"].as_array().is_some_and(Vec::is_empty);
    !hidden && !empty
}

async fn asked(stage: &Stage, api: &Api, method: &str, path: &str) -> bool {
    if path.ends_with("/stream") {
        // It never ends; its head tells.
        let response = stage.request(api, method, path).send().await.expect("an answer");
        return response.status().is_success();
    }
    let answer = api.send(stage.request(api, method, path)).await;
    assert!(answer.status.as_u16() < 500, "{method} {path}: {}", answer.body);
    may(&answer, method)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_every_role_passes_the_doors_of_its_scope_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let mut people = BTreeMap::new();
    for role in Role::ALL {
        for (letter, scope) in SCOPES {
            let scope: Value = serde_json::from_str(scope).expect("a scope");
            let name = format!("{}-{}", role.as_str().replace('_', "-"), letter as u32);
            let grants = json!([{"role": role.as_str(), "scope": scope}]);
            people.insert((role, letter), stage.server.person(&name, grants).await);
        }
    }
    let nobody = stage.server.person("nobody", json!([])).await;
    let mut table = head();
    for (path, method, operation) in operations() {
        let permission = operation["x-permission"].as_str().expect("a permission");
        let mut row = format!("{:<6} {:<52} {permission:<15}", method, path.strip_prefix("/api/v1").unwrap_or_default());
        for role in Role::ALL {
            let mut cell = String::new();
            for (letter, _) in SCOPES {
                let passes = asked(&stage, &people[&(role, letter)], &method, &path).await;
                cell.push(if passes { letter } else { '.' });
                let elsewhere = passes && letter.is_uppercase();
                let shared = method == "GET" || permission == "signed_in";
                assert!(!elsewhere || shared, "{method} {path} lets somebody from elsewhere through");
                assert!(!passes || role.carries_text(permission), "{method} {path} lets {} through", role.as_str());
            }
            row.push_str(&format!(" {cell}"));
        }
        let none = asked(&stage, &nobody, &method, &path).await;
        row.push_str(if none { " any\n" } else { "\n" });
        table.push_str(&row);
        assert!(
            asked(&stage, &stage.server.admin, &method, &path).await || method == "GET",
            "{method} {path}: the administrator"
        );
    }
    expect_file!["doors.txt"].assert_eq(&table);
    stage.server.running.stop().await;
}

fn head() -> String {
    let roles: Vec<String> = Role::ALL.iter().map(|role| format!("{:<5}", &role.as_str()[..5])).collect();
    format!(
        "a: everywhere, p: for the application, e: in the environment; P and E: for another application, in another environment;\n\
         any: without any grant\n\n{:<6} {:<52} {:<15} {}\n",
        "",
        "",
        "needs",
        roles.join(" ")
    )
}

#[tokio::test]
async fn a_change_comes_into_a_release_only_with_whoever_may_write_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let admin = &stage.server.admin;
    let (mut content, hers) = (content("of the books"), content("hers"));
    content["application"] = json!("books");
    let foreign = admin.post("/changes", &json!({"content": content})).await.good()["value"]["id"].clone();
    let own = stage.thing("change");
    let sees_all = json!({"role": "viewer", "scope": "all"});
    let writes = |application: &str| json!([sees_all, {"role": "developer", "scope": {"application": application}}]);
    let dora = stage.server.person("dora", writes("shop")).await;
    let boris = stage.server.person("boris", writes("books")).await;
    let before = admin.events().await;
    let path = format!("/releases/{}/changes", stage.thing("release"));
    let take_in = async |api: &Api, change: &Value| api.post(&path, &json!({"change": change})).await;
    assert_eq!(take_in(&dora, &foreign).await.refused(), "403 permission_denied", "a change that she may not write");
    assert_eq!(take_in(&boris, &json!(own)).await.refused(), "403 permission_denied", "neither his");
    assert_eq!(take_in(&boris, &foreign).await.refused(), "400 malformed", "a change of another application");
    assert_eq!(take_in(admin, &foreign).await.refused(), "400 malformed");
    assert_eq!(admin.events().await, before);
    assert_eq!(take_in(&dora, &json!(own)).await.good()["value"]["changes"], json!([own]));
    // Writing a change into the release is the same question.
    let write = async |api: &Api, content: &Value| {
        api.post("/changes", &json!({"content": content, "release": stage.thing("release")})).await
    };
    assert_eq!(write(&boris, &content).await.refused(), "400 malformed");
    assert_eq!(write(&dora, &content).await.refused(), "403 permission_denied");
    write(&dora, &hers).await.good();
    stage.server.running.stop().await;
}

trait Carries {
    fn carries_text(self, permission: &str) -> bool;
}

impl Carries for Role {
    fn carries_text(self, permission: &str) -> bool {
        tidegate_domain::access::Permission::ALL.into_iter().any(|it| it.as_str() == permission && self.carries(it))
    }
}
