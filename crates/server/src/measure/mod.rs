//! Figures from what happened.

pub mod api;
pub mod pages;
pub mod service;
