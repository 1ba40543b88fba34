//! What tests stand on: a real server on a fresh directory, its API as several people, an estate to deploy to, and a fleet of
//! agents that answer as a test says. Dev only.

mod api;
mod dice;
mod estate;
mod fleet;
mod follower;
mod postgres;
mod server;
mod wire;

pub use api::{Answer, Api};
pub use dice::Dice;
pub use estate::{Estate, artifact};
pub use fleet::{Behaviour, Fleet, report};
pub use follower::{Entry, Follower};
pub use postgres::on_postgres;
pub use server::{TestServer, config};
pub use wire::{WireAgent, is_signed};
