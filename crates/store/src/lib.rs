//! What is remembered: one schema and one set of queries on `SQLite` and `PostgreSQL`.
//!
//! [`Store::commit`] is the only door for change: version fences, events, records, target rows, orders and documents in one
//! transaction. Logs are telemetry, not state, and have a door of their own ([`Store::append_log`]). Artifacts are files and
//! live in the [`media`] library.
//!
//! ```text
//! commit ──► queue (bounded) ──► writer: one task, one connection
//!                                  group of up to 256 commits ─► group::plan (in memory, pure) ─► rows in bulk ─► COMMIT ─► answers
//! reads ───► pool ───────────────► records, events, orders, …
//! ```
//!
//! | File | Holds |
//! |---|---|
//! | `db.rs` | the only file that knows that there are two databases |
//! | `schema.rs` | the tables, as an ordered list of migrations |
//! | `forms.rs` | records of earlier programs, brought into today's forms |
//! | `writer.rs`, `group.rs`, `bulk.rs` | the way of a commit |
//! | `inspect.rs` | a look that changes nothing |
//! | `chain.rs` | the hash of an event, and the walk that verifies all of them |
//! | `telemetry.rs` | what an operator counts |
//! | `records.rs`, `events.rs`, `orders.rs`, `logs.rs`, `documents.rs` | one kind of reading each |
#![warn(missing_docs)]

mod bulk;
mod chain;
mod commit;
mod db;
mod documents;
mod events;
mod fault;
mod forms;
mod group;
mod inspect;
mod logs;
pub mod media;
mod nouns;
mod orders;
mod records;
mod schema;
mod store;
mod telemetry;
mod writer;

pub use chain::{Broken, Verified};
pub use commit::{Commit, Committed, IdempotencyRow, RecordRow, StreamChange};
pub use events::{EventFilter, EventPage, EventRow};
pub use fault::{CommitError, Fault};
pub use inspect::Inspection;
pub use logs::{ATTEMPT_LOG_BYTES_MAX, LogChunk, LogSize};
pub use nouns::package_key;
pub use orders::{OrderRow, OrderState, TargetRow};
pub use records::{Filter, Index, Order, Page, PageRequest, Reach, Record, Stored, Tick};
pub use store::Store;
pub use telemetry::Telemetry;
pub use writer::QUEUE_MAX as COMMITS_WAITING_MAX;
