CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    entered_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

-- Holds the amount too, so that a balance is read from the index alone.
CREATE INDEX entries_by_account ON entries (account, id, amount_cents);
