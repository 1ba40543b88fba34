//! The stream of events, used only to look sooner. Losing it costs one interval between two looks.

use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::Id;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::client::Client;

/// Seconds until a stream that broke is opened again.
const AGAIN_SECONDS: u64 = 2;

/// Rings when something happens to one deployment.
#[derive(Debug)]
pub struct Doorbell {
    rung: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl Doorbell {
    /// Listens from now on.
    pub fn listen(client: Client, id: &Id) -> Doorbell {
        let rung = Arc::new(Notify::new());
        let (bell, id) = (rung.clone(), id.as_str().to_owned());
        let listener = tokio::spawn(async move {
            loop {
                if let Ok(mut stream) = client.stream().await {
                    // A name cut in two between chunks is a ring lost, and that is all.
                    while let Ok(Some(chunk)) = stream.chunk().await {
                        if chunk.windows(id.len()).any(|window| window == id.as_bytes()) {
                            bell.notify_one();
                        }
                    }
                }
                sleep(Duration::from_secs(AGAIN_SECONDS)).await;
            }
        });
        Doorbell { rung, listener }
    }

    /// Waits for a ring: `rest` at least, `most` at most.
    pub async fn wait(&self, rest: Duration, most: Duration) {
        sleep(rest).await;
        // Nobody rang in time; then it is time to look anyway.
        let _ = timeout(most.saturating_sub(rest), self.rung.notified()).await;
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
