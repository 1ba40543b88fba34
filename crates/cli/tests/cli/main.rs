//! The command line from outside: its help, its endings, and stories told against a real server with a real agent.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them so")]

mod doctor;
mod endings;
mod help;
mod init;
mod plain;
mod process;
mod records;
mod story;
mod validate;
mod world;
