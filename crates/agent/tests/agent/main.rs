//! Stories of an agent as a real process against a real HTTP server.

mod crash;
mod server;
mod story;
mod world;
