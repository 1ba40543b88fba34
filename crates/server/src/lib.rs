//! The server: doors, services, orchestrator.
//!
//! One folder per noun, each with its service and its doors; [`routes`] is the table of contents. A command's way is door →
//! service (permission, load) → domain (pure) → the store's commit.

pub mod access;
pub mod agent;
mod answer;
pub mod app;
mod artifact;
mod audit;
mod bounds;
mod calendar;
mod change;
pub mod clock;
pub mod data;
pub mod deployment;
mod descriptors;
mod door;
mod estate;
mod freeze;
pub mod http;
mod list;
mod measure;
mod metrics;
mod mirror;
mod observe;
mod openapi;
pub mod orchestrator;
mod overload;
mod pages;
mod probes;
mod problem;
mod rates;
mod record;
mod release;
mod router;
mod secret;
mod settings;
mod start;
mod today;
pub mod web;

pub use problem::{Fault, No};
pub use router::{openapi, router};
pub use start::{Config, Running, api_token, backup, first_token, link_for, login_link, open, restore, run, start};
