//! The names of what a data directory holds.

/// The embedded database, in a data directory and in a backup of it.
pub const DATABASE: &str = "tidegate.db";
/// The server's key, likewise.
pub const KEY: &str = "server.key";
/// The finished files of the media library, likewise.
pub const OBJECTS: &str = "media/objects";
/// Held by the server that works on the directory.
pub const LOCK: &str = "server.lock";
