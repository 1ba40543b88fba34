//! How far a fleet is: a bar of states, and the same in words.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tidegate_domain::deployment::rollout::TargetState;

use super::state;

/// Targets by state.
pub type Counts = BTreeMap<TargetState, u32>;

/// A bar whose parts are as wide as they are many. Its words stand beside it, so it says nothing to those who hear the page.
pub fn bar(counts: &Counts) -> Markup {
    let total: u32 = counts.values().sum();
    let placed = in_order(counts).scan(0, |end, (state, count)| {
        let from = *end;
        *end += count;
        Some((state, from, count))
    });
    html! {
        svg.bar viewBox={ "0 0 " (total.max(1)) " 1" } preserveAspectRatio="none" aria-hidden="true" {
            @for (state, from, count) in placed {
                @let hollow = if state == TargetState::Pending { " hollow" } else { "" };
                rect class={ "fill " (state::target(state).tone.class()) (hollow) } x=(from) y="0" width=(count) height="1" {}
            }
        }
    }
}

/// `9 healthy · 1 in progress · 2 pending`
pub fn words(counts: &Counts) -> String {
    let words: Vec<String> =
        in_order(counts).map(|(state, count)| format!("{} {}", number(u64::from(count)), state::target(state).word)).collect();
    if words.is_empty() { "no targets".into() } else { words.join(" · ") }
}

fn in_order(counts: &Counts) -> impl Iterator<Item = (TargetState, u32)> {
    TargetState::ALL.into_iter().filter_map(|state| counts.get(&state).filter(|count| **count > 0).map(|count| (state, *count)))
}

/// A whole number with thin spaces between thousands.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("\u{202f}")
}

/// `1 target`, `12 targets`
pub fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {one}s", number(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_every_state_that_there_is() {
        let counts = Counts::from([(TargetState::Pending, 9_990), (TargetState::Healthy, 9), (TargetState::Failed, 1)]);
        assert_eq!(words(&counts), "9 healthy · 9\u{202f}990 pending · 1 failed");
        assert_eq!(words(&Counts::new()), "no targets");
    }
}
