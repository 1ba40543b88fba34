//! Today: what runs, what waits and on whom, and what needs the one who looks.

mod gather;
pub mod pages;
