//! A real organisation's release history as records: the files of one `OpenStack` series, what they mean here, and the way in.
//!
//! ```text
//! data    the files as they are
//! series  what they mean: components, a release train, freezes, changes, deployments
//! load    the public API, in batches
//! ```
#![warn(missing_docs)]

pub mod data;
pub mod load;
pub mod series;
