//! Instants and durations for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidegate_domain::Millis;

/// `2026-11-21 14:03:12 +01:00`; an instant that no calendar has is shown as its number.
pub fn instant(at_ms: Millis, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| format!("{at_ms} ms"), |at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
}

/// The same, or a dash.
pub fn maybe(at_ms: Option<Millis>, zone: &TimeZone) -> String {
    at_ms.map_or_else(|| "-".into(), |at_ms| instant(at_ms, zone))
}

/// `14:03:12`, for transcripts.
pub fn clock(at_ms: Millis, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| "--:--:--".into(), |at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
}

/// `1 h 2 min`, `3 min 4 s`, `5 s`
pub fn lasting(ms: Millis) -> String {
    let seconds = ms.max(0) / 1_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}
