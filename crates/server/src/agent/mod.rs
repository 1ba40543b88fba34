//! What agents say and hear.

pub mod api;
mod service;
pub mod sessions;
