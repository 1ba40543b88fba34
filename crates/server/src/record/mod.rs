//! Records of what was carried out elsewhere.

pub mod api;
mod batch;
pub mod service;
