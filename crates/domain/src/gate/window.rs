//! The window gate: only at certain hours of certain days.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Verdict, WaitingOn};
use crate::Millis;
use crate::refusal::{Code, Refusal};

/// Open on `days` while the clock on the wall of `zone` is between `from` and `until`. A window may run past midnight; it then belongs
/// to the day it opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Days on which it opens; none means every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When it opens, `HH:MM`.
    pub from: String,
    /// When it closes, `HH:MM`; `24:00` is midnight. If not later than `from`, on the next day.
    pub until: String,
    /// An IANA zone such as `Europe/Vienna`.
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    "UTC".into()
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say all there is")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    fn of(weekday: Weekday) -> Day {
        match weekday {
            Weekday::Monday => Day::Monday,
            Weekday::Tuesday => Day::Tuesday,
            Weekday::Wednesday => Day::Wednesday,
            Weekday::Thursday => Day::Thursday,
            Weekday::Friday => Day::Friday,
            Weekday::Saturday => Day::Saturday,
            Weekday::Sunday => Day::Sunday,
        }
    }
}

impl Window {
    pub(super) fn verdict(&self, now_ms: Millis) -> Verdict {
        match self.clock(now_ms) {
            Err(refusal) => Verdict::Fail(refusal.what),
            Ok(clock) if clock.is_open(now_ms) => Verdict::Pass(format!("inside {}", self.condition())),
            Ok(clock) => Verdict::Hold { waiting_on: WaitingOn::Window, until_ms: clock.next_opening_ms(now_ms) },
        }
    }

    fn clock(&self, now_ms: Millis) -> Result<Clock<'_>, Refusal> {
        let unreadable = |error: jiff::Error| Refusal::new(Code::OutOfRange, error.to_string(), "use an IANA zone name");
        let zone = TimeZone::get(&self.zone).map_err(unreadable)?;
        Timestamp::from_millisecond(now_ms).map_err(unreadable)?;
        Ok(Clock { days: &self.days, from: hour(&self.from)?, until: hour(&self.until)?, zone })
    }

    pub(super) fn condition(&self) -> String {
        let days = if self.days.is_empty() {
            "every day".to_owned()
        } else {
            self.days.iter().map(|day| format!("{day:?}")).collect::<Vec<_>>().join(", ")
        };
        format!("{days} {}–{} {}", self.from, self.until, self.zone)
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.clock(0).map(|_| ()).map_err(|refusal| refusal.at("window"))
    }
}

/// A window that was read. It is open while the clock on the wall of its zone says so; where that clock is set forward or back,
/// the window is shorter, longer or in two parts, but nothing happens at an hour that the window does not name.
struct Clock<'a> {
    days: &'a [Day],
    from: Time,
    until: Time,
    zone: TimeZone,
}

impl Clock<'_> {
    fn is_open(&self, at_ms: Millis) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
        let wall = self.zone.to_datetime(at);
        let opens_on = |date: Date| self.days.is_empty() || self.days.contains(&Day::of(date.weekday()));
        let (after_from, before_until) = (wall.time() >= self.from, wall.time() < self.until);
        let today = opens_on(wall.date());
        // Midnight as the end, and an end not later than the beginning, fall on the next day.
        if self.from < self.until {
            return today && after_from && before_until;
        }
        (today && after_from) || (before_until && wall.date().yesterday().is_ok_and(opens_on))
    }

    /// The first instant after now at which it is open. It can only open at `from`, or where the clock is set.
    fn next_opening_ms(&self, now_ms: Millis) -> Option<Millis> {
        // Two weeks and a day: once a year, the only opening of a week may fall into the hour that is left out.
        const DAYS_AHEAD: i64 = 15;
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        let today = self.zone.to_datetime(now).date();
        let days = (0..=DAYS_AHEAD).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        let openings = days.flat_map(|day| {
            let at = self.zone.to_ambiguous_zoned(day.to_datetime(self.from));
            [at.clone().earlier(), at.later()].into_iter().flatten().map(|opens| opens.timestamp())
        });
        let set = self.zone.following(now).map_while(|transition| {
            let at = transition.timestamp();
            (at.as_second() - now.as_second() <= DAYS_AHEAD * 86_400).then_some(at)
        });
        let instants = openings.chain(set).map(Timestamp::as_millisecond);
        instants.filter(|at_ms| *at_ms > now_ms && self.is_open(*at_ms)).min()
    }
}

fn hour(text: &str) -> Result<Time, Refusal> {
    if text == "24:00" {
        return Ok(Time::midnight());
    }
    Time::strptime("%H:%M", text).map_err(|_| {
        Refusal::new(Code::Malformed, format!("\"{}\" is not a time of day", crate::ids::clip(text)), "use HH:MM, such as 22:30")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(window: &Window, now: &str) -> String {
        let now_ms = now.parse::<Timestamp>().expect("an instant").as_millisecond();
        match window.verdict(now_ms) {
            Verdict::Pass(_) => "pass".into(),
            Verdict::Hold { until_ms, .. } => {
                format!("until {}", Timestamp::from_millisecond(until_ms.expect("windows open again")).expect("in range"))
            }
            Verdict::Fail(why) => why,
        }
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_it_opened() {
        let window =
            Window { days: vec![Day::Friday], from: "22:00".into(), until: "02:00".into(), zone: "Europe/Vienna".into() };
        assert_eq!(at(&window, "2026-11-20T20:59:59Z"), "until 2026-11-20T21:00:00Z");
        assert_eq!(at(&window, "2026-11-20T21:00:00Z"), "pass");
        assert_eq!(at(&window, "2026-11-21T00:59:59Z"), "pass");
        assert_eq!(at(&window, "2026-11-21T01:00:00Z"), "until 2026-11-27T21:00:00Z");
    }
}
