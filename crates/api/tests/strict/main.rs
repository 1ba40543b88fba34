//! The strict readers: what they refuse and with which words, and what holds for any input.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them so")]

mod domain;
mod json;
mod laws;
mod yaml;
