//! Figures from what happened.

pub mod api;
