//! What is asked badly is refused whole, with a code, the place and a way to yes, and leaves nothing behind.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::openapi::operations;
use crate::stage::Stage;

/// Bodies that no door takes, by what is wrong with them.
fn bad_bodies(good: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let mut unknown = good.clone();
    unknown["no_such_field"] = json!(1);
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let twice = "{\"reason\":\"a\",\"reason\":\"b\"}";
    let mut large = vec![b' '; (4 << 20) + 1];
    large.extend_from_slice(b"{}");
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("an unknown field", text(&unknown.to_string())),
        ("a list", text("[]")),
        ("a text", text("\"x\"")),
        ("a number", text("7")),
        ("null", text("null")),
        ("blanks", text("  \n")),
        ("half", text("{\"reason\":")),
        ("more after it", text("{} {}")),
        ("nested", text(&deep)),
        ("a key twice", text(twice)),
        ("not UTF-8", vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}']),
        ("too large", large),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_no_door_takes_a_bad_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let admin = &stage.server.admin;
    let before = admin.events().await;
    let mut codes = std::collections::BTreeSet::new();
    for (path, method, operation) in operations() {
        if !operation["requestBody"]["content"]["application/json"].is_object() {
            continue;
        }
        let verb = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let at = stage.path(&path);
        for (what, body) in bad_bodies(&stage.body(&method, &path)) {
            let request = admin.request(verb.clone(), &at).header(CONTENT_TYPE, "application/json").body(body);
            let answer = admin.send(request).await;
            assert!(answer.status.is_client_error(), "{method} {path} with {what}: {} {}", answer.status, answer.body);
            codes.insert(format!("{what}: {}", answer.problem().split(':').next().unwrap_or_default()));
        }
        let good = stage.body(&method, &path).to_string();
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json5", "multipart/form-data"] {
            let request = admin.request(verb.clone(), &at).header(CONTENT_TYPE, kind).body(good.clone());
            assert_eq!(admin.send(request).await.refused(), "400 malformed", "{method} {path} as {kind}");
        }
        let elsewhere = admin.request(verb.clone(), &format!("{at}?reason=x")).json(&stage.body(&method, &path));
        assert_eq!(admin.send(elsewhere).await.refused(), "400 unknown_field", "{method} {path} with a query");
        if operation["requestBody"]["required"] == true {
            assert!(admin.send(admin.request(verb, &at)).await.problem().starts_with("400 "), "{method} {path} without a body");
        }
    }
    assert_eq!(admin.events().await, before, "something was stored");
    expect_test::expect![[r#"
        a key twice: 400 duplicate_key
        a list: 400 malformed
        a number: 400 malformed
        a text: 400 malformed
        an unknown field: 400 unknown_field
        blanks: 400 malformed
        half: 400 malformed
        more after it: 400 malformed
        nested: 400 too_deep
        not UTF-8: 400 malformed
        null: 400 malformed
        too large: 413 too_large"#]]
    .assert_eq(&codes.into_iter().collect::<Vec<_>>().join("\n"));
    stage.server.running.stop().await;
}

#[tokio::test]
async fn a_wrong_method_and_a_wrong_address_are_problems() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let admin = &stage.server.admin;
    for (path, _, _) in operations() {
        let answer = admin.send(admin.request(reqwest::Method::PATCH, &stage.path(&path))).await;
        assert!(answer.problem().starts_with("405 not_found"), "{path}: {}", answer.problem());
        assert!(answer.headers.contains_key("allow"), "{path}: {:?}", answer.headers);
    }
    for path in ["", "/", "/nothing", "/changes/", "/changes//", "/changes/CHG-1/nothing", "/deployments/%2e%2e/x/y"] {
        assert!(admin.get(path).await.problem().starts_with("404 not_found"), "{path}");
    }
    for path in ["/api", "/api/", "/api/v2/changes", "/agent/v1/nothing"] {
        let answer = reqwest::get(format!("{}{path}", admin.base)).await.expect("an answer");
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        let said = (answer.status().as_u16(), kind.contains("problem+json") || path == "/api");
        assert_eq!(said, (404, true), "{path} {kind}");
    }
    let page = reqwest::get(format!("{}/nothing/here", admin.base)).await.expect("an answer");
    assert_eq!(page.status().as_u16(), 404);
    assert!(page.text().await.expect("a page").contains("there is no such page"));
    stage.server.running.stop().await;
}

#[tokio::test]
async fn bad_parts_of_a_path_and_bad_queries_are_problems() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let admin = &stage.server.admin;
    let mut told = String::new();
    let long = format!("/changes/{}", "a".repeat(5_000));
    for path in [
        "/changes/%ff",
        "/changes/a%00b",
        "/changes/..",
        "/changes/x",
        "/changes/CHG-none",
        long.as_str(),
        "/plans/sha256:1",
        "/attempts/x/log",
        "/attempts/DEP-none:t-01:1/log",
        "/attempts/DEP-1:t:1/log?after=-1",
        "/targets/T",
        "/changes?limit=0",
        "/changes?limit=201",
        "/changes?limit=x",
        "/changes?limit=99999999999",
        "/changes?sort=random",
        "/changes?after=zz",
        "/changes?sort=oldest&after=6e302f78",
        "/changes?application=Shop",
        "/changes?nothing=1",
        "/changes?limit=1&limit=2",
        "/changes?text=%ff",
        "/events?after=x",
        "/events?stream=nonsense",
        "/events?limit=0",
        "/stream?after=x",
        "/stream?limit=1",
        "/whoami?x=1",
    ] {
        told.push_str(&format!("{} → {}\n", &path[..path.len().min(60)], admin.get(path).await.problem()));
    }
    let last = admin.request(reqwest::Method::GET, "/stream").header("last-event-id", "yesterday");
    told.push_str(&format!("Last-Event-ID: yesterday → {}\n", admin.send(last).await.problem()));
    let any = admin
        .request(reqwest::Method::POST, "/changes")
        .header("if-match", "*")
        .json(&json!({"content": crate::stage::content("x")}));
    told.push_str(&format!("If-Match: * → {}\n", admin.send(any).await.problem()));
    expect_test::expect![[r#"
        /changes/%ff → 400 malformed: the path is not UTF-8 at path; encode it as UTF-8
        /changes/a%00b → 400 name_invalid: "a·b" is not an id at id; use the id as the server printed it, such as DEP-01k8…
        /changes/.. → 404 not_found: there is no such page; begin at the first page
        /changes/x → 400 name_invalid: "x" is not an id at id; use the id as the server printed it, such as DEP-01k8…
        /changes/CHG-none → 404 not_found: there is no change CHG-none; check the name; `tidegate change list` names what there is
        /changes/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa → 400 name_invalid: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…" is not an id at id; use the id as the server printed it, such as DEP-01k8…
        /plans/sha256:1 → 400 digest_invalid: "sha256:1" is not a digest at digest; use sha256: followed by 64 lower-case hexadecimal digits
        /attempts/x/log → 404 not_found: there is no attempt x; check the name
        /attempts/DEP-none:t-01:1/log → 404 not_found: there is no deployment DEP-none; check the name; `tidegate deployment list` names what there is
        /attempts/DEP-1:t:1/log?after=-1 → 400 malformed: after: invalid digit found in string at query; see /api/openapi.json for what this address takes
        /targets/T → 400 name_invalid: "T" is not a name at name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
        /changes?limit=0 → 400 out_of_range: limit is 0 at limit; use 1 to 200
        /changes?limit=201 → 400 out_of_range: limit is 201 at limit; use 1 to 200
        /changes?limit=x → 400 malformed: limit: invalid digit found in string at query; see /api/openapi.json for what this address takes
        /changes?limit=99999999999 → 400 malformed: limit: number too large to fit in target type at query; see /api/openapi.json for what this address takes
        /changes?sort=random → 400 malformed: sort is "random" at sort; use newest, oldest or name
        /changes?after=zz → 400 malformed: "zz" is not a page cursor of this list; use the cursor from the answer before, unchanged, or none for the first page
        /changes?sort=oldest&after=6e302f78 → 400 malformed: "6e302f78" is not a page cursor of this list; use the cursor from the answer before, unchanged, or none for the first page
        /changes?application=Shop → 400 malformed: application: "Shop" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit at query; see /api/openapi.json for what this address takes
        /changes?nothing=1 → 400 unknown_field: nothing: unknown field `nothing`, expected one of `state`, `application`, `environment`, `release`, `text`, `sort`, `limit`, `after` at query; see /api/openapi.json for what this address takes
        /changes?limit=1&limit=2 → 400 malformed: duplicate field `limit` at query; see /api/openapi.json for what this address takes
        /changes?text=%ff → 400 malformed: the query is not UTF-8 at query; encode it as UTF-8
        /events?after=x → 400 malformed: after: invalid digit found in string at query; see /api/openapi.json for what this address takes
        /events?stream=nonsense → 400 malformed: "nonsense" is not a stream at stream; use a noun and an id, such as deployment/DEP-…
        /events?limit=0 → 400 out_of_range: limit is 0 at limit; use 1 to 200
        /stream?after=x → 400 malformed: after: invalid digit found in string at query; see /api/openapi.json for what this address takes
        /stream?limit=1 → 400 unknown_field: limit: unknown field `limit`, expected `after` at query; see /api/openapi.json for what this address takes
        /whoami?x=1 → 400 unknown_field: x: unknown field `x`, there are no fields at query; see /api/openapi.json for what this address takes
        Last-Event-ID: yesterday → 400 malformed: Last-Event-ID is not a position at Last-Event-ID; send the id of the last entry as it came
        If-Match: * → 400 malformed: If-Match is not a version at If-Match; send the ETag back as it came
    "#]].assert_eq(&told);
    stage.server.running.stop().await;
}

/// A fuzzer found it: a bad `If-Match` was called a conflict where the key beside it was known, and `+1` was taken for a version.
#[tokio::test]
async fn a_bad_header_is_refused_as_such_whatever_key_comes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = tidegate_testkit::TestServer::at_rest(folder.path()).await;
    let write = json!({"definitions": [{"application": {"name": "shop"}}]});
    server.admin.post_once("/definitions", &write, "known-key").await.good();
    for version in ["", "+1", "\"\"1\"\"", "\"1", "W/\"1\"", "18446744073709551616"] {
        let request = server.admin.request(reqwest::Method::POST, "/definitions").json(&json!({"definitions": []}));
        let answer = server.admin.send(request.header("idempotency-key", "known-key").header("if-match", version)).await;
        assert_eq!(answer.refused(), "400 malformed", "{version}");
    }
    server.running.stop().await;
}
