//! A `PostgreSQL` database of its own for each test that asks for one.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Runs a case with the address of a fresh database on the server that `TIDEGATE_TEST_POSTGRES` names, and drops it afterwards.
/// Without the variable it answers why it did nothing.
///
/// # Errors
///
/// The words of a skipped test.
///
/// # Panics
///
/// As the case does; or if the server does not let databases be made.
pub async fn on_postgres<F: Future<Output = ()>>(case: impl FnOnce(String) -> F) -> Result<(), &'static str> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let Ok(server) = std::env::var("TIDEGATE_TEST_POSTGRES") else {
        return Err("skipped: TIDEGATE_TEST_POSTGRES does not name a PostgreSQL server, such as \
                    postgres://postgres@127.0.0.1:5432/postgres");
    };
    let name = format!("tidegate_spine_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    administer(&server, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let (address, _) = server.rsplit_once('/').expect("the address names a database");
    let ended = AssertUnwindSafe(case(format!("{address}/{name}"))).catch_unwind().await;
    administer(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
    Ok(())
}

async fn administer(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.expect("the server of TIDEGATE_TEST_POSTGRES answers");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the user may make databases");
    connection.close().await.expect("it closes");
}
