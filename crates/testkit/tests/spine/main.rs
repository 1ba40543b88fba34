//! The spine from outside: a real server on a real database, killed where it hurts.

mod kill;
