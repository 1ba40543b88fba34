//! Asks for orders, carries them out, reports.
