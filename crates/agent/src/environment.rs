//! What a step's program sees of the world: little, and the same on every target.

use std::collections::BTreeMap;

use tidegate_domain::deployment::order::{Installation, Order};
use tidegate_domain::{Code, Refusal};

use crate::place::Place;

/// Names that would let a variable choose which bytes run; only signed bytes may.
const RESERVED: [&str; 10] =
    ["PATH", "HOME", "LANG", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PYTHONPATH", "PERL5LIB"];
const RESERVED_PREFIXES: [&str; 3] = ["LD_", "TIDEGATE_", "BASH_FUNC"];

/// The whole environment of a step, or of a supervised program when `step` is its step's name.
pub fn of(order: &Order, installation: &Installation, place: &Place, step: &str) -> BTreeMap<String, String> {
    let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let mut seen: BTreeMap<String, String> =
        order.variables.iter().map(|(name, value)| (name.to_ascii_uppercase(), value.clone())).collect();
    let own = [
        ("PATH", std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into())),
        ("LANG", std::env::var("LANG").unwrap_or_else(|_| "C.UTF-8".into())),
        ("HOME", path(place.folder().to_owned())),
        ("TIDEGATE_VERSION", installation.version.to_string()),
        ("TIDEGATE_COMPONENT", installation.component.to_string()),
        ("TIDEGATE_TARGET", order.target.to_string()),
        ("TIDEGATE_ENVIRONMENT", order.environment.to_string()),
        ("TIDEGATE_APPLICATION", order.application.to_string()),
        ("TIDEGATE_RELEASE_DIR", path(place.release(&installation.version))),
        ("TIDEGATE_DATA_DIR", path(place.data())),
        ("TIDEGATE_ATTEMPT", order.attempt.clone()),
        ("TIDEGATE_GENERATION", order.generation.to_string()),
        ("TIDEGATE_STEP", step.to_owned()),
    ];
    seen.extend(own.map(|(name, value)| (name.to_owned(), value)));
    seen
}

/// Checks that every variable can be one.
pub fn check(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut names = std::collections::BTreeSet::new();
    for (name, value) in variables {
        let upper = name.to_ascii_uppercase();
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let form = first && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !form || value.contains('\0') {
            return Err(refused(
                name,
                "cannot be an environment variable",
                "use letters, digits and '_', not starting with a digit",
            ));
        }
        if RESERVED.contains(&upper.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) {
            return Err(refused(name, "would change which programs run", "choose another name"));
        }
        if !names.insert(upper) {
            return Err(refused(name, "stands twice, in small and capital letters", "keep one of them"));
        }
    }
    Ok(())
}

fn refused(name: &str, why: &str, remedy: &str) -> Refusal {
    let shown = tidegate_domain::ids::clip(name);
    Refusal::new(Code::Malformed, format!("variable \"{shown}\" {why}"), remedy).at(format!("variables.{shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_chooses_which_bytes_run() {
        let verdict = |name: &str| check(&BTreeMap::from([(name.to_owned(), "x".to_owned())])).map_err(|no| no.what);
        assert_eq!(verdict("port"), Ok(()));
        for name in ["path", "ld_preload", "LD_LIBRARY_PATH", "tidegate_attempt", "a-b", "1a", "", "a=b"] {
            assert!(verdict(name).is_err(), "{name}");
        }
    }
}
