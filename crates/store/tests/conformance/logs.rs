//! Output of steps.

use tidegate_store::{ATTEMPT_LOG_BYTES_MAX, LogChunk, LogSize};

use crate::world::World;

fn chunk(attempt: &str, number: u64, text: &str) -> LogChunk {
    LogChunk { attempt: attempt.to_owned(), number, at_ms: 3, text: text.to_owned() }
}

pub async fn chunks_are_kept_once_and_in_order(world: &World) {
    let store = &world.store;
    store.append_log(&[]).await.expect("nothing is kept");
    store
        .append_log(&[chunk("D:a:1", 2, "two"), chunk("D:a:1", 0, "zero"), chunk("D:b:1", 0, "b")])
        .await
        .expect("they are kept");
    let again = [chunk("D:a:1", 0, "other"), chunk("D:a:1", 1, "o\0ne"), chunk("D:a:1", 1, "twice")];
    store.append_log(&again).await.expect("they are kept");
    let told = async |after, limit| {
        let chunks = store.logs("D:a:1", after, limit).await.expect("they are read");
        chunks.into_iter().map(|chunk| chunk.text).collect::<Vec<_>>()
    };
    assert_eq!(told(None, 10).await, ["zero", "o\u{fffd}ne", "two"]);
    assert_eq!(told(Some(0), 1).await, ["o\u{fffd}ne"]);
    assert_eq!(told(Some(2), 10).await, [""; 0]);
    assert_eq!(store.log_size("D:a:1").await.expect("it is read"), LogSize { bytes: 4 + 6 + 3, chunks: 3 });
    assert_eq!(store.log_size("none").await.expect("it is read"), LogSize::default());
}

pub async fn the_output_of_an_attempt_is_bounded(world: &World) {
    let store = &world.store;
    let text = "x".repeat(usize::try_from(ATTEMPT_LOG_BYTES_MAX / 4).expect("it is small") - 1);
    for number in 0..5 {
        store.append_log(&[chunk("D:a:1", number, &text), chunk("D:a:1", 100 + number, "y")]).await.expect("it is taken");
    }
    let size = store.log_size("D:a:1").await.expect("it is read");
    assert_eq!(size, LogSize { bytes: ATTEMPT_LOG_BYTES_MAX, chunks: 8 });
    store.append_log(&[chunk("D:b:1", 0, "z")]).await.expect("it is taken");
    assert_eq!(store.log_size("D:b:1").await.expect("it is read").chunks, 1);
}
