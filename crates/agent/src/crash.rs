//! The hook by which a test stops the agent between two lines, or gives it a defect. Compiled to nothing without the feature `crash`.

#[cfg(feature = "crash")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);
    static DEFECT: OnceLock<String> = OnceLock::new();

    /// Ends this process by `SIGKILL` at the `count`th point from now; 0 never does.
    pub fn after(count: u32) {
        LEFT.store(if count == 0 { i64::MAX } else { i64::from(count) }, Ordering::SeqCst);
    }

    /// Gives the agent a defect that makes it panic at every step of this name.
    pub fn defect_at(step: String) {
        let _ = DEFECT.set(step);
    }

    /// The place of the defect.
    ///
    /// # Panics
    ///
    /// At the step that [`defect_at`] was told of.
    pub fn step(name: &str) {
        assert!(DEFECT.get().is_none_or(|defect| defect != name), "a test asked for this");
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
pub use armed::{after, defect_at, point, step};

/// A place where a test may stop the agent dead.
#[cfg(not(feature = "crash"))]
pub(crate) fn point() {}

/// A step at which a test may let the agent panic.
#[cfg(not(feature = "crash"))]
pub(crate) fn step(_: &str) {}
