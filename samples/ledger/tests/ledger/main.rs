//! The deployed ledger, as an agent runs it: the artifact unpacked, its programs started by their first line.

mod host;
mod load;

use expect_test::{Expect, expect};
use host::{Host, Service};
use serde_json::{Value, json};
use tidegate_sample_ledger::Edition;

/// One request and its answer as a line.
async fn check(service: &Service, request: &str, expected: Expect) {
    let (status, body) = service.ask(request).await;
    expected.assert_eq(&format!("{status} {body}"));
}

#[tokio::test]
async fn version_1_0_has_entries_and_balances() {
    let host = Host::new();
    host.migrate(Edition::V1_0).await;
    let service = host.start(Edition::V1_0).await;
    check(&service, "GET /health", expect![[r#"200 {"health":"ok","version":"1.0"}"#]]).await;
    check(&service, "GET /version", expect![[r#"200 {"version":"1.0","deployed_as":"1.0","schema":1}"#]]).await;
    let entered = expect![[r#"201 {"id":1,"account":"rent","amount_cents":1250}"#]];
    check(&service, r#"POST /entries {"account": "rent", "amount_cents": 1250}"#, entered).await;
    let entered = expect![[r#"201 {"id":2,"account":"rent","amount_cents":-50}"#]];
    check(&service, r#"POST /entries {"account": "rent", "amount_cents": -50}"#, entered).await;
    let balance = expect![[r#"200 {"account":"rent","balance_cents":1200,"entries":2}"#]];
    check(&service, "GET /accounts/rent/balance", balance).await;
    let nothing = expect![[r#"200 {"account":"food","balance_cents":0,"entries":0}"#]];
    check(&service, "GET /accounts/food/balance", nothing).await;
    let unknown = expect![[
        r#"404 {"code":"route-unknown","what":"this version has no /accounts/rent/statement","remedy":"see README.md of the ledger for what each version has"}"#
    ]];
    check(&service, "GET /accounts/rent/statement", unknown).await;
}

#[tokio::test]
async fn version_1_1_adds_notes_and_statements() {
    let host = Host::new();
    host.migrate(Edition::V1_1).await;
    let service = host.start(Edition::V1_1).await;
    let entered = expect![[r#"201 {"id":1,"account":"rent","amount_cents":1250}"#]];
    check(&service, r#"POST /entries {"account": "rent", "amount_cents": 1250, "note": "May"}"#, entered).await;
    assert_eq!(service.enter("rent", 7).await, 201);
    let (status, statement) = service.ask("GET /accounts/rent/statement").await;
    let statement: Value = serde_json::from_str(&statement).expect("JSON");
    let line = |entry: &Value| json!([entry["id"], entry["amount_cents"], entry["note"]]);
    let lines: Vec<Value> = statement["entries"].as_array().expect("entries").iter().map(line).collect();
    assert_eq!((status, Value::from(lines)), (200, json!([[2, 7, null], [1, 1250, "May"]])));
}

#[tokio::test]
async fn what_cannot_be_an_entry_is_refused_with_a_code() {
    let host = Host::new();
    host.migrate(Edition::V1_0).await;
    let service = host.start(Edition::V1_0).await;
    let long = format!(r#"{{"account": "rent", "amount_cents": 1, "note": "{}"}}"#, "x".repeat(5_000));
    for (body, status, code) in [
        ("", 400, "body-invalid"),
        (r#"{"account": "rent"}"#, 422, "body-invalid"),
        (r#"{"account": "rent", "amount_cents": 1.5}"#, 422, "body-invalid"),
        (r#"{"account": "rent", "amount_cents": 1, "amount_cents": 2}"#, 422, "body-invalid"),
        (r#"{"account": "rent", "amount_cents": 1, "amount": 1}"#, 422, "body-invalid"),
        (r#"{"account": "rent", "amount_cents": 0}"#, 422, "amount-out-of-range"),
        (r#"{"account": "rent", "amount_cents": 1000000000001}"#, 422, "amount-out-of-range"),
        (r#"{"account": "rent", "amount_cents": -9223372036854775808}"#, 422, "amount-out-of-range"),
        (r#"{"account": "Rent!", "amount_cents": 1}"#, 422, "account-invalid"),
        (r#"{"account": "rent", "amount_cents": 1, "note": "May"}"#, 422, "note-unknown"),
        (&long, 413, "body-invalid"),
    ] {
        let (found, answer) = service.ask(&format!("POST /entries {body}")).await;
        assert_eq!(found, status, "{body}: {answer}");
        assert!(answer.starts_with(&format!(r#"{{"code":"{code}","#)), "{body}: {answer}");
    }
    assert_eq!(service.balance("rent").await, 0);
}

#[tokio::test]
async fn a_migration_is_applied_once_and_can_be_asked_for() {
    let host = Host::new();
    assert_eq!(host.run_migrate(Edition::V1_1, &["--check"]).await, (1, "the schema is at 0, 2 is needed\n".into()));
    assert!(!host.data().exists(), "a look makes no file");
    assert_eq!(host.run_migrate(Edition::V1_0, &[]).await, (0, "the schema is at 1, migrations applied: 1\n".into()));
    assert_eq!(host.run_migrate(Edition::V1_1, &["--check"]).await, (1, "the schema is at 1, 2 is needed\n".into()));
    assert_eq!(host.run_migrate(Edition::V1_2Bad, &[]).await, (0, "the schema is at 3, migrations applied: 2\n".into()));
    for edition in Edition::ALL {
        let nothing_to_do = (0, "the schema is at 3, nothing to do\n".to_owned());
        assert_eq!(host.run_migrate(edition, &[]).await, nothing_to_do);
        assert_eq!(host.run_migrate(edition, &["--check"]).await, nothing_to_do);
    }
    assert_eq!(host.run_migrate(Edition::V1_0, &["--chekc"]).await, (2, String::new()));
}

#[tokio::test]
async fn migrations_that_run_at_the_same_time_are_applied_once() {
    let host = Host::new();
    let run = || host.run_migrate(Edition::V1_2Bad, &[]);
    let ends = tokio::join!(run(), run(), run(), run());
    assert_eq!([ends.0.0, ends.1.0, ends.2.0, ends.3.0], [0; 4], "{ends:?}");
}

#[tokio::test]
async fn a_service_without_its_schema_says_so_until_it_is_there() {
    let host = Host::new();
    let service = host.start(Edition::V1_1).await;
    let unwell = expect![[r#"503 {"health":"the schema is at 0, 2 is needed: run bin/migrate","version":"1.1"}"#]];
    check(&service, "GET /health", unwell).await;
    assert_eq!(service.enter("rent", 5).await, 500);
    host.migrate(Edition::V1_1).await;
    check(&service, "GET /health", expect![[r#"200 {"health":"ok","version":"1.1"}"#]]).await;
    assert_eq!(service.enter("rent", 5).await, 201);
}

#[tokio::test]
async fn the_version_before_works_through_a_migration_and_on_the_newer_schema() {
    let host = Host::new();
    host.migrate(Edition::V1_0).await;
    let old = host.start(Edition::V1_0).await;
    assert_eq!(old.enter("rent", 1).await, 201);
    host.migrate(Edition::V1_1).await;
    assert_eq!(old.enter("rent", 10).await, 201);
    // Both at once on one file, as while one is being replaced by the other.
    let new = host.start(Edition::V1_1).await;
    assert_eq!(new.enter("rent", 100).await, 201);
    assert_eq!(old.enter("rent", 1_000).await, 201);
    assert_eq!((old.balance("rent").await, new.balance("rent").await), (1_111, 1_111));
    new.stop().await;
    old.stop().await;
    let back = host.start(Edition::V1_0).await;
    check(&back, "GET /health", expect![[r#"200 {"health":"ok","version":"1.0"}"#]]).await;
    assert_eq!(back.enter("rent", 10_000).await, 201);
    assert_eq!(back.balance("rent").await, 11_111);
}

const FAILED: &str = r#"ledger_requests_total{code="5xx",route="/entries"}"#;
const DONE: &str = r#"ledger_requests_total{code="2xx",route="/entries"}"#;

#[tokio::test]
async fn a_third_of_the_entries_fails_in_1_2_bad_and_none_that_was_acknowledged_is_lost() {
    let host = Host::new();
    host.migrate(Edition::V1_1).await;
    let mut acknowledged_cents = 0;
    let good = host.start(Edition::V1_1).await;
    acknowledged_cents += enter_many(&good, 12).await;
    assert_eq!((good.metric(FAILED).await, good.metric(DONE).await), (0, 12));
    good.stop().await;

    host.migrate(Edition::V1_2Bad).await;
    let bad = host.start(Edition::V1_2Bad).await;
    check(&bad, "GET /health", expect![[r#"200 {"health":"ok","version":"1.2-bad"}"#]]).await;
    acknowledged_cents += enter_many(&bad, 30).await;
    assert_eq!((bad.metric(FAILED).await, bad.metric(DONE).await), (10, 20));
    assert_eq!(bad.metric(r#"ledger_info{version="1.2-bad"}"#).await, 1);
    assert_eq!(bad.balance("rent").await, acknowledged_cents);
    let log = bad.stop().await;
    assert!(log.contains("table totals has no column named total_cents"), "{log}");

    let back = host.start(Edition::V1_1).await;
    assert_eq!(back.balance("rent").await, acknowledged_cents);
    acknowledged_cents += enter_many(&back, 12).await;
    assert_eq!((back.metric(FAILED).await, back.balance("rent").await), (0, acknowledged_cents));
}

/// Enters different amounts and answers the sum of those that were acknowledged.
async fn enter_many(service: &Service, count: i64) -> i64 {
    let mut acknowledged_cents = 0;
    for amount_cents in 1..=count {
        if service.enter("rent", amount_cents).await == 201 {
            acknowledged_cents += amount_cents;
        }
    }
    acknowledged_cents
}

#[tokio::test]
async fn the_mistake_of_1_2_bad_is_one_word_in_the_artifact() {
    let host = Host::new();
    host.migrate(Edition::V1_2Bad).await;
    host.mend(Edition::V1_2Bad, "total_cents", "balance_cents");
    let service = host.start(Edition::V1_2Bad).await;
    enter_many(&service, 30).await;
    assert_eq!((service.metric(FAILED).await, service.metric(DONE).await), (0, 30));
}

#[tokio::test]
async fn a_client_that_keeps_a_request_open_does_not_keep_the_service() {
    let host = Host::new();
    host.migrate(Edition::V1_0).await;
    let service = host.start(Edition::V1_0).await;
    let half = b"POST /entries HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let _open = service.send(half).await;
    assert_eq!(service.enter("rent", 1).await, 201);
    let log = service.stop().await;
    assert!(log.contains("requests that were still open are cut off"), "{log}");
}

#[tokio::test]
async fn what_is_missing_is_said_with_the_remedy() {
    let host = Host::new();
    let program = host.program(Edition::V1_0).display().to_string();
    assert!(host.refusal(&[]).await.contains("use: tidegate sample-ledger PROGRAM"));
    assert!(host.refusal(&["sample-ledger", "nowhere"]).await.contains("nowhere cannot be opened"));
    assert!(host.refusal(&["sample-ledger", &program]).await.contains("PORT is not set; set it to the port to listen on"));
}
