//! When may it be? Freezes and the exceptions into them.

pub mod freeze;

pub use freeze::Freeze;
