//! What there is: definitions and targets.

pub mod api;
pub mod counted;
pub mod matrix;
pub mod pages;
pub mod programs;
pub mod service;
