//! Open files: each agent holds a connection for its poll, and the soft limit of a process is 1,024 on many systems.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_domain::estate::TargetRecord;
use tidegate_store::Filter;

use crate::app::App;
use crate::problem::No;

/// Files beside one connection for each agent: what `overload.rs` lets in of requests, uploads and followers, connections that
/// wait for their next request, and the database.
const BESIDE: u64 = 2_000;

/// Raises the limit as far as it may be, and says so if the agents that are enrolled do not fit into it all the same.
pub async fn provide(app: &App) -> Result<(), No> {
    let limit = raise();
    let enrolled = Filter { states: vec!["enrolled".into()], ..Filter::default() };
    let agents = app.store.count::<TargetRecord>(&enrolled).await?;
    if let Some(limit) = limit.filter(|limit| *limit < needed(agents)) {
        tracing::warn!(
            limit,
            agents,
            "{limit} files may be open at once, and {agents} enrolled agents need {}: raise the hard limit (LimitNOFILE of a \
             systemd service, ulimit -Hn of a shell) and start again",
            needed(agents)
        );
    }
    Ok(())
}

fn needed(agents: u64) -> u64 {
    agents + BESIDE
}

/// Raises the soft limit to the hard one; returns what holds from now on, if anything does.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Enough for the other tests of the process, if it has any.
        let low = maximum.map_or(512, |maximum| maximum.min(512));
        setrlimit(Resource::Nofile, Rlimit { current: Some(low), maximum }).expect("a lower limit is taken");
        assert_eq!(raise(), maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }

    #[test]
    fn ten_thousand_agents_need_more_than_ten_thousand_files() {
        assert_eq!((needed(0), needed(10_000)), (2_000, 12_000));
    }
}
