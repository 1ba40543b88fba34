//! What the API said, for people. Pure: a view in, text out; [`crate::output`] prints it.

pub mod change;
pub mod deployment;
pub mod estate;
pub mod freeze;
pub mod history;
pub mod plan;
pub mod problem;
pub mod release;
#[cfg(test)]
pub mod sample;
pub mod time;
