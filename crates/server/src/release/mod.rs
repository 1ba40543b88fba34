//! Releases: what goes together, through the phases of a model.

pub mod api;
pub mod pages;
pub mod service;
