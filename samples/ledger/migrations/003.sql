CREATE TABLE totals (
    account TEXT PRIMARY KEY,
    balance_cents INTEGER NOT NULL
) STRICT;
