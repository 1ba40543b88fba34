//! What the demo says, and how fast it speaks.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Options;

/// The demo's voice: prose for people, silence for machines, pauses for those who look at the page.
pub struct Voice {
    speaks: bool,
    pause: Duration,
}

impl Voice {
    /// The voice that the options ask for.
    pub fn of(options: &Options) -> Voice {
        Voice { speaks: !options.json, pause: if options.once { Duration::ZERO } else { Duration::from_secs(6) } }
    }

    /// One sentence.
    pub fn say(&self, text: &str) {
        if self.speaks {
            // Somebody who closed the pipe does not listen any more.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// The beginning of a chapter, after a pause to look at the last one.
    pub async fn chapter(&self, title: &str) {
        tokio::time::sleep(self.pause).await;
        self.say(&format!("\n── {title}"));
    }

    /// Where to look.
    pub fn door(&self, link: &str) {
        self.say("Tidegate demo: one server, eighteen agents, one release from plan to production.");
        self.say("Everything is real and on this machine alone; nothing is installed.\n");
        self.say(&format!("  Look at it here (works once):  {link}\n"));
    }

    /// What stays.
    pub fn keep(&self, root: &Path) {
        self.say(&format!("\nEverything keeps running; its files are in {}. Ctrl-C ends it.", root.display()));
    }

    /// One JSON object, whatever the voice.
    pub fn object(value: &serde_json::Value) {
        let _ = writeln!(std::io::stdout(), "{value}");
    }
}
