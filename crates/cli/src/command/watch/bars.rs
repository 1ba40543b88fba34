//! A bar for each wave, and below them what is waited for.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tidegate_api::view::{DeploymentDetail, GateState};

use crate::output::harmless;
use crate::text::deployment::counted;

/// Waves that have a bar at the same time; of more, those around the current one.
const WAVES_MAX: usize = 8;
/// Gates that have a line at the same time.
const GATES_MAX: usize = 4;

/// The live part of the screen.
#[derive(Debug)]
pub struct Bars {
    multi: MultiProgress,
    waves: Vec<ProgressBar>,
    gates: Vec<ProgressBar>,
    sentence: ProgressBar,
}

impl Default for Bars {
    fn default() -> Bars {
        let multi = MultiProgress::new();
        let sentence = multi.add(text_line());
        Bars { multi, waves: Vec::new(), gates: Vec::new(), sentence }
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // The templates are constants; without one the bar has its plain form.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("■■·"));
    }
    bar
}

fn text_line() -> ProgressBar {
    styled(ProgressBar::new(1), "{msg}")
}

impl Bars {
    /// Prints a line above the bars.
    pub fn line(&self, line: &str) {
        // A terminal that is gone is no reason to stop watching.
        let _ = self.multi.println(harmless(line));
    }

    /// Draws what stands.
    pub fn show(&mut self, detail: &DeploymentDetail) {
        let waves = detail.plan.waves.len();
        let shown = waves.min(WAVES_MAX);
        while self.waves.len() < shown {
            let bar = styled(ProgressBar::new(1), "{prefix:>14} [{bar:30.green}] {pos}/{len} {msg}");
            self.waves.push(self.multi.insert_before(&self.sentence, bar));
        }
        let first = (detail.deployment.wave as usize).saturating_sub(shown / 2).min(waves - shown);
        for (bar, wave) in self.waves.iter().zip(first..) {
            let targets: Vec<_> = detail.targets.iter().filter(|target| target.wave as usize == wave).collect();
            bar.set_length(targets.len() as u64);
            bar.set_position(targets.iter().filter(|target| target.state.is_good()).count() as u64);
            bar.set_prefix(format!("wave {} of {waves}", wave + 1));
            bar.set_message(counted(targets));
        }
        self.gates(detail);
        self.sentence.set_message(harmless(&detail.sentence));
    }

    fn gates(&mut self, detail: &DeploymentDetail) {
        let asking: Vec<_> = detail.gates.iter().filter(|gate| gate.state == GateState::Asking).take(GATES_MAX).collect();
        while self.gates.len() < asking.len() {
            self.gates.push(self.multi.insert_before(&self.sentence, text_line()));
        }
        while self.gates.len() > asking.len() {
            if let Some(bar) = self.gates.pop() {
                bar.finish_and_clear();
                self.multi.remove(&bar);
            }
        }
        for (bar, gate) in self.gates.iter().zip(asking) {
            bar.set_message(harmless(&format!("gate {}: {}", gate.name, gate.sentence)));
        }
    }

    /// Leaves the bars as they stand and takes the passing lines away.
    pub fn finish(&self) {
        for bar in &self.waves {
            bar.abandon();
        }
        for bar in self.gates.iter().chain([&self.sentence]) {
            bar.finish_and_clear();
        }
    }
}
