//! The history: read, streamed, verified.

pub mod api;
mod follow;
pub mod pages;
