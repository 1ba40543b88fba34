//! What an order must be before any of it is done.

use ed25519_dalek::VerifyingKey;
use tidegate_domain::deployment::artifact::signed_text;
use tidegate_domain::deployment::order::{Installation, Order};
use tidegate_domain::estate::Component;
use tidegate_domain::{Code, Millis, Name, Refusal, limits};

use crate::environment;
use crate::identity::{is_signed, public_key};

/// What an order is checked against.
pub struct Facts<'a> {
    /// This target.
    pub target: &'a Name,
    /// The release keys; empty if the operator trusts the server alone.
    pub trust: &'a [VerifyingKey],
    /// The highest generation seen for the order's application.
    pub generation_seen: u64,
    /// The server's clock in the signed answer that brought the order.
    pub server_now_ms: Millis,
}

/// Says no to an order that must not be carried out here and now.
pub fn order(order: &Order, facts: &Facts<'_>) -> Result<(), Refusal> {
    if order.target != *facts.target {
        let what = format!("the order is for target {}, this is {}", order.target, facts.target);
        return Err(Refusal::new(Code::WrongHost, what, "send it to the agent of that target"));
    }
    generation(order, facts.generation_seen)?;
    if order.expires_at_ms <= facts.server_now_ms {
        return Err(expired(order));
    }
    form(order)?;
    order.installations.iter().try_for_each(|installation| signature(installation, facts.trust))
}

/// Says no to an order below the ratchet.
pub fn generation(order: &Order, seen: u64) -> Result<(), Refusal> {
    if order.generation >= seen {
        return Ok(());
    }
    let what =
        format!("the order has generation {}, but {} has seen {seen} for {}", order.generation, order.target, order.application);
    Err(Refusal::new(Code::GenerationLow, what, "plan a new deployment; if the server was restored, run its recovery"))
}

/// The refusal of an order that came or got its turn too late.
pub fn expired(order: &Order) -> Refusal {
    let what = format!("the order {} expired before its first step", order.attempt);
    Refusal::new(Code::OrderExpired, what, "retry the target")
}

fn form(order: &Order) -> Result<(), Refusal> {
    let steps: usize = order.installations.iter().map(|installation| installation.steps.len()).sum();
    if order.installations.len() > limits::COMPONENTS_MAX || order.start_at > steps {
        let what =
            format!("the order has {} installations and starts at step {} of {steps}", order.installations.len(), order.start_at);
        return Err(Refusal::new(Code::Malformed, what, "plan a new deployment"));
    }
    environment::check(&order.variables)?;
    for (index, installation) in order.installations.iter().enumerate() {
        shape(order, installation).map_err(|refusal| {
            let place = format!("installations[{index}].{}", refusal.place.as_deref().unwrap_or_default());
            refusal.at(place.trim_end_matches('.').to_owned())
        })?;
    }
    Ok(())
}

/// The rule for a component's steps and health exists once, in `domain`; it keeps every program inside the artifact.
fn shape(order: &Order, installation: &Installation) -> Result<(), Refusal> {
    if installation.artifact.size_bytes > limits::ARTIFACT_BYTES_MAX {
        let what = format!("the artifact of {} has {} bytes", installation.component, installation.artifact.size_bytes);
        return Err(Refusal::new(Code::TooLarge, what, format!("keep it to {}", limits::ARTIFACT_BYTES_MAX)));
    }
    let component = Component {
        name: installation.component.clone(),
        application: order.application.clone(),
        runs_on: std::collections::BTreeMap::new(),
        steps: installation.steps.clone(),
        health: installation.health.clone(),
        keep_releases: installation.keep_releases,
    };
    component.check()
}

fn signature(installation: &Installation, trust: &[VerifyingKey]) -> Result<(), Refusal> {
    if trust.is_empty() {
        return Ok(());
    }
    let name = format!("{} {}", installation.component, installation.version);
    let remedy = "sign the artifact with a release key that this agent was started with";
    let Some(signature) = &installation.artifact.signature else {
        return Err(Refusal::new(Code::SignatureMissing, format!("the artifact of {name} is not signed"), remedy));
    };
    let key = public_key(&signature.key)?;
    if !trust.contains(&key) {
        let what = format!("the artifact of {name} is signed by a key that this agent does not trust");
        return Err(Refusal::new(Code::SignatureMissing, what, remedy));
    }
    let text = signed_text(&installation.component, &installation.version, &installation.artifact.digest);
    if is_signed(&key, &text, &signature.value) {
        return Ok(());
    }
    Err(Refusal::new(Code::SignatureInvalid, format!("the signature of the artifact of {name} does not verify"), remedy))
}
