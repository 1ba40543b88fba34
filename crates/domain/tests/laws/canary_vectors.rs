//! Canary counts against vectors of another product, where the reference data lies beside the workspace.

use std::path::PathBuf;

use serde::Deserialize;
use tidegate_domain::deployment::strategy::Amount;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    replicas: usize,
    weight: u32,
    max_weight: u32,
    max_surge: u32,
    exp_canary: usize,
    exp_stable: usize,
}

/// The folder of the reference data.
fn shared() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("TIDEGATE_SHARED").map_or_else(beside, PathBuf::from)
}

#[test]
fn canaries_are_counted_as_elsewhere() {
    let path = shared().join("data/canary-vectors/argo-weight-to-replicas.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no reference data (set TIDEGATE_SHARED)");
        return;
    };
    let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
    // A surge adds targets, which nothing here can; another scale than a hundred is another question.
    let ours = vectors.iter().filter(|vector| vector.max_surge == 0 && vector.max_weight == 100);
    let mut count = 0;
    for vector in ours {
        let canary = Amount::Percent(vector.weight).canary_of(vector.replicas);
        let found = (canary, vector.replicas - canary);
        assert_eq!(found, (vector.exp_canary, vector.exp_stable), "{} of {}", vector.weight, vector.replicas);
        count += 1;
    }
    assert!(count >= 10, "only {count} vectors were compared");
}
