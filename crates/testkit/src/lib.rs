//! What tests stand on: a real server on a fresh directory, its API as several people, an estate to deploy to, and a fleet of
//! agents that answer as a test says. Dev only.

mod api;
mod estate;
mod fleet;
mod server;

pub use api::{Answer, Api};
pub use estate::{Estate, artifact};
pub use fleet::{Behaviour, Fleet};
pub use server::{TestServer, config};
