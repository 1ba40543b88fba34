//! What things are and what happens next.
//!
//! Nothing here reads a clock, a file, a socket or a random number: `now`, ids and
//! evidence are arguments. Every noun follows one pattern:
//!
//! ```text
//! decide (&self, command,  now) -> Result<Vec<Event>, Refusal>   may this be?
//! advance(&self, evidence, now) -> Next { Do | Wait | Over }      what is due?
//! apply  (&mut self, event)                                       cannot fail
//! ```
#![warn(missing_docs)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod access;
pub mod admission;
pub mod calendar;
pub mod canonical;
pub mod change;
pub mod deployment;
pub mod estate;
pub mod event;
pub mod gate;
pub mod ids;
pub mod limits;
pub mod measure;
pub mod record;
pub mod refusal;
pub mod release;
pub mod template;

pub use ids::{ApplicationName, Digest, Id, Name, Version};
pub use refusal::{Code, Refusal};

/// Milliseconds since 1970-01-01T00:00:00Z, the one form in which instants are stored.
pub type Millis = i64;
