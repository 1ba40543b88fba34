//! The target's clock, for display only: no decision compares it with another machine's.

use tidegate_domain::Millis;

/// Now, by the target's clock.
pub fn now_ms() -> Millis {
    #[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
