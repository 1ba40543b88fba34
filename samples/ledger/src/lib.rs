//! The ledger: a real, small HTTP service with its own database, which `tidegate demo` deploys, breaks and mends.
//!
//! An [`artifact`] holds a program `bin/ledger` that is a text: a first line that names `tidegate sample-ledger` as its
//! interpreter, and what the version is. So the service's behaviour, its mistake included, is in the deployed bytes, and this
//! library only carries them out.

mod artifact;
mod command;
mod database;
mod load;
mod metrics;
mod migrate;
mod program;
mod refusal;
mod routes;
mod service;

pub use artifact::{Edition, artifact};
pub use command::{MIGRATE, SERVE, main_blocking};
pub use load::{LOAD_ACCOUNTS, LoadSummary, Tally, load};
pub use migrate::{Mode, Outcome, migrate};
pub use service::serve;
