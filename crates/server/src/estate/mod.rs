//! What there is: definitions and targets.

pub mod api;
pub mod service;
