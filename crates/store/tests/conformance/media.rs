//! The media library.

use std::path::Path;

use tempfile::TempDir;
use tidegate_domain::{Code, Digest};
use tidegate_store::media::{Error, Media};
use tokio::io::AsyncReadExt as _;

async fn library() -> (TempDir, Media) {
    let dir = tempfile::tempdir().expect("there is a folder");
    let media = Media::open(dir.path()).await.expect("the library opens");
    (dir, media)
}

async fn upload(media: &Media, bytes: &[u8], expected: Option<&Digest>) -> Result<(Digest, u64), Error> {
    let mut upload = media.begin().await?;
    for chunk in bytes.chunks(1_000) {
        upload.write(chunk).await?;
    }
    upload.finish(expected).await
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_file_is_kept_under_its_digest() {
    let (dir, media) = library().await;
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    let digest = Digest::of(&bytes);
    let kept = upload(&media, &bytes, Some(&digest)).await.expect("it is kept");
    assert_eq!(kept, (digest.clone(), 100_000));
    assert_eq!(media.path(&digest), dir.path().join("objects").join(&digest.hex()[..2]).join(digest.hex()));
    let (mut file, length) = media.open_read(&digest).await.expect("it opens").expect("it is there");
    let mut read = Vec::new();
    file.read_to_end(&mut read).await.expect("it is read");
    assert!(read == bytes && length == 100_000);
    assert_eq!(media.verify(&digest).await.expect("it is whole"), Some(100_000));
    upload(&media, &bytes, None).await.expect("the same again is no news");
    assert_eq!(files(&dir.path().join("uploads")), 0);
    let other = Digest::of(b"other");
    assert!(media.open_read(&other).await.expect("nothing is there").is_none());
    assert_eq!(media.verify(&other).await.expect("nothing is there"), None);
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let (_dir, media) = library().await;
    assert_eq!(upload(&media, b"", None).await.expect("it is kept"), (Digest::of(b""), 0));
}

#[tokio::test]
async fn another_digest_than_announced_is_refused_and_leaves_nothing() {
    let (dir, media) = library().await;
    match upload(&media, b"these", Some(&Digest::of(b"those"))).await {
        Err(Error::Refused(refusal)) => assert_eq!(refusal.code, Code::DigestMismatch),
        other => panic!("{other:?}"),
    }
    assert_eq!((files(&dir.path().join("uploads")), files(&dir.path().join("objects"))), (0, 0));
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_a_shortened_one_replaced() {
    let (_dir, media) = library().await;
    let (digest, _) = upload(&media, b"whole", None).await.expect("it is kept");
    for damaged in [&b"wHole"[..], b"who"] {
        std::fs::remove_file(media.path(&digest)).expect("it is there");
        std::fs::write(media.path(&digest), damaged).expect("it is damaged");
        let fault = media.verify(&digest).await.expect_err("it is damaged");
        assert!(fault.to_string().contains("corrupt"), "{fault}");
    }
    upload(&media, b"whole", None).await.expect("it is kept");
    assert_eq!(media.verify(&digest).await.expect("it is whole again"), Some(5));
}

#[tokio::test]
async fn leftovers_go_at_the_next_start_but_not_what_is_under_way() {
    let (dir, media) = library().await;
    let mut running = media.begin().await.expect("it begins");
    running.write(b"half").await.expect("it is taken");
    std::fs::write(dir.path().join("uploads/1-1"), b"left by a process that was killed").expect("it is written");
    let again = Media::open(dir.path()).await.expect("the library opens");
    assert_eq!(files(&dir.path().join("uploads")), 1);
    let (digest, bytes) = running.finish(None).await.expect("it is kept");
    assert_eq!((again.verify(&digest).await.expect("it is whole"), bytes), (Some(4), 4));
    drop(media.begin().await.expect("it begins"));
    assert_eq!(files(&dir.path().join("uploads")), 0, "what is given up is removed");
}
