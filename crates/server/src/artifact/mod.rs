//! Artifacts: taken in as streams, checked, and kept by their digest.

pub mod api;
pub mod archive;
pub mod pages;
mod service;
