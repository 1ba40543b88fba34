//! `tidegate watch`: follows a deployment to its end.
//!
//! Like the orchestrator, it looks at the whole state again and again; the stream of events is only a doorbell that shortens
//! the wait between two looks. On a terminal there are bars; elsewhere a transcript, one line for each change.

mod bars;
mod doorbell;
mod transcript;

use std::time::{Duration, Instant};

use clap::Args;
use tidegate_api::view::DeploymentDetail;
use tidegate_domain::deployment::rollout::State;
use tidegate_domain::{Id, limits};

use self::bars::Bars;
use self::doorbell::Doorbell;
use self::transcript::Transcript;
use super::Session;
use crate::arguments::id;
use crate::client::Answer;
use crate::clock;
use crate::ending::Ending;
use crate::output;

/// Seconds a server may be away while a deployment is followed: a restart with room to spare.
const AWAY_SECONDS_MAX: u64 = 120;
/// How many times longer than a look the wait between two looks is at least, so that large plans do not keep a server busy.
const REST: u32 = 4;
/// The shortest wait between two looks, however often the doorbell rings.
const REST_MIN: Duration = Duration::from_millis(100);

/// Follow a deployment to its end.
#[derive(Debug, Args)]
#[command(after_help = "Ends with 0 if the deployment succeeded and with 3 if it did not.")]
pub struct Watch {
    /// Which one.
    #[arg(value_parser = id)]
    id: Id,
}

impl Watch {
    /// Follows it.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        follow(session, &self.id).await
    }
}

/// Follows a deployment and ends as it does.
pub async fn follow(session: &Session, id: &Id) -> Result<(), Ending> {
    let mut face = Face::new(session);
    let doorbell = Doorbell::listen(session.client.clone(), id);
    let mut away_since: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        match session.client.get::<DeploymentDetail>(&format!("/deployments/{id}")).await {
            Ok(answer) => {
                if away_since.take().is_some() {
                    face.say("the server is back");
                }
                face.show(session, &answer.value)?;
                if answer.value.deployment.state.is_terminal() {
                    return face.end(session, &answer);
                }
            }
            Err(ending @ Ending::Unreachable { .. }) => {
                let since = *away_since.get_or_insert_with(|| {
                    face.say("the server does not answer; the deployment does not depend on this watch");
                    begun
                });
                if since.elapsed() > Duration::from_secs(AWAY_SECONDS_MAX) {
                    return Err(ending);
                }
            }
            Err(ending) => return Err(ending),
        }
        let rest = (begun.elapsed() * REST).max(REST_MIN);
        doorbell.wait(rest, rest.max(Duration::from_secs(u64::from(limits::LOOK_SECONDS)))).await;
    }
}

/// How it is shown.
enum Face {
    /// Only its end is.
    Silent,
    /// Lines.
    Lines(Transcript),
    /// Bars, with lines above them.
    Bars(Box<Bars>, Transcript),
}

impl Face {
    fn new(session: &Session) -> Face {
        let output = &session.output;
        match () {
            () if output.is_json() || output.is_quiet() => Face::Silent,
            () if output.draws() => Face::Bars(Box::default(), Transcript::default()),
            () => Face::Lines(Transcript::default()),
        }
    }

    fn say(&self, sentence: &str) {
        match self {
            Face::Silent => {}
            Face::Lines(_) => {
                use std::io::Write as _;
                // Whoever reads the transcript may be gone; the end of the deployment still counts.
                let _ = writeln!(std::io::stderr(), "{sentence}");
            }
            Face::Bars(bars, _) => bars.line(sentence),
        }
    }

    fn show(&mut self, session: &Session, detail: &DeploymentDetail) -> Result<(), Ending> {
        let now_ms = clock::now().as_millisecond();
        match self {
            Face::Silent => Ok(()),
            Face::Lines(transcript) => {
                transcript.lines(detail, now_ms, &session.output.zone).iter().try_for_each(|line| output::plainly(line))
            }
            Face::Bars(bars, transcript) => {
                for line in transcript.lines(detail, now_ms, &session.output.zone) {
                    bars.line(&line);
                }
                bars.show(detail);
                Ok(())
            }
        }
    }

    fn end(self, session: &Session, answer: &Answer<DeploymentDetail>) -> Result<(), Ending> {
        match self {
            Face::Silent => session.output.answer(answer, |detail, _| transcript::ended(detail))?,
            Face::Lines(_) => output::plainly(&transcript::ended(&answer.value))?,
            Face::Bars(bars, _) => {
                bars.finish();
                output::plainly(&transcript::ended(&answer.value))?;
            }
        }
        if answer.value.deployment.state == State::Succeeded { Ok(()) } else { Err(Ending::NotSucceeded) }
    }
}
