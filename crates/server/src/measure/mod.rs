//! Figures from what happened.

pub mod api;
pub mod service;
