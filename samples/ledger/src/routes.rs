//! What the ledger answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePool;

use crate::database;
use crate::metrics::Metrics;
use crate::program::{Feature, Program};
use crate::refusal::NotDone;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 4 << 10;
/// Either way; a million of the largest entries still add up without overflow.
const AMOUNT_CENTS_MAX: i64 = 1_000_000_000_000;
const ACCOUNT_BYTES_MAX: usize = 64;
const NOTE_CHARS_MAX: usize = 200;
/// Lines of a statement.
const STATEMENT_ENTRIES_MAX: u32 = 50;

/// A running version of the ledger.
pub struct Ledger {
    pub program: Program,
    /// The version that the deployment says it is, for comparison with the program's own.
    pub deployed_version: Option<String>,
    pub pool: SqlitePool,
    pub metrics: Metrics,
    /// Entries asked for since the start.
    pub entries_asked: AtomicU64,
}

/// The table of contents.
pub fn router(ledger: Arc<Ledger>) -> Router {
    let mut router = Router::new()
        .route("/health", get(health))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/entries", post(enter))
        .route("/accounts/{id}/balance", get(balance));
    if ledger.program.has(Feature::Statement) {
        router = router.route("/accounts/{id}/statement", get(statement));
    }
    router
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&ledger), measure))
        .with_state(ledger)
}

async fn measure(State(ledger): State<Arc<Ledger>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();
    let response = next.run(request).await;
    ledger.metrics.record(path.as_ref().map(MatchedPath::as_str), response.status(), began.elapsed());
    response
}

async fn unknown(request: Request) -> NotDone {
    NotDone::Refused {
        status: StatusCode::NOT_FOUND,
        code: "route-unknown",
        what: format!("this version has no {}", request.uri().path()),
        remedy: "see README.md of the ledger for what each version has",
    }
}

/// 200 when the database answers and its schema is new enough.
async fn health(State(ledger): State<Arc<Ledger>>) -> Response {
    let needed = ledger.program.schema;
    let (status, what) = match database::level(&ledger.pool).await {
        Ok(found) if found >= needed => (StatusCode::OK, "ok".to_owned()),
        Ok(found) => (StatusCode::SERVICE_UNAVAILABLE, format!("the schema is at {found}, {needed} is needed: run bin/migrate")),
        Err(cause) => (StatusCode::SERVICE_UNAVAILABLE, format!("the database does not answer: {cause}")),
    };
    (status, Json(json!({ "health": what, "version": ledger.program.version }))).into_response()
}

async fn version(State(ledger): State<Arc<Ledger>>) -> Json<serde_json::Value> {
    let program = &ledger.program;
    Json(json!({ "version": program.version, "deployed_as": ledger.deployed_version, "schema": program.schema }))
}

async fn metrics(State(ledger): State<Arc<Ledger>>) -> Response {
    let text = ledger.metrics.text(&ledger.program.version);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    account: String,
    amount_cents: i64,
    note: Option<String>,
}

impl NewEntry {
    fn check(&self, program: &Program) -> Result<(), NotDone> {
        account(&self.account)?;
        if self.amount_cents == 0 || !(-AMOUNT_CENTS_MAX..=AMOUNT_CENTS_MAX).contains(&self.amount_cents) {
            let what = format!("amount_cents is {}", self.amount_cents);
            return Err(NotDone::invalid("amount-out-of-range", what, "use an amount up to 10 000 000 000.00 either way, not 0"));
        }
        match &self.note {
            Some(_) if !program.has(Feature::Statement) => {
                let what = format!("version {} keeps no notes", program.version);
                Err(NotDone::invalid("note-unknown", what, "leave note out, or deploy 1.1"))
            }
            Some(note) if note.chars().count() > NOTE_CHARS_MAX => {
                let what = format!("note has more than {NOTE_CHARS_MAX} characters");
                Err(NotDone::invalid("note-too-long", what, "shorten it"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn account(id: &str) -> Result<(), NotDone> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=ACCOUNT_BYTES_MAX).contains(&id.len()) && id.chars().all(plain) {
        return Ok(());
    }
    let remedy = "use 1 to 64 lower-case letters, digits or '-'";
    Err(NotDone::invalid("account-invalid", "that is no account".to_owned(), remedy))
}

/// Answers only when the entry is committed: what was answered 201 is in every later balance.
async fn enter(State(ledger): State<Arc<Ledger>>, body: Result<Json<NewEntry>, JsonRejection>) -> Result<Response, NotDone> {
    let Json(entry) = body?;
    entry.check(&ledger.program)?;
    let id = ledger.enter(&entry).await?;
    let entered = json!({ "id": id, "account": entry.account, "amount_cents": entry.amount_cents });
    Ok((StatusCode::CREATED, Json(entered)).into_response())
}

impl Ledger {
    async fn enter(&self, entry: &NewEntry) -> Result<i64, sqlx::Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        // A version from before the notes runs on a schema that may not have the column.
        let insert = if self.program.has(Feature::Statement) {
            let insert = "INSERT INTO entries (account, amount_cents, note) VALUES ($1, $2, $3) RETURNING id";
            sqlx::query_scalar(insert).bind(&entry.account).bind(entry.amount_cents).bind(entry.note.as_deref())
        } else {
            let insert = "INSERT INTO entries (account, amount_cents) VALUES ($1, $2) RETURNING id";
            sqlx::query_scalar(insert).bind(&entry.account).bind(entry.amount_cents)
        };
        let id = insert.fetch_one(&mut *tx).await?;
        let asked = self.entries_asked.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(totals) = self.program.totals.as_ref().filter(|totals| asked.is_multiple_of(totals.every_entries)) {
            // The artifact's own text, as trusted as the program that it is part of.
            sqlx::query(AssertSqlSafe(totals.sql.as_str())).bind(&entry.account).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(id)
    }
}

/// An account without entries has the balance 0.
async fn balance(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>) -> Result<Json<serde_json::Value>, NotDone> {
    account(&id)?;
    let sql = "SELECT coalesce(sum(amount_cents), 0), count(*) FROM entries WHERE account = $1";
    let (balance_cents, entries): (i64, i64) = sqlx::query_as(sql).bind(&id).fetch_one(&ledger.pool).await?;
    Ok(Json(json!({ "account": id, "balance_cents": balance_cents, "entries": entries })))
}

#[derive(Debug, Serialize)]
struct Line {
    id: i64,
    amount_cents: i64,
    note: Option<String>,
    /// Whole seconds since 1970.
    entered_at_seconds: i64,
}

/// The last entries, newest first.
async fn statement(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>) -> Result<Json<serde_json::Value>, NotDone> {
    account(&id)?;
    let sql = "SELECT id, amount_cents, note, entered_at FROM entries WHERE account = $1 ORDER BY id DESC LIMIT $2";
    let rows: Vec<(i64, i64, Option<String>, i64)> =
        sqlx::query_as(sql).bind(&id).bind(STATEMENT_ENTRIES_MAX).fetch_all(&ledger.pool).await?;
    let line = |(id, amount_cents, note, entered_at_seconds)| Line { id, amount_cents, note, entered_at_seconds };
    let entries: Vec<Line> = rows.into_iter().map(line).collect();
    Ok(Json(json!({ "account": id, "entries": entries })))
}
