//! The spine from outside: a real server on a real database, asked well and badly, and killed where it hurts.
// A skipped test and the seed of a random one say so.
// What UPDATE_EXPECT writes keeps its hashes.
#![allow(clippy::print_stdout, clippy::needless_raw_string_hashes)]

mod admission;
mod agents;
mod backup;
mod browser;
mod budget;
mod canary;
mod desk;
mod doors;
mod gates;
mod keys;
mod kill;
mod mangled;
mod metrics;
mod openapi;
mod overload;
mod past;
mod rates;
mod real;
mod records;
mod refusals;
mod stage;
mod stream;
mod today;
mod uploads;
mod way_back;
