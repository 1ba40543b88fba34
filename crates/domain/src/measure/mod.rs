//! What happened, as figures.

pub mod dora;
