//! Opening, closing, migrating, backing up.

use tidegate_store::{CommitError, Fault, Store};

use crate::world::{Thing, World, change, commit, kinds, made, thing, writes};

pub async fn a_closed_store_refuses_and_a_reopened_one_remembers(world: &World) {
    let under_way: Vec<_> = (0..50)
        .map(|number| {
            let store = world.store.clone();
            tokio::spawn(async move { store.commit(commit(vec![change(&format!("T{number}"), 0, &["one"])])).await })
        })
        .collect();
    made(&world.store, vec![writes(&thing("A"), 0, &["one"])]).await;
    world.store.close().await;
    world.store.close().await;
    let lost = world.store.commit(commit(vec![change("B", 0, &["one"])])).await;
    assert!(matches!(lost, Err(CommitError::Fault(Fault::Closed))), "{lost:?}");
    let again = world.another().await;
    for (number, outcome) in under_way.into_iter().enumerate() {
        let stored = kinds(&again, &format!("T{number}")).await.len();
        match outcome.await.expect("it ends") {
            Ok(_) => assert_eq!(stored, 1, "T{number} was acknowledged"),
            Err(CommitError::Fault(Fault::Closed)) => assert_eq!(stored, 0, "T{number} was refused"),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(again.load::<Thing>("A").await.expect("it is read").is_some());
    assert_eq!(*again.positions().borrow(), again.head().await.expect("it is read"));
    again.close().await;
}

/// A change as it was written before 2026-11-26, with one plan for all its environments.
const EARLIER_CHANGE: &str =
    r#"{"author":"ada","content":{"application":"shop","environments":["live"],"plan":"sha256:ab","title":"x"}}"#;

pub async fn records_of_an_earlier_program_are_brought_into_forms_of_today(world: &World) {
    world.store.close().await;
    world.raw("UPDATE schema_version SET version = 2").await;
    let row = "INSERT INTO records (noun, id, version, state, sort_at_ms, updated_at_ms, title, search, body) VALUES";
    world.raw(&format!("{row} ('change', 'CHG-1', 1, 'draft', 0, 0, '', '', '{EARLIER_CHANGE}')")).await;
    let fault = Store::open_beside(&world.url).await.err().expect("that program may be running");
    assert!(matches!(fault, Fault::SchemaOlder { found: 2, .. }), "{fault}");
    assert_eq!(world.text("SELECT body FROM records WHERE id = 'CHG-1'").await, EARLIER_CHANGE);
    Store::open(&world.url).await.expect("it migrates").close().await;
    let now =
        r#"{"author":"ada","content":{"application":"shop","environments":["live"],"plans":{"live":"sha256:ab"},"title":"x"}}"#;
    assert_eq!(world.text("SELECT body FROM records WHERE id = 'CHG-1'").await, now);
    Store::open_beside(&world.url).await.expect("it is of today").close().await;
}

pub async fn a_database_of_a_newer_program_is_refused(world: &World) {
    world.store.close().await;
    world.raw("UPDATE schema_version SET version = 999").await;
    let fault = Store::open(&world.url).await.err().expect("it is newer");
    assert!(matches!(fault, Fault::SchemaNewer { found: 999, .. }), "{fault}");
    assert!(fault.to_string().contains("start the newer program"), "{fault}");
}

pub async fn a_backup_is_whole(world: &World) {
    let store = &world.store;
    made(store, vec![writes(&thing("A"), 0, &["one"])]).await;
    let to = world.dir.path().join("backup.db");
    if !world.is_sqlite() {
        let refusal = store.backup(&to).await.expect_err("it is not ours to do").refusal().expect("it has a remedy");
        assert!(refusal.remedy.contains("pg_dump"), "{refusal}");
        return;
    }
    store.backup(&to).await.expect("it is copied");
    made(store, vec![change("A", 1, &["two"])]).await;
    let copy = Store::open(&format!("sqlite:{}", to.display())).await.expect("it opens");
    assert_eq!(kinds(&copy, "A").await, ["one"]);
    assert_eq!(copy.verify().await.expect("it is walked").broken, None);
    copy.close().await;
    let fault = store.backup(&to).await.expect_err("it exists");
    assert!(fault.to_string().contains("exists"), "{fault}");
    let left: Vec<_> =
        std::fs::read_dir(world.dir.path()).expect("it is listed").map(|entry| entry.expect("it is there").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
    let nowhere = store.backup(&world.dir.path().join("no/such/folder.db")).await.expect_err("there is no folder");
    assert!(matches!(nowhere, Fault::Database(_)), "{nowhere}");
}

pub async fn a_lost_connection_is_replaced(world: &World) {
    for version in 0..5 {
        if !world.is_sqlite() {
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            world.raw(others).await;
        }
        made(&world.store, vec![change("A", version, &["moved"])]).await;
        assert_eq!(kinds(&world.store, "A").await.len() as u64, version + 1);
    }
}

pub async fn the_description_has_no_password(world: &World) {
    let told = world.store.describe();
    assert!(told.starts_with(if world.is_sqlite() { "SQLite 3." } else { "PostgreSQL " }), "{told}");
    if !world.is_sqlite() {
        let url = world.url.replacen("://postgres@", "://postgres:secret@", 1);
        if let Ok(store) = Store::open(&url).await {
            assert!(!store.describe().contains("secret"));
            store.close().await;
        }
    }
}

#[tokio::test]
async fn an_address_that_is_no_database_is_refused() {
    for url in ["", "sqlite:", "sqlite::memory:", "mysql://host/db", "postgres://host:port/db"] {
        let fault = Store::open(url).await.err().expect("it is refused");
        assert!(matches!(fault, Fault::Address { .. }), "{url}: {fault}");
    }
    let fault = Store::open("/no/such/folder/tidegate.db").await.err().expect("it is refused");
    assert!(matches!(fault, Fault::Io { .. }), "{fault}");
}

#[tokio::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("there is a folder");
    let path = dir.path().join("tidegate.db");
    let store = Store::open(path.to_str().expect("it is UTF-8")).await.expect("it opens");
    made(&store, vec![change("A", 0, &["one"])]).await;
    for entry in std::fs::read_dir(dir.path()).expect("it is listed") {
        let entry = entry.expect("it is there");
        let mode = entry.metadata().expect("it is read").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
    store.close().await;
}
