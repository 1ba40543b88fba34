//! What agents say and hear.

pub mod api;
pub mod sessions;
