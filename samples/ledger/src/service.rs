//! `bin/ledger`: serves until it is told to stop.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::database::{self, Use};
use crate::metrics::Metrics;
use crate::program::Program;
use crate::routes::{self, Ledger};

/// How long open requests may take to end, and then the database to close: less than 2 s together.
const REQUESTS_GRACE: Duration = Duration::from_millis(1_300);
const DATABASE_GRACE: Duration = Duration::from_millis(400);

/// Serves the `bin/ledger` at `program` on 127.0.0.1 until `shutdown` comes, and ends within 2 s of it.
///
/// Takes `PORT` (0 for any free one; the line it prints names it), `TIDEGATE_DATA_DIR` and `TIDEGATE_VERSION` from the
/// environment. Says on standard output where it listens as soon as it does.
pub async fn serve(program: &Path, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let program = Program::read(program)?;
    let port = port()?;
    let pool = database::open(&database::folder()?, Use::Serve).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| format!("127.0.0.1:{port} cannot be listened on; is another service there?"))?;
    announce(&program.version, &listener)?;
    let deployed_version = std::env::var("TIDEGATE_VERSION").ok();
    let entries_asked = AtomicU64::new(0);
    let ledger = Ledger { program, deployed_version, pool: pool.clone(), metrics: Metrics::default(), entries_asked };
    until(shutdown, listener, routes::router(Arc::new(ledger))).await?;
    if tokio::time::timeout(DATABASE_GRACE, pool.close()).await.is_err() {
        tracing::warn!("the database was still busy; the next start goes on from its log");
    }
    Ok(())
}

fn port() -> anyhow::Result<u16> {
    let text = std::env::var("PORT").context("PORT is not set; set it to the port to listen on")?;
    text.parse().with_context(|| format!("PORT is \"{text}\"; set it to a number from 0 to 65535"))
}

fn announce(version: &str, listener: &TcpListener) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the socket has no address")?;
    // Whoever started this may not care to listen.
    let _ = writeln!(std::io::stdout(), "ledger {version} listens on http://{address}");
    Ok(())
}

async fn until(
    shutdown: impl Future<Output = ()> + Send + 'static,
    listener: TcpListener,
    router: axum::Router,
) -> anyhow::Result<()> {
    // Answers are small: without this, each waits for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let (stopping, stopped) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        let _ = stopping.send(());
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(signal);
    tokio::select! {
        ended = server => ended.context("serving ended"),
        () = overdue(stopped) => {
            tracing::warn!("requests that were still open are cut off");
            Ok(())
        }
    }
}

async fn overdue(stopped: oneshot::Receiver<()>) {
    match stopped.await {
        Ok(()) => tokio::time::sleep(REQUESTS_GRACE).await,
        // The server has ended by itself, and says so in the other arm.
        Err(_) => std::future::pending().await,
    }
}
