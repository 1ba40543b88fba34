//! The one place of the command line that reads a clock.

use jiff::Timestamp;

/// Now.
#[allow(clippy::disallowed_methods, reason = "the shell's clock; everything else takes `now`")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
