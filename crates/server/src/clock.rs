//! The one place of the server that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidegate_domain::Millis;

/// Where `now` comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that tests set.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// Milliseconds since 1970.
    #[allow(clippy::disallowed_methods, reason = "this is the shell's clock that everything else is given")]
    pub fn now_ms(&self) -> Millis {
        match self {
            Clock::System => jiff::Timestamp::now().as_millisecond(),
            Clock::Set(now_ms) => now_ms.load(Ordering::SeqCst),
        }
    }
}
