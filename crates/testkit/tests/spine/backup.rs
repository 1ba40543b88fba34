//! A backup is taken while everything goes on; what comes back is whole, or nothing comes back.

use std::path::Path;

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tidegate_testkit::{Api, Estate, TestServer, artifact, config};

use crate::stage::content;

async fn busy(api: &Api, estate: &Estate<'_>, times: usize) {
    for number in 0..times {
        api.post("/changes", &json!({"content": content(&format!("change {number}"))})).await.good();
        estate.bring(&format!("2.{number}")).await;
    }
}

/// A backup of a server that had work under way.
async fn taken(folder: &Path) -> u64 {
    let data = folder.join("data");
    let server = TestServer::at_rest(&data).await;
    let estate = Estate::define(&server.admin, 1).await;
    estate.bring("1.0").await;
    let before = server.admin.events().await;
    let (saving, backup) = (config(&data), folder.join("backup"));
    let (taken, ()) = tokio::join!(tidegate_server::backup(&saving, &backup), busy(&server.admin, &estate, 20));
    taken.expect("a backup");
    server.running.stop().await;
    before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_writing_is_restored_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = taken(folder.path()).await;
    let back = config(&folder.path().join("back"));
    let verified = tidegate_server::restore(&folder.path().join("backup"), &back).await.expect("it is whole");
    assert!(verified.broken.is_none() && verified.events >= before, "{verified:?}");
    let server = TestServer::at_rest(&back.data).await;
    assert!(server.running.login_link.is_none(), "the people are there");
    assert!(server.admin.events().await > verified.events, "it goes on");
    let found = server.admin.get("/artifacts?limit=200").await.good();
    for row in found["rows"].as_array().expect("rows") {
        let digest = tidegate_domain::Digest::parse(row["value"]["digest"].as_str().expect("a digest")).expect("a digest");
        assert!(server.running.app.media.verify(&digest).await.expect("it is readable").is_some(), "{row}");
    }
    let key = |folder: &str| std::fs::read(folder_path(&back.data, folder)).expect("a key");
    assert_eq!(key("back"), key("data"), "orders are signed by the same key");
    server.running.stop().await;
}

fn folder_path(data: &Path, name: &str) -> std::path::PathBuf {
    data.parent().expect("a folder").join(name).join("server.key")
}

async fn refused(folder: &Path, name: &str) -> String {
    let back = config(&folder.join(name));
    let error = tidegate_server::restore(&folder.join("backup"), &back).await.expect_err("it is not whole");
    assert!(!back.data.exists(), "{name}: something was left");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_with_a_changed_byte_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    taken(folder.path()).await;
    let backup = folder.path().join("backup");
    // A byte of a file in the media library: of the version that was there before the backup began. Later ones may be in the
    // library and not in the database, as the database is copied first.
    let digest = tidegate_domain::Digest::of(&artifact("#!/bin/sh\necho 1.0\n"));
    let object = backup.join("media/objects").join(&digest.hex()[..2]).join(digest.hex());
    let bytes = std::fs::read(&object).expect("a file");
    std::fs::remove_file(&object).expect("it goes");
    let why = refused(folder.path(), "without").await;
    assert!(why.contains("lacks the bytes of shop"), "{why}");
    std::fs::write(&object, bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).expect("it is written");
    refused(folder.path(), "other-bytes").await;
    std::fs::write(&object, bytes).expect("it is written");
    // A letter of an event.
    let url = format!("sqlite:{}", backup.join("tidegate.db").display());
    let mut database = SqliteConnection::connect(&url).await.expect("it opens");
    let change = "UPDATE events SET body = replace(body, 'change', 'chance') WHERE position = \
                  (SELECT MIN(position) FROM events WHERE body LIKE '%change%')";
    let changed = sqlx::query(change).execute(&mut database).await.expect("it is changed");
    assert_eq!(changed.rows_affected(), 1);
    database.close().await.expect("it closes");
    let why = refused(folder.path(), "tampered").await;
    assert!(why.contains("history is broken"), "{why}");
    // Half a backup is none.
    std::fs::remove_file(backup.join("server.key")).expect("it goes");
    let why = refused(folder.path(), "half").await;
    assert!(why.contains("there is no server.key"), "{why}");
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = TestServer::at_rest(&data).await;
    Estate::define(&server.admin, 1).await;
    let there = folder.path().join("there");
    std::fs::create_dir(&there).expect("a folder");
    assert!(
        tidegate_server::backup(&config(&data), &there).await.expect_err("it is there").to_string().contains("is there already")
    );
    assert!(std::fs::read_dir(&there).expect("a folder").next().is_none());
    let none = folder.path().join("none");
    assert!(tidegate_server::backup(&config(&none), &folder.path().join("b")).await.is_err(), "a backup of nothing");
    assert!(!none.exists() && !folder.path().join("b").exists());
    tidegate_server::backup(&config(&data), &folder.path().join("backup")).await.expect("a backup");
    let over = tidegate_server::restore(&folder.path().join("backup"), &config(&data)).await.expect_err("it is there");
    assert!(over.to_string().contains("is there already"), "{over}");
    let request = server.admin.request(reqwest::Method::POST, "/artifacts?component=shop&version=1&format=tar_gz");
    server.admin.send(request.body(artifact("x"))).await.good();
    server.running.stop().await;
}
