//! The calendar: what was, is and will be, by day.

mod gather;
pub mod pages;
pub mod ticks;
