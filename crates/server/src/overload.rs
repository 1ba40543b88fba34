//! Overload: what cannot be served soon is refused at once, with a time to come back, so that memory and descriptors stay
//! bounded whoever asks for how much.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_domain::{Code, Refusal, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::problem::No;

/// Requests that are worked on at once: what waits for one disk and two cores, not what holds still.
const REQUESTS_MAX: usize = 512;
/// Uploads at once: more would only share the same disk.
const UPLOADS_MAX: usize = 64;
/// Long polls at once: every target there may be, twice, as an agent that comes back may have left one behind.
const POLLS_MAX: usize = 2 * limits::TARGETS_MAX;
/// Followers of the history at once: each reads every event.
const FOLLOWERS_MAX: usize = 512;
/// Walks over the whole history at once: each reads all of it.
const WALKS_MAX: usize = 2;

/// What is counted apart, as it lasts differently long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like their bounds")]
pub enum Load {
    Request,
    Upload,
    Poll,
    Follower,
    Walk,
}

/// How much of each kind is under way. Dropping what [`Overload::enter`] gave is its end.
pub struct Overload {
    requests: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    polls: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    walks: Arc<Semaphore>,
}

impl Default for Overload {
    fn default() -> Overload {
        let of = |max| Arc::new(Semaphore::new(max));
        Overload {
            requests: of(REQUESTS_MAX),
            uploads: of(UPLOADS_MAX),
            polls: of(POLLS_MAX),
            followers: of(FOLLOWERS_MAX),
            walks: of(WALKS_MAX),
        }
    }
}

impl Overload {
    /// How much of each kind is under way, and how much of it there may be.
    pub fn under_way(&self) -> [(&'static str, usize, usize); 5] {
        let of = |kind, semaphore: &Semaphore, max: usize| (kind, max.saturating_sub(semaphore.available_permits()), max);
        [
            of("request", &self.requests, REQUESTS_MAX),
            of("upload", &self.uploads, UPLOADS_MAX),
            of("poll", &self.polls, POLLS_MAX),
            of("follower", &self.followers, FOLLOWERS_MAX),
            of("walk", &self.walks, WALKS_MAX),
        ]
    }

    /// Begins something, or refuses because too much of its kind is under way.
    ///
    /// # Errors
    ///
    /// [`Code::Overloaded`].
    pub fn enter(&self, load: Load) -> Result<OwnedSemaphorePermit, Refusal> {
        let (semaphore, max, what) = match load {
            Load::Request => (&self.requests, REQUESTS_MAX, "requests"),
            Load::Upload => (&self.uploads, UPLOADS_MAX, "uploads"),
            Load::Poll => (&self.polls, POLLS_MAX, "polls of agents"),
            Load::Follower => (&self.followers, FOLLOWERS_MAX, "followers of the history"),
            Load::Walk => (&self.walks, WALKS_MAX, "walks over the history"),
        };
        semaphore.clone().try_acquire_owned().map_err(|_| {
            let what = format!("{max} {what} are under way, which is as many as there may be");
            Refusal::new(Code::Overloaded, what, "come back after the seconds that Retry-After names")
        })
    }
}

/// Lets a request in, or refuses it.
pub async fn bound(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Some(load) = load(request.method(), &path) else { return next.run(request).await };
    match app.overload.enter(load) {
        Ok(_held) => next.run(request).await,
        Err(refusal) if crate::answer::is_for_programs(&path) => No::Refused(refusal).into_response(),
        Err(refusal) => crate::pages::no_page(&crate::pages::nobody(&app, &path), &No::Refused(refusal)),
    }
}

fn load(method: &Method, path: &str) -> Option<Load> {
    match path {
        // Whoever asks whether the process lives must not hear that it is busy; a follower is counted for as long as its
        // stream lasts, which is longer than its request.
        "/healthz" | "/api/v1/stream" => None,
        tidegate_api::agent::POLL => Some(Load::Poll),
        "/api/v1/artifacts" if method == Method::POST => Some(Load::Upload),
        _ => Some(Load::Request),
    }
}
