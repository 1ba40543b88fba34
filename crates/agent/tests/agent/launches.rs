//! Launch folders: whoever comes second does nothing.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::PROGRAM;

/// A program that says that it ran.
fn program(folder: &TempDir) -> Value {
    let said = folder.path().join("said").display().to_string();
    json!({
        "path": "/bin/sh",
        "args": ["-c", "echo ran >> \"$0\"; sleep 0.1", said],
        "environment": { "PATH": "/usr/bin:/bin" },
        "folder": "/",
    })
}

fn launches(folder: &TempDir) -> [Value; 2] {
    let step_program: Vec<Value> = [PROGRAM, "agent-step"].map(|word| json!({ "Unix": word.as_bytes() })).to_vec();
    [
        json!({ "supervise": { "program": program(folder), "timeout_seconds": 10, "step_program": step_program } }),
        json!({ "become": { "program": program(folder), "dies_with": null } }),
    ]
}

fn start(folder: &Path) -> Child {
    Command::new(PROGRAM).arg("agent-step").arg(folder).spawn().expect("started")
}

fn said(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("said")).unwrap_or_default()
}

#[test]
fn a_start_that_was_voided_does_nothing() {
    for number in 0..2 {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("launch.json"), launches(&folder)[number].to_string()).expect("written");
        fs::write(folder.path().join("claim.json"), r#"{"by":null}"#).expect("written");
        let status = start(folder.path()).wait().expect("it ends");
        assert_eq!((status.code(), said(&folder).as_str()), (Some(75), ""));
    }
}

#[test]
fn of_many_starts_one_runs() {
    for number in 0..2 {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("launch.json"), launches(&folder)[number].to_string()).expect("written");
        let starts: Vec<Child> = (0..8).map(|_| start(folder.path())).collect();
        let codes: Vec<_> = starts.into_iter().map(|mut start| start.wait().expect("it ends").code()).collect();
        assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == Some(75)).count(), 7, "{codes:?}");
        assert_eq!(said(&folder), "ran\n");
    }
}
