//! Freezes and the exceptions into them.

pub mod api;
pub mod service;
