//! Every way to falsify the history is noticed and named.

use tidegate_store::Broken;

use crate::world::{World, change, made};

/// Positions 1 to 9: A1 B1 A2 B2 A3 B3 A4 B4 C1.
async fn told(world: &World) {
    for version in 0..4 {
        made(&world.store, vec![change("A", version, &["moved"]), change("B", version, &["moved"])]).await;
    }
    made(&world.store, vec![change("C", 0, &["made"])]).await;
    assert_eq!(broken(world).await, None);
}

async fn broken(world: &World) -> Option<Broken> {
    world.store.verify().await.expect("it is walked").broken
}

/// What `verify` says after `sql`: stream, version, position.
async fn named(world: &World, sql: &str) -> (String, u64, u64, String) {
    world.raw(sql).await;
    let broken = broken(world).await.unwrap_or_else(|| panic!("nothing was noticed after {sql}"));
    (broken.stream, broken.version, broken.position, broken.what)
}

pub async fn an_untouched_history_verifies(world: &World) {
    let empty = world.store.verify().await.expect("it is walked");
    assert_eq!((empty.events, empty.streams, empty.broken), (0, 0, None));
    told(world).await;
    let verified = world.store.verify().await.expect("it is walked");
    assert_eq!((verified.events, verified.streams), (9, 3));
}

pub async fn a_change_to_any_column_is_named(world: &World) {
    told(world).await;
    let columns = [
        ("body", "'{\"what\":\"nothing\"}'"),
        ("kind", "'stayed'"),
        ("actor", "'person:eve'"),
        ("cause", "'request 2'"),
        ("at_ms", "at_ms + 1"),
        ("previous", "'00'"),
        ("hash", "'00'"),
        ("noun", "'release'"),
        ("position", "100"),
    ];
    for (column, value) in columns {
        let keep = "CREATE TABLE kept AS SELECT * FROM events";
        world.raw(keep).await;
        let (stream, version, position, what) =
            named(world, &format!("UPDATE events SET {column} = {value} WHERE position = 5")).await;
        let place = match column {
            // A moved entry shows where the next one of its stream stands before it.
            "position" => (4, 7),
            _ => (3, 5),
        };
        assert_eq!((stream.as_str(), version, position), ("change/A", place.0, place.1), "{column}: {what}");
        world.raw("DELETE FROM events; INSERT INTO events SELECT * FROM kept; DROP TABLE kept").await;
        assert_eq!(broken(world).await, None, "{column} was put back");
    }
    let (stream, _, position, _) = named(world, "UPDATE events SET stream = 'change/D' WHERE position = 9").await;
    assert_eq!((stream.as_str(), position), ("change/C", 0));
    let (stream, version, _, what) = named(world, "UPDATE events SET version = 9 WHERE position = 7").await;
    assert_eq!((stream.as_str(), version), ("change/C", 1), "{what}");
}

pub async fn a_removed_entry_is_named(world: &World) {
    told(world).await;
    let (stream, version, position, what) = named(world, "DELETE FROM events WHERE position = 3").await;
    assert_eq!((stream.as_str(), version, position), ("change/A", 2, 5), "{what}");
    assert!(what.contains("missing"), "{what}");
}

pub async fn an_exchanged_entry_is_named(world: &World) {
    told(world).await;
    let exchange = "UPDATE events SET version = 99 WHERE position = 3; UPDATE events SET version = 2 WHERE position = 5; \
                    UPDATE events SET version = 3 WHERE position = 3";
    let (stream, version, position, what) = named(world, exchange).await;
    assert_eq!((stream.as_str(), version, position), ("change/A", 2, 5), "{what}");
    assert!(what.contains("does not continue"), "{what}");
}

pub async fn a_removed_end_is_named(world: &World) {
    told(world).await;
    let (stream, version, position, what) = named(world, "DELETE FROM events WHERE position = 8").await;
    assert_eq!((stream.as_str(), version, position), ("change/B", 4, 6), "{what}");
    assert!(what.contains("ends at version 4"), "{what}");
    // Whoever also sets the head back is found by the hole in the positions.
    let back = "UPDATE streams SET version = 3, hash = (SELECT hash FROM events WHERE position = 6) WHERE stream = 'change/B'";
    let (stream, _, position, what) = named(world, back).await;
    assert_eq!((stream.as_str(), position), ("", 8), "{what}");
}

pub async fn a_removed_stream_is_noticed(world: &World) {
    told(world).await;
    let (stream, ..) = named(world, "DELETE FROM events WHERE stream = 'change/C'").await;
    assert_eq!(stream, "change/C");
    let (stream, _, position, what) = named(world, "DELETE FROM streams WHERE stream = 'change/C'").await;
    assert_eq!((stream.as_str(), position), ("", 9), "{what}");
    let (stream, version, position, what) = named(world, "DELETE FROM streams WHERE stream = 'change/A'").await;
    assert_eq!((stream.as_str(), version, position), ("change/A", 4, 7), "{what}");
}

pub async fn the_first_of_several_broken_entries_is_named(world: &World) {
    told(world).await;
    world.raw("UPDATE events SET kind = 'x' WHERE position IN (4, 5, 9)").await;
    let broken = broken(world).await.expect("it is noticed");
    assert_eq!((broken.stream.as_str(), broken.version, broken.position), ("change/B", 2, 4));
    assert_eq!(broken.to_string(), "position 4, change/B version 2: its content does not have the hash it was stored with");
}

pub async fn a_history_of_many_pages_verifies_while_it_grows(world: &World) {
    let store = &world.store;
    let kinds = ["moved"; 500];
    for version in 0..5 {
        made(store, vec![change("A", version * 500, &kinds), change("B", version * 500, &kinds)]).await;
    }
    let grow = async {
        for version in 2_500..2_560 {
            made(store, vec![change("A", version, &["moved"]), change("B", version, &["moved"])]).await;
        }
    };
    let walk = async {
        for _ in 0..4 {
            assert_eq!(broken(world).await, None);
        }
    };
    tokio::join!(grow, walk);
    assert_eq!(store.verify().await.expect("it is walked").events, 5_120);
    world.raw("UPDATE events SET at_ms = 0 WHERE position = 2000").await;
    assert_eq!(broken(world).await.map(|broken| broken.position), Some(2_000));
}
