//! The laws of the pure centre: stories, properties and whole tables, over a fake fleet and a counter for a clock.
//!
//! `world` builds things, `fleet` answers orders, `play` runs a deployment to its end and watches what must never be; everything
//! else is tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts so")]

mod fleet;
mod play;
mod script;
mod world;

mod access;
mod admission;
mod archive;
mod arithmetic;
mod at_last;
mod canary_vectors;
mod change;
mod content;
mod event_forms;
mod gates;
mod plans;
mod random;
mod records;
mod reports;
mod state_tables;
mod stories_failing;
mod stories_gates;
mod stories_holding;
mod stories_questions;
mod stories_strategies;
mod texts;
mod window;
