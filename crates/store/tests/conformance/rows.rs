//! Targets of deployments, orders and documents.

use tidegate_domain::{Digest, Id};
use tidegate_store::{Commit, OrderRow, OrderState, StreamChange, TargetRow};

use crate::world::{World, change, commit, made, name};

fn deployment() -> Id {
    Id::parse("DEP-1").expect("it is an id")
}

fn target(host: &str, wave: u32, state: &str) -> TargetRow {
    let body = format!("{{\"state\":\"{state}\"}}");
    TargetRow { deployment: deployment(), target: name(host), wave, state: state.to_owned(), changed_at_ms: 7, body }
}

fn order(attempt: &str, host: &str, state: OrderState, changed_at_ms: i64) -> OrderRow {
    let (attempt, body) = (attempt.to_owned(), "{\"steps\":[]}".to_owned());
    OrderRow { attempt, target: name(host), deployment: deployment(), state, body, changed_at_ms }
}

pub async fn targets_come_by_wave_and_name(world: &World) {
    let store = &world.store;
    let first = vec![target("web-2", 2, "pending"), target("web-10", 1, "pending"), target("web-1", 1, "pending")];
    made(store, vec![StreamChange { targets: first, ..change("A", 0, &["made"]) }]).await;
    let then = vec![target("web-1", 1, "ordered"), target("web-1", 1, "healthy")];
    made(store, vec![StreamChange { targets: then, ..change("A", 1, &["moved"]) }]).await;
    let expected = vec![target("web-1", 1, "healthy"), target("web-10", 1, "pending"), target("web-2", 2, "pending")];
    assert_eq!(store.targets_of(&deployment()).await.expect("they are read"), expected);
    let other = Id::parse("DEP-2").expect("it is an id");
    assert_eq!(store.targets_of(&other).await.expect("they are read"), []);
}

pub async fn an_order_is_open_until_it_is_closed(world: &World) {
    let store = &world.store;
    let orders = vec![
        order("D:web-1:2", "web-1", OrderState::Open, 9),
        order("D:web-1:1", "web-1", OrderState::Cancelling, 5),
        order("D:web-2:1", "web-2", OrderState::Open, 5),
    ];
    made(store, vec![StreamChange { orders: orders.clone(), ..change("A", 0, &["made"]) }]).await;
    let open = store.open_orders(&name("web-1")).await.expect("they are read");
    assert_eq!(open, [orders[1].clone(), orders[0].clone()]);
    let closed = order("D:web-1:1", "web-1", OrderState::Closed, 11);
    made(store, vec![StreamChange { orders: vec![closed.clone()], ..change("A", 1, &["over"]) }]).await;
    assert_eq!(store.open_orders(&name("web-1")).await.expect("they are read"), [orders[0].clone()]);
    assert_eq!(store.order("D:web-1:1").await.expect("it is read"), Some(closed));
    assert_eq!(store.order("D:web-9:1").await.expect("it is read"), None);
}

pub async fn a_document_is_kept_once(world: &World) {
    let (store, body) = (&world.store, "{\"plan\":1}".to_owned());
    let digest = Digest::of(body.as_bytes());
    for id in ["A", "B"] {
        let documents = vec![(digest.clone(), body.clone())];
        store.commit(Commit { documents, ..commit(vec![change(id, 0, &["one"])]) }).await.expect("the commit is made");
    }
    assert_eq!(store.document(&digest).await.expect("it is read"), Some(body));
    assert_eq!(store.document(&Digest::of(b"other")).await.expect("it is read"), None);
    world.raw("UPDATE documents SET body = '{\"plan\":2}'").await;
    let fault = store.document(&digest).await.expect_err("it was changed");
    assert!(fault.to_string().contains("corrupt"), "{fault}");
}
