//! What is remembered: one schema and one set of queries on SQLite and PostgreSQL.
//!
//! [`Store::commit`] is the only door for change: version fences, events, records, target rows, orders and documents in one
//! transaction. Logs and presence are telemetry, not state, and have doors of their own.
#![warn(missing_docs)]
