//! The document of the API: as the tree has it, and sound.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[test]
fn the_document_is_the_one_in_the_tree() {
    let text = serde_json::to_string_pretty(&tidegate_server::openapi()).expect("it is JSON") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden(), &text).expect("docs/openapi.json can be written");
    }
    let known = std::fs::read_to_string(golden()).unwrap_or_default();
    let line = known.lines().zip(text.lines()).position(|(known, now)| known != now);
    assert!(
        known == text,
        "docs/openapi.json is not what the doors say (first different line: {:?}); look at the difference after \
         UPDATE_GOLDEN=1 cargo nextest run -p tidegate-testkit openapi",
        line.map(|line| line + 1)
    );
}

/// Every operation: path, method, and what is said of it.
pub fn operations() -> Vec<(String, String, Value)> {
    let document = tidegate_server::openapi();
    let paths = document["paths"].as_object().expect("paths").clone();
    let of_path = |(path, methods): (String, Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
    };
    paths.into_iter().flat_map(of_path).collect()
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = tidegate_server::openapi();
    let mut references = Vec::new();
    walk(&document, &mut references);
    assert!(references.len() > 50, "{} references", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("it stays in the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn every_operation_is_whole() {
    let document = tidegate_server::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let place = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().expect("an id").to_owned()), "{place}: its id is taken");
        assert!(operation["x-permission"].as_str().is_some_and(|it| !it.is_empty()), "{place}: no permission");
        assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{place}: no summary");
        let responses = operation["responses"].as_object().expect("responses");
        let nos = responses.iter().filter(|(status, _)| *status != "200");
        assert!(nos.clone().count() > 3, "{place}: too few ways to say no");
        assert!(nos.clone().all(|(_, no)| no["$ref"] == "#/components/responses/Problem"), "{place}: a no of another form");
        assert!(!responses.contains_key("default"), "{place}: its nos are not named");
        assert!(operation["responses"]["200"]["content"].is_object(), "{place}: its answer has no form");
        let parameters = operation["parameters"].as_array().expect("parameters");
        let names = |place: &str| -> BTreeSet<&str> {
            parameters.iter().filter(|it| it["in"] == place).filter_map(|it| it["name"].as_str()).collect()
        };
        let parts: BTreeSet<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(names("path"), parts, "{place}: parts of the path");
        assert!(parameters.iter().all(|it| it["schema"].is_object()), "{place}: a parameter without a form");
        let body = operation.get("requestBody");
        assert_eq!(body.is_some(), matches!(method.as_str(), "POST" | "PUT"), "{place}: a body");
        let query_or_bytes = body.is_none_or(|body| body["content"]["application/octet-stream"].is_object());
        assert_eq!(names("header").contains("Idempotency-Key"), !query_or_bytes, "{place}: the key of a command");
    }
}

#[tokio::test]
async fn the_server_hands_the_document_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = tidegate_testkit::TestServer::at_rest(folder.path()).await;
    let answer = reqwest::get(format!("{}/api/openapi.json", server.admin.base)).await.expect("an answer");
    let document: Value = answer.json().await.expect("JSON");
    assert_eq!(document, tidegate_server::openapi());
    server.running.stop().await;
}
