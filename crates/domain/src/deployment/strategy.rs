//! A strategy cuts a fleet into waves. It is asked once, when the plan is made; no strategy has a path of its own afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// So many targets, or so many of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "AmountText", into = "AmountText")]
#[schemars(with = "AmountText")]
pub enum Amount {
    /// A number of targets.
    Count(u32),
    /// A percentage of the fleet, 0 to 100.
    Percent(u32),
}

/// How an [`Amount`] is written: `3` or `"25%"`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AmountText {
    /// A number of targets.
    Count(u32),
    /// A percentage, such as `25%`.
    Percent(String),
}

impl TryFrom<AmountText> for Amount {
    type Error = Refusal;

    fn try_from(text: AmountText) -> Result<Amount, Refusal> {
        match text {
            AmountText::Count(count) => Ok(Amount::Count(count)),
            AmountText::Percent(text) => match text.strip_suffix('%').map(str::parse::<u32>) {
                Some(Ok(percent @ 0..=100)) => Ok(Amount::Percent(percent)),
                _ => Err(Refusal::new(
                    Code::OutOfRange,
                    format!("\"{}\" is not an amount", crate::ids::clip(&text)),
                    "use a number such as 3 or a percentage such as 25%",
                )),
            },
        }
    }
}

impl From<Amount> for AmountText {
    fn from(amount: Amount) -> AmountText {
        match amount {
            Amount::Count(count) => AmountText::Count(count),
            Amount::Percent(percent) => AmountText::Percent(format!("{percent}%")),
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Amount::Count(count) => write!(f, "{count}"),
            Amount::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

impl Amount {
    /// As a batch: a percentage rounds down, and a batch is at least 1.
    pub fn batch_of(self, fleet: usize) -> usize {
        match self {
            Amount::Count(count) => (count as usize).max(1),
            Amount::Percent(percent) => (fleet * percent as usize / 100).max(1),
        }
    }

    /// As a minimum that must stay healthy: a percentage rounds up.
    pub fn minimum_of(self, fleet: usize) -> usize {
        match self {
            Amount::Count(count) => count as usize,
            Amount::Percent(percent) => (fleet * percent as usize).div_ceil(100),
        }
    }

    /// How many targets may be failed or at work together, where this many must stay healthy.
    pub fn room_of(self, fleet: usize) -> usize {
        fleet.saturating_sub(self.minimum_of(fleet))
    }

    /// As a failure budget: a percentage rounds down, and 0 trips at the first failure.
    pub fn budget_of(self, fleet: usize) -> usize {
        match self {
            Amount::Count(count) => count as usize,
            Amount::Percent(percent) => fleet * percent as usize / 100,
        }
    }

    /// As the canary of a fleet: the nearest count, ties to the larger, with at least one canary and one stable target where
    /// there is more than one target and the percentage is neither 0 nor 100.
    pub fn canary_of(self, fleet: usize) -> usize {
        match self {
            Amount::Count(count) => (count as usize).min(fleet),
            Amount::Percent(0) => 0,
            Amount::Percent(100) => fleet,
            Amount::Percent(percent) => {
                let nearest = (fleet * percent as usize * 2 + 100) / 200;
                if fleet > 1 { nearest.clamp(1, fleet - 1) } else { nearest }
            }
        }
    }
}

/// How a deployment goes about its fleet: how it is cut, what must hold between, and when it gives up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// How the fleet is cut.
    #[serde(default)]
    pub cut: Cut,
    /// Gates before the first wave.
    #[serde(default)]
    pub before: Vec<Gate>,
    /// Gates after each wave, the last included.
    #[serde(default)]
    pub after_each: Vec<Gate>,
    /// Gates after the first wave, beside those of `after_each`.
    #[serde(default)]
    pub after_first: Vec<Gate>,
    /// Failed targets tolerated; trips when there are more.
    #[serde(default = "none")]
    pub max_failures: Amount,
    /// Targets that must be neither failed nor at work at any time; no wave is larger than it leaves room for.
    #[serde(default = "none")]
    pub min_healthy: Amount,
    /// Seconds without a newly healthy target after which a wave at work has failed; without it only each target's own time counts.
    #[serde(default)]
    pub progress_deadline_seconds: Option<u32>,
    /// Seconds until a target that does not answer counts as unreachable.
    #[serde(default = "unreachable_default")]
    pub unreachable_after_seconds: u32,
    /// What happens when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn none() -> Amount {
    Amount::Count(0)
}

fn unreachable_default() -> u32 {
    limits::UNREACHABLE_SECONDS
}

/// What happens when a deployment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The fallback plan starts by itself, once.
    #[default]
    FallBack,
    /// It stops where it is.
    Stop,
}

/// How a fleet is cut into waves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// One wave.
    #[default]
    AllAtOnce,
    /// Batch after batch; the last entry repeats.
    Rolling {
        /// Sizes, each of the whole fleet.
        batches: Vec<Amount>,
    },
    /// A few first, then more.
    Canary {
        /// The first wave.
        first: Amount,
        /// How many have it after each further wave, the canary included. The rest follows at the end.
        then: Vec<Amount>,
    },
}

impl Cut {
    /// Its name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Cut::AllAtOnce => "all at once",
            Cut::Rolling { .. } => "rolling",
            Cut::Canary { .. } => "canary",
        }
    }

    /// The sizes of the waves of a fleet of which `min_healthy` must stay untouched; they add up to it and none is 0.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] if there would be more than [`limits::WAVES_MAX`] waves, [`Code::OutOfRange`] if no target may be touched.
    pub fn sizes(&self, fleet: usize, min_healthy: Amount) -> Result<Vec<usize>, Refusal> {
        let room = min_healthy.room_of(fleet);
        if room == 0 && fleet > 0 {
            let what =
                format!("{} of {fleet} targets must stay healthy, so that none may be touched", min_healthy.minimum_of(fleet));
            return Err(Refusal::new(Code::OutOfRange, what, "ask for fewer").at("strategy.min_healthy"));
        }
        let mut sizes = Vec::new();
        let mut done = 0;
        let mut push = |size: usize| {
            let mut size = size.min(fleet - done);
            done += size;
            // What there is no room for at once goes one after the other.
            while size > 0 && sizes.len() <= limits::WAVES_MAX {
                sizes.push(size.min(room));
                size -= size.min(room);
            }
            done < fleet && sizes.len() <= limits::WAVES_MAX
        };
        match self {
            Cut::AllAtOnce => {
                push(fleet);
            }
            Cut::Rolling { batches } => {
                let last = batches.last().copied().unwrap_or(Amount::Percent(100));
                let mut batches = batches.iter().copied();
                while push(batches.next().unwrap_or(last).batch_of(fleet)) {}
            }
            Cut::Canary { first, then } => {
                let mut reached = first.canary_of(fleet).max(1);
                let mut more = push(reached);
                for amount in then {
                    let goal = amount.canary_of(fleet);
                    if more && goal > reached {
                        more = push(goal - reached);
                        reached = goal;
                    }
                }
                push(fleet);
            }
        }
        if sizes.len() > limits::WAVES_MAX {
            return Err(Refusal::new(
                Code::TooLarge,
                format!("{fleet} targets would make more than {} waves", limits::WAVES_MAX),
                "use larger batches, or a percentage",
            )
            .at("strategy.cut"));
        }
        Ok(sizes)
    }
}

impl Strategy {
    /// The plain strategy: everything at once, and back if it fails.
    pub fn all_at_once() -> Strategy {
        Strategy {
            cut: Cut::AllAtOnce,
            before: Vec::new(),
            after_each: Vec::new(),
            after_first: Vec::new(),
            max_failures: none(),
            min_healthy: none(),
            progress_deadline_seconds: None,
            unreachable_after_seconds: unreachable_default(),
            on_failure: OnFailure::FallBack,
        }
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfRange`], [`Code::TooLarge`] or [`Code::Malformed`], at the field.
    pub fn check(&self) -> Result<(), Refusal> {
        if !(1..=limits::ORDER_SECONDS_MAX).contains(&self.unreachable_after_seconds) {
            let what = format!("unreachable_after_seconds is {}", self.unreachable_after_seconds);
            let remedy = format!("use 1 to {}", limits::ORDER_SECONDS_MAX);
            return Err(Refusal::new(Code::OutOfRange, what, remedy).at("strategy.unreachable_after_seconds"));
        }
        if let Some(seconds) = self.progress_deadline_seconds.filter(|seconds| !(1..=limits::STEP_SECONDS_MAX).contains(seconds))
        {
            let (what, remedy) =
                (format!("progress_deadline_seconds is {seconds}"), format!("use 1 to {}", limits::STEP_SECONDS_MAX));
            return Err(Refusal::new(Code::OutOfRange, what, remedy).at("strategy.progress_deadline_seconds"));
        }
        for (side, gates) in [("before", &self.before), ("after_each", &self.after_each), ("after_first", &self.after_first)] {
            if gates.len() > limits::GATES_MAX {
                let remedy = format!("use at most {}", limits::GATES_MAX);
                return Err(Refusal::new(Code::TooLarge, format!("{} gates", gates.len()), remedy).at(format!("strategy.{side}")));
            }
            for (index, gate) in gates.iter().enumerate() {
                gate.check().map_err(|refusal| refusal.at(format!("strategy.{side}[{index}]")))?;
            }
        }
        self.windows_can_meet()?;
        self.bake_is_watched()?;
        self.bake_can_count()
    }

    /// The gates of one side of a wave pass together; two windows beside each other may never be open at once.
    fn windows_can_meet(&self) -> Result<(), Refusal> {
        let windows = |gates: &[Gate]| gates.iter().filter(|gate| matches!(gate, Gate::Window(_))).count();
        if windows(&self.before) <= 1 && windows(&self.after_first) + windows(&self.after_each) <= 1 {
            return Ok(());
        }
        let remedy = "write one window with the hours that they share";
        Err(Refusal::new(Code::Malformed, "two windows stand beside each other and may never be open together", remedy)
            .at("strategy"))
    }

    /// A gate that measures beside a bake must be able to keep its measurements for as long as the bake lasts, or the end of the
    /// bake would go unwatched.
    fn bake_is_watched(&self) -> Result<(), Refusal> {
        let gates = || self.after_first.iter().chain(&self.after_each);
        let bake_seconds = |gate: &Gate| if let Gate::Bake(bake) = gate { bake.at_least_seconds } else { 0 };
        let longest_seconds = gates().map(bake_seconds).max().unwrap_or(0);
        let too_often = |gate: &&Gate| {
            gate.interval_seconds()
                .is_some_and(|interval| u64::from(longest_seconds / interval) >= limits::MEASUREMENTS_MAX as u64)
        };
        let Some(gate) = gates().find(too_often) else { return Ok(()) };
        let least_seconds = u64::from(longest_seconds) / limits::MEASUREMENTS_MAX as u64 + 1;
        let what = format!("gate {} measures too often to watch a bake of {longest_seconds} s to its end", gate.name());
        Err(Refusal::new(Code::OutOfRange, what, format!("use an interval of at least {least_seconds} s")).at("strategy"))
    }

    /// A bake that asks for requests needs a metric beside it that counts them.
    fn bake_can_count(&self) -> Result<(), Refusal> {
        let asks = |gates: &[Gate]| gates.iter().any(|gate| matches!(gate, Gate::Bake(bake) if bake.samples_at_least > 0));
        let counts = |gates: &[Gate]| gates.iter().any(|gate| matches!(gate, Gate::Metric(_)));
        let first_ok = !asks(&self.after_first) || counts(&self.after_first) || counts(&self.after_each);
        let each_ok = !asks(&self.after_each) || counts(&self.after_each);
        if first_ok && each_ok {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Malformed,
            "a bake asks for requests, but no metric gate beside it counts any",
            "add a metric gate with a denominator, or leave samples_at_least out",
        )
        .at("strategy"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(cut: &str, fleet: usize, sizes: &str) {
        let cut: Cut = serde_json::from_str(cut).expect("a cut");
        let found: Vec<String> = cut.sizes(fleet, Amount::Count(0)).expect("few waves").iter().map(ToString::to_string).collect();
        assert_eq!(found.join(" "), sizes);
    }

    #[test]
    fn a_strategy_only_cuts() {
        check(r#""all_at_once""#, 12, "12");
        check(r#"{"rolling":{"batches":[1,"25%"]}}"#, 12, "1 3 3 3 2");
        check(r#"{"rolling":{"batches":["10%"]}}"#, 5, "1 1 1 1 1");
        check(r#"{"canary":{"first":1,"then":["25%"]}}"#, 12, "1 2 9");
        check(r#"{"canary":{"first":"1%","then":["50%","100%"]}}"#, 1, "1");
        check(r#"{"canary":{"first":"10%","then":[]}}"#, 2, "1 1");
        check(r#""all_at_once""#, 0, "");
    }

    #[test]
    fn no_wave_is_larger_than_what_must_stay_healthy_leaves_room_for() {
        let sizes = |cut: Cut, fleet, min_healthy| cut.sizes(fleet, min_healthy).map_err(|refusal| refusal.code);
        let canary = || Cut::Canary { first: Amount::Count(1), then: vec![Amount::Percent(50)] };
        // 75 % of 10 rounds up to 8: two may be touched at once.
        assert_eq!(sizes(Cut::AllAtOnce, 10, Amount::Percent(75)), Ok(vec![2, 2, 2, 2, 2]));
        assert_eq!(sizes(canary(), 10, Amount::Count(7)), Ok(vec![1, 3, 1, 3, 2]));
        assert_eq!(sizes(Cut::AllAtOnce, 0, Amount::Percent(100)), Ok(vec![]));
        assert_eq!(sizes(Cut::AllAtOnce, 3, Amount::Count(3)), Err(Code::OutOfRange));
        assert_eq!(sizes(Cut::AllAtOnce, 1, Amount::Percent(1)), Err(Code::OutOfRange));
    }

    #[test]
    fn a_bake_is_watched_to_its_end_or_refused() {
        let with_interval = |seconds: u32| {
            let strategy = serde_json::json!({"after_each": [
                {"bake": {"at_least_seconds": 86_400}},
                {"check": {"name": "smoke", "probe": {"tcp": {"address": "127.0.0.1:1"}}, "interval_seconds": seconds}}]});
            serde_json::from_value::<super::Strategy>(strategy).expect("a strategy").check()
        };
        let refusal = with_interval(5).expect_err("1,000 measurements end after 83 minutes");
        assert_eq!((refusal.code, refusal.remedy.as_str()), (Code::OutOfRange, "use an interval of at least 87 s"));
        assert_eq!(with_interval(87), Ok(()));
    }

    #[test]
    fn amounts_round_as_the_semantics_say() {
        assert_eq!(Amount::Percent(25).batch_of(7), 1);
        assert_eq!(Amount::Percent(25).minimum_of(7), 2);
        assert_eq!(Amount::Percent(25).budget_of(7), 1);
        assert_eq!(Amount::Percent(1).batch_of(7), 1);
        assert_eq!(Amount::Percent(50).canary_of(5), 3);
    }

    proptest! {
        #[test]
        fn every_target_is_in_exactly_one_wave(fleet in 0_usize..3_000, first in 0_u32..=100, then in proptest::collection::vec(0_u32..=100, 0..5), healthy in 0_u32..90) {
            let cut = Cut::Canary { first: Amount::Percent(first), then: then.into_iter().map(Amount::Percent).collect() };
            let sizes = cut.sizes(fleet, Amount::Count(0)).expect("few waves");
            prop_assert_eq!(sizes.iter().sum::<usize>(), fleet);
            prop_assert!(sizes.iter().all(|&size| size > 0));
            if let Ok(sizes) = cut.sizes(fleet, Amount::Percent(healthy)) {
                prop_assert_eq!(sizes.iter().sum::<usize>(), fleet);
                prop_assert!(sizes.iter().all(|&size| size > 0 && size + Amount::Percent(healthy).minimum_of(fleet) <= fleet));
            }
        }

        #[test]
        fn a_canary_leaves_somebody_behind(fleet in 2_usize..5_000, percent in 1_u32..=99) {
            let canary = Amount::Percent(percent).canary_of(fleet);
            prop_assert!(canary >= 1 && canary < fleet);
        }
    }
}
