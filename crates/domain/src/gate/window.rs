//! The window gate: only at certain hours of certain days.

use jiff::civil::{Time, Weekday};
use jiff::{Timestamp, ToSpan, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Verdict, WaitingOn};
use crate::Millis;
use crate::refusal::{Code, Refusal};

/// Open on `days` between `from` and `until`, in `zone`. A window may run past midnight; it then belongs to the day it opened.
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
        match self.openings(now_ms) {
            Err(refusal) => Verdict::Fail(refusal.what),
            Ok(openings) => match openings.iter().find(|(from, until)| *from <= now_ms && now_ms < *until) {
                Some(_) => Verdict::Pass(format!("inside {}", self.condition())),
                None => Verdict::Hold {
                    waiting_on: WaitingOn::Window,
                    until_ms: openings.iter().map(|(from, _)| *from).filter(|from| *from > now_ms).min(),
                },
            },
        }
    }

    /// The openings from yesterday to a week ahead, as instants.
    fn openings(&self, now_ms: Millis) -> Result<Vec<(Millis, Millis)>, Refusal> {
        let (from, until) = (hour(&self.from)?, hour(&self.until)?);
        let unreadable = |error: jiff::Error| Refusal::new(Code::OutOfRange, error.to_string(), "use an IANA zone name");
        let now: Zoned = Timestamp::from_millisecond(now_ms).map_err(unreadable)?.in_tz(&self.zone).map_err(unreadable)?;
        let mut openings = Vec::new();
        for ahead in -1..=8_i64 {
            let day = now.date().checked_add(ahead.days()).map_err(unreadable)?;
            if !self.days.is_empty() && !self.days.contains(&Day::of(day.weekday())) {
                continue;
            }
            let last = if from < until { day } else { day.tomorrow().map_err(unreadable)? };
            // 24:00 reads as midnight, which is not later than `from`, and so falls on the next day by the rule above.
            let opens = day.to_datetime(from).in_tz(&self.zone).map_err(unreadable)?;
            let closes = last.to_datetime(until).in_tz(&self.zone).map_err(unreadable)?;
            openings.push((opens.timestamp().as_millisecond(), closes.timestamp().as_millisecond()));
        }
        Ok(openings)
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
        self.openings(0).map(|_| ()).map_err(|refusal| refusal.at("window"))
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
