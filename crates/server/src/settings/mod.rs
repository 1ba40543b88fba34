//! What the server runs with, for its administrators.

mod gather;
pub mod pages;
