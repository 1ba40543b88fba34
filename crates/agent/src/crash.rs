//! The hook by which a test stops the agent between two lines. Compiled to nothing without the feature `crash`.

#[cfg(feature = "crash")]
mod armed {
    use std::sync::atomic::{AtomicI64, Ordering};

    static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);

    /// Ends this process by `SIGKILL` at the `count`th point from now; 0 never does.
    pub fn after(count: u32) {
        LEFT.store(if count == 0 { i64::MAX } else { i64::from(count) }, Ordering::SeqCst);
    }

    pub fn point() {
        if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

#[cfg(feature = "crash")]
pub use armed::{after, point};

/// A place where a test may stop the agent dead.
#[cfg(not(feature = "crash"))]
pub(crate) fn point() {}
