//! The window gate against an oracle that walks minute by minute and asks the clock on the wall.

use jiff::civil::{Time, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use proptest::prelude::*;
use serde_json::json;
use tidegate_domain::Millis;
use tidegate_domain::gate::{Evidence, Gate, Verdict};

const MINUTE_MS: Millis = 60_000;
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

#[derive(Debug, Clone)]
struct Case {
    days: Vec<usize>,
    from: i32,
    until: i32,
    zone: &'static str,
    now_ms: Millis,
}

impl Case {
    fn gate(&self) -> Gate {
        let days: Vec<&str> = self.days.iter().map(|day| DAYS[*day].0).collect();
        let clock = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let window = json!({"days": days, "from": clock(self.from), "until": clock(self.until), "zone": self.zone});
        serde_json::from_value(json!({"window": window})).unwrap()
    }

    /// Whether the clock on the wall is within the window.
    fn is_open(&self, zone: &TimeZone, at_ms: Millis) -> bool {
        let wall = Zoned::new(Timestamp::from_millisecond(at_ms).unwrap(), zone.clone());
        let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
        let on = |weekday: Weekday| self.days.is_empty() || self.days.iter().any(|day| DAYS[*day].1 == weekday);
        let opened_today = on(wall.weekday()) && self.from <= minute && (minute < self.until || self.until <= self.from);
        let opened_yesterday = on(wall.weekday().previous()) && self.until <= self.from && minute < self.until;
        opened_today || opened_yesterday
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let zone = TimeZone::get(self.zone).unwrap();
        let evidence = Evidence { since_ms: 0, approvals: &[], measurements: &[], samples: 0 };
        match self.gate().verdict(&evidence, self.now_ms) {
            Verdict::Pass(_) => prop_assert!(self.is_open(&zone, self.now_ms)),
            Verdict::Fail(why) => prop_assert!(false, "{}", why),
            Verdict::Hold { until_ms, .. } => {
                prop_assert!(!self.is_open(&zone, self.now_ms));
                let minutes = (1..16 * 24 * 60).map(|minute| self.now_ms + minute * MINUTE_MS);
                let opens_ms = minutes.into_iter().find(|at_ms| self.is_open(&zone, *at_ms));
                prop_assert_eq!(until_ms, opens_ms);
            }
        }
        Ok(())
    }
}

/// Two days around the nights in which clocks are set.
fn around() -> impl Strategy<Value = (&'static str, Millis)> {
    let nights = vec![
        ("Europe/Vienna", date(2026, 3, 28)),
        ("Europe/Vienna", date(2026, 10, 24)),
        ("America/New_York", date(2026, 3, 7)),
        ("America/New_York", date(2026, 10, 31)),
        ("Australia/Lord_Howe", date(2026, 4, 4)),
        ("UTC", date(2026, 6, 1)),
    ];
    (prop::sample::select(nights), 0_i64..3 * 24 * 60).prop_map(|((zone, day), minute)| {
        let midnight = day.to_zoned(TimeZone::get(zone).unwrap()).unwrap().timestamp().as_millisecond();
        (zone, midnight + minute * MINUTE_MS)
    })
}

fn minute_of_day() -> impl Strategy<Value = i32> {
    // Mostly at night, where clocks are set.
    prop_oneof![3 => 0_i32..5 * 60, 1 => 0_i32..24 * 60]
}

fn case() -> impl Strategy<Value = Case> {
    let days = prop_oneof![Just(vec![]), prop::collection::vec(0_usize..7, 1..3)];
    (days, minute_of_day(), minute_of_day(), around()).prop_map(|(days, from, until, (zone, now_ms))| Case {
        days,
        from,
        until,
        zone,
        now_ms,
    })
}

proptest! {
    #[test]
    fn it_is_open_when_the_wall_clock_says_so(case in case()) {
        case.check()?;
    }
}

#[test]
fn the_hour_that_is_left_out_opens_a_week_later() {
    // On 29 March 2026 the clock in Vienna goes from 02:00 to 03:00.
    let now: Timestamp = "2026-03-28T23:00:00Z".parse().unwrap();
    let case = Case { days: vec![6], from: 2 * 60, until: 3 * 60, zone: "Europe/Vienna", now_ms: now.as_millisecond() };
    case.check().unwrap();
    let evidence = Evidence { since_ms: 0, approvals: &[], measurements: &[], samples: 0 };
    let Verdict::Hold { until_ms: Some(until_ms), .. } = case.gate().verdict(&evidence, case.now_ms) else {
        panic!("it is closed")
    };
    assert_eq!(Timestamp::from_millisecond(until_ms).unwrap().to_string(), "2026-04-05T00:00:00Z");
}

#[test]
fn midnight_may_be_written_as_the_end_of_the_day() {
    let gate: Gate = serde_json::from_value(json!({"window": {"from": "22:00", "until": "24:00"}})).unwrap();
    gate.check().unwrap();
    let evidence = Evidence { since_ms: 0, approvals: &[], measurements: &[], samples: 0 };
    let at = |time: Time| date(2026, 6, 1).at(time.hour(), time.minute(), 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let open = |time| matches!(gate.verdict(&evidence, at(time).as_millisecond()), Verdict::Pass(_));
    assert!(!open(Time::constant(21, 59, 0, 0)) && open(Time::constant(23, 59, 0, 0)) && !open(Time::midnight()));
}
