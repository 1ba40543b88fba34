//! Freezes and the exceptions into them.

pub mod api;
pub mod pages;
pub mod passages;
pub mod service;
