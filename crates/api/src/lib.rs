//! The contract: requests, views, problems, paths and agent messages. Serde, no logic.
#![warn(missing_docs)]

pub mod agent;
pub mod strict;
