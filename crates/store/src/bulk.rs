//! Many rows in one statement, in few shapes.
//!
//! The number of rows in a statement is a power of two, so that a handful of prepared statements serves every length.

use std::fmt::Write as _;

use crate::db::{Bind, Row, Tx};

/// Rows in one statement; 11 columns of them stay far below the limits of both databases.
const ROWS_MAX: usize = 128;

/// A table to write to.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// What follows the values: `ON CONFLICT …` or nothing.
    pub(crate) conflict: &'static str,
}

impl Table {
    /// Inserts `rows`, in their order.
    pub(crate) async fn insert(&self, tx: &mut Tx, rows: Vec<Vec<Bind>>) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter();
        for size in sizes(rows.len()) {
            let binds = rows.by_ref().take(size).flatten().collect();
            tx.execute(self.sql(size), binds).await?;
        }
        Ok(())
    }

    /// Inserts `rows` and answers with what the `RETURNING` of `conflict` names.
    pub(crate) async fn insert_returning(&self, tx: &mut Tx, rows: Vec<Vec<Bind>>) -> Result<Vec<Row>, sqlx::Error> {
        let mut rows = rows.into_iter();
        let mut answers = Vec::new();
        for size in sizes(rows.len()) {
            let binds = rows.by_ref().take(size).flatten().collect();
            answers.extend(tx.rows(self.sql(size), binds).await?);
        }
        Ok(answers)
    }

    fn sql(&self, rows: usize) -> String {
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", self.name, self.columns.join(", "));
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            placeholders(&mut sql, row * self.columns.len(), self.columns.len());
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.conflict);
        sql
    }
}

/// Rows whose `key` is one of `keys`; `select` ends before its `WHERE`.
pub(crate) async fn select_in(tx: &mut Tx, select: &str, key: &str, keys: Vec<String>) -> Result<Vec<Row>, sqlx::Error> {
    let mut found = Vec::with_capacity(keys.len());
    let mut keys = keys.into_iter();
    for size in sizes(keys.len()) {
        let mut sql = format!("{select} WHERE {key} IN (");
        placeholders(&mut sql, 0, size);
        sql.push(')');
        found.extend(tx.rows(sql, keys.by_ref().take(size).map(Bind::Text).collect()).await?);
    }
    Ok(found)
}

/// Writes `$first+1, $first+2, …`.
pub(crate) fn placeholders(sql: &mut String, first: usize, count: usize) {
    for number in first + 1..=first + count {
        let comma = if number == first + 1 { "" } else { ", " };
        write!(sql, "{comma}${number}").expect("text can be written to a String");
    }
}

/// Cuts `total` into powers of two, the largest first.
pub(crate) fn sizes(total: usize) -> impl Iterator<Item = usize> {
    let mut left = total;
    std::iter::from_fn(move || {
        let size = if left >= ROWS_MAX { ROWS_MAX } else { left.checked_ilog2().map_or(0, |power| 1 << power) };
        left -= size;
        (size > 0).then_some(size)
    })
}

#[cfg(test)]
mod tests {
    use super::{ROWS_MAX, sizes};

    #[test]
    fn every_length_is_cut_into_powers_of_two() {
        for total in 0..3 * ROWS_MAX {
            let cut: Vec<usize> = sizes(total).collect();
            assert_eq!(cut.iter().sum::<usize>(), total);
            assert!(cut.iter().all(|size| size.is_power_of_two() && *size <= ROWS_MAX), "{total} was cut into {cut:?}");
        }
    }
}
