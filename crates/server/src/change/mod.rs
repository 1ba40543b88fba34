//! Changes: written, voted on, authorised for exactly one content.

pub mod api;
pub mod pages;
pub mod service;
