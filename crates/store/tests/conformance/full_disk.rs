//! No room: a fault with its cause, nothing half stored, and commits again when there is room.

use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_store::media::{self, Media};
use tidegate_store::{CommitError, Fault, Store};

use crate::world::{change, commit, kinds, made};

const CHILD_DIR: &str = "TIDEGATE_TEST_FULL_DIR";

/// The limit on the size of files belongs to a process, so a child has it. The shell has the signal ignored that would end it.
#[test]
fn a_full_disk_is_a_fault_and_passes() {
    let dir = tempfile::tempdir().expect("there is a folder");
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact full_disk::child --ignored --nocapture"])
        .arg(std::env::current_exe().expect("this program has a path"))
        .env(CHILD_DIR, dir.path())
        .output()
        .expect("the child starts");
    let told = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && told.contains("the disk was full"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by a_full_disk_is_a_fault_and_passes"]
async fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let dir = Path::new(&dir);
    let store = Store::open(&format!("sqlite:{}", dir.join("tidegate.db").display())).await.expect("the store opens");
    let media = Media::open(dir.join("media")).await.expect("the library opens");
    made(&store, vec![change("A", 0, &["moved"])]).await;

    let wide = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(1 << 20), ..wide }).expect("it may be lowered");
    let mut version = 1;
    let cause = loop {
        let mut commit = commit(vec![change("A", version, &["moved"])]);
        commit.cause = "x".repeat(50_000);
        match store.commit(commit).await {
            Ok(_) => version += 1,
            Err(CommitError::Fault(Fault::Database(cause))) => break cause,
            Err(other) => panic!("{other}"),
        }
        assert!(version < 1_000, "the limit was never met");
    };
    println!("the disk was full after {version} commits: {cause}");
    assert_eq!(kinds(&store, "A").await.len() as u64, version, "reading goes on");
    a_full_library_keeps_nothing(&media, &dir.join("media/uploads")).await;

    setrlimit(Resource::Fsize, wide).expect("it may be raised again");
    made(&store, vec![change("A", version, &["moved"])]).await;
    let verified = store.verify().await.expect("it is walked");
    assert_eq!((verified.broken, verified.events), (None, version + 1));
    store.close().await;
}

async fn a_full_library_keeps_nothing(media: &Media, uploads: &Path) {
    let mut upload = media.begin().await.expect("it begins");
    let block = vec![7; 64 << 10];
    let mut outcome = Ok(());
    for _ in 0..40 {
        outcome = outcome.and(upload.write(&block).await);
    }
    let outcome = match outcome {
        Ok(()) => upload.finish(None).await.map(|_| ()),
        lost => {
            drop(upload);
            lost
        }
    };
    assert!(matches!(outcome, Err(media::Error::Fault(Fault::Io { .. }))), "{outcome:?}");
    assert_eq!(std::fs::read_dir(uploads).expect("it is listed").count(), 0, "nothing is left");
}
