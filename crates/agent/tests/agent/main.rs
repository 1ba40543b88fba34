//! Stories of an agent as a real process against a real HTTP server.

mod crash;
mod doubt;
mod launches;
mod refusals;
mod releases;
mod retries;
mod server;
mod services;
mod steps;
mod story;
mod world;
