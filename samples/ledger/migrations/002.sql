-- May be empty, so that version 1.0 goes on writing entries without it.
ALTER TABLE entries ADD COLUMN note TEXT;
