//! The spine from outside: a real server on a real database, asked well and badly, and killed where it hurts.
// A skipped test and the seed of a random one say so.
#![allow(clippy::print_stdout)]

mod doors;
mod kill;
mod openapi;
mod refusals;
mod stage;
