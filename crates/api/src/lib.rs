//! The contract: requests, views, problems, paths and agent messages. Serde, no logic.
#![warn(missing_docs)]

pub mod agent;
pub mod definition;
pub mod problem;
pub mod request;
pub mod strict;
pub mod view;

pub use definition::Definition;
pub use problem::Problem;
