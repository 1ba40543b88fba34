//! Reading events.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tidegate_domain::canonical;
use tidegate_domain::event::{Actor, NewEvent, Noun, Origin, Stream};
use tidegate_store::{EventFilter, EventRow, StreamChange};

use crate::world::{World, change, made, name, stream};

fn positions(events: &[EventRow]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

pub async fn events_are_read_by_position_by_stream_and_backwards(world: &World) {
    let store = &world.store;
    assert_eq!(store.events_after(0, 10).await.expect("they are read"), []);
    made(store, vec![change("A", 0, &["one", "two"])]).await;
    made(store, vec![StreamChange { stream: Stream::new(Noun::Release, "R"), ..change("R", 0, &["made"]) }]).await;
    made(store, vec![change("B", 0, &["one"]), change("A", 2, &["three"])]).await;
    assert_eq!(positions(&store.events_after(0, 3).await.expect("they are read")), [1, 2, 3]);
    assert_eq!(positions(&store.events_after(3, 10).await.expect("they are read")), [4, 5]);
    assert_eq!(positions(&store.events_after(u64::MAX, 10).await.expect("they are read")), [0; 0]);
    assert_eq!(positions(&store.events_of(&stream("A"), 1, 10).await.expect("they are read")), [2, 5]);
    assert_eq!(positions(&store.events_before(None, &EventFilter::default(), 2).await.expect("they are read").rows), [5, 4]);
    assert_eq!(
        positions(&store.events_before(Some(4), &EventFilter::default(), 10).await.expect("they are read").rows),
        [3, 2, 1]
    );
    let of_changes = EventFilter { noun: Some(Noun::Change), ..EventFilter::default() };
    assert_eq!(positions(&store.events_before(Some(5), &of_changes, 2).await.expect("they are read").rows), [4, 2]);
    let of_one = EventFilter { stream: Some(stream("A")), actor: Some(Actor::Person(name("ada"))), ..EventFilter::default() };
    assert_eq!(positions(&store.events_before(None, &of_one, 10).await.expect("they are read").rows), [5, 2, 1]);
    let by_nobody = EventFilter { actor: Some(Actor::System), ..of_one };
    assert_eq!(positions(&store.events_before(None, &by_nobody, 10).await.expect("they are read").rows), [0; 0]);
    let last = store.events_of(&stream("A"), 2, 1).await.expect("they are read").remove(0);
    assert_eq!((last.version, last.kind.as_str(), last.cause.as_str(), last.at_ms), (3, "three", "request 1", 1_000));
    assert_eq!((last.stream, last.actor), (stream("A"), Actor::Person(name("ada"))));
}

pub async fn text_is_found_in_the_history_page_by_page(world: &World) {
    let store = &world.store;
    let event = |word: &str| NewEvent { kind: "moved".to_owned(), body: json!({"to": word}), origin: None };
    // More than one page looks through.
    for block in 0..25 {
        let mut events: Vec<NewEvent> = (0..1_000).map(|_| event("hay")).collect();
        if block % 12 == 0 {
            events[500] = event("The 100% Needle");
        }
        made(store, vec![StreamChange { events, ..change("A", block * 1_000, &[]) }]).await;
    }
    let of_text = |text: &str| EventFilter { text: Some(text.to_owned()), ..EventFilter::default() };
    for (text, expected) in [("100% needle", vec![24_501, 12_501, 501]), ("100_ needle", vec![]), ("nowhere", vec![])] {
        let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = store.events_before(before, &of_text(text), 50).await.expect("they are read");
            found.extend(positions(&page.rows));
            (before, pages) = (page.before, pages + 1);
            if before.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (expected, 2), "{text}");
    }
    let head = store.head().await.expect("it is read");
    let touched = store.touched(Noun::Change, (head - 10, head), 10).await.expect("they are read");
    assert_eq!(touched, Some(["A".to_owned()].into()));
    assert_eq!(store.touched(Noun::Change, (0, head), 10).await.expect("they are read"), None);
    assert_eq!(store.touched(Noun::Release, (0, head), 10).await.expect("they are read"), Some([].into()));
}

pub async fn the_chain_of_hashes_is_as_documented(world: &World) {
    let store = &world.store;
    let event =
        |number: u64| NewEvent { kind: "moved".to_owned(), body: json!({"z": number, "a": {"ü": "\"\n"}}), origin: None };
    made(store, vec![StreamChange { events: vec![event(1), event(2)], ..change("A", 0, &[]) }]).await;
    // An event with an origin of its own, between two that have the commit's.
    let origin = Origin { actor: Actor::Agent(name("t-01")), cause: "report 7".to_owned() };
    let own = NewEvent { origin: Some(origin), ..event(4) };
    made(store, vec![StreamChange { events: vec![event(3), own, event(5)], ..change("A", 2, &[]) }]).await;
    let mut previous = "0".repeat(64);
    for event in store.events_of(&stream("A"), 0, 10).await.expect("they are read") {
        let body: serde_json::Value = serde_json::from_str(&event.body).expect("it is JSON");
        assert_eq!(event.body, canonical::text(&body));
        let whole = json!({
            "stream": event.stream.to_string(), "version": event.version, "kind": event.kind, "actor": event.actor,
            "cause": event.cause, "at_ms": event.at_ms, "body": body, "previous": previous,
        });
        let told = (event.actor.to_string(), event.cause.as_str());
        let expected =
            if event.version == 4 { ("agent:t-01".to_owned(), "report 7") } else { ("person:ada".to_owned(), "request 1") };
        assert_eq!(told, expected, "version {}", event.version);
        assert_eq!(event.previous, previous);
        assert_eq!(event.hash, hex::encode(Sha256::digest(canonical::text(&whole))));
        previous = event.hash;
    }
    let verified = store.verify().await.expect("a walk");
    assert_eq!((verified.events, verified.broken), (5, None));
}
