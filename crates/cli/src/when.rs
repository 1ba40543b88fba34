//! Times as people write them: `2026-12-24T18:00:00+01:00`, `2026-12-24T18:00` in a zone, or `+2h` from now.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use tidegate_domain::Refusal;
use tidegate_domain::refusal::Code;

/// The instant that `text` means at `now`, in `zone` where it names none.
pub fn instant(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Refusal> {
    if let Some(span) = text.strip_prefix('+') {
        let later = span.parse::<Span>().and_then(|span| now.to_zoned(zone.clone()).checked_add(span));
        return later.map(|later| later.timestamp()).map_err(|_| not_a_time(text));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Ok(zoned.timestamp());
    }
    // A time that the zone skips or has twice is not guessed at.
    let civil = text.parse::<DateTime>().map_err(|_| not_a_time(text))?;
    zone.to_ambiguous_timestamp(civil).unambiguous().map_err(|_| {
        let what = format!("{text} does not exist, or exists twice, in {}", name(zone));
        Refusal::new(Code::OutOfRange, what, "write it with its offset, such as 2026-10-25T02:30:00+01:00")
    })
}

fn not_a_time(text: &str) -> Refusal {
    Refusal::new(
        Code::Malformed,
        format!("\"{}\" is not a time", tidegate_domain::ids::clip(text)),
        "use RFC 3339 such as 2026-12-24T18:00:00+01:00, a local time such as 2026-12-24T18:00, or +2h30m from now",
    )
}

/// The zone called so; this host's if none is named.
pub fn zone(name: Option<&str>) -> Result<TimeZone, Refusal> {
    let Some(name) = name else { return Ok(TimeZone::system()) };
    TimeZone::get(name).map_err(|_| {
        let what = format!("\"{}\" is not a time zone", tidegate_domain::ids::clip(name));
        Refusal::new(Code::OutOfRange, what, "use an IANA name such as Europe/Vienna or UTC").at("--zone")
    })
}

/// The zone's IANA name, UTC if it has none.
pub fn name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// How long a text such as `30d` or `8h` is, in seconds; a day has 24 hours.
pub fn seconds(text: &str) -> Result<u32, String> {
    let error = || "use a duration such as 30d, 8h or 90m".to_owned();
    let span = text.parse::<Span>().map_err(|_| error())?;
    let seconds = span.total((jiff::Unit::Second, jiff::SpanRelativeTo::days_are_24_hours())).map_err(|_| error())?;
    if (1.0..=f64::from(u32::MAX)).contains(&seconds) { Ok(seconds as u32) } else { Err(error()) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::tz::TimeZone;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = "2026-03-28T12:00:00Z".parse().expect("a time");
        let vienna = TimeZone::get("Europe/Vienna").expect("a zone");
        let texts = [
            "2026-12-24T18:00:00+01:00",
            "2026-12-24T18:00:00Z",
            "2026-12-24T18:00",
            "2026-12-24 18:00:30",
            "2026-12-24T18:00[America/New_York]",
            "+2h",
            "+1h30m",
            // The clock goes forward that night, so that a day later is 23 hours.
            "+1d",
            "2026-03-29T02:30",
            "2026-10-25T02:30",
            "tomorrow",
            "+",
            "18:00",
        ];
        let lines = texts.map(|text| match super::instant(text, now, &vienna) {
            Ok(instant) => format!("{text} → {instant}"),
            Err(refusal) => format!("{text} → {}", refusal.what),
        });
        expect![[r#"
            2026-12-24T18:00:00+01:00 → 2026-12-24T17:00:00Z
            2026-12-24T18:00:00Z → 2026-12-24T18:00:00Z
            2026-12-24T18:00 → 2026-12-24T17:00:00Z
            2026-12-24 18:00:30 → 2026-12-24T17:00:30Z
            2026-12-24T18:00[America/New_York] → 2026-12-24T23:00:00Z
            +2h → 2026-03-28T14:00:00Z
            +1h30m → 2026-03-28T13:30:00Z
            +1d → 2026-03-29T11:00:00Z
            2026-03-29T02:30 → 2026-03-29T02:30 does not exist, or exists twice, in Europe/Vienna
            2026-10-25T02:30 → 2026-10-25T02:30 does not exist, or exists twice, in Europe/Vienna
            tomorrow → "tomorrow" is not a time
            + → "+" is not a time
            18:00 → "18:00" is not a time"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("30d", Some(2_592_000)), ("8h", Some(28_800)), ("90m", Some(5_400)), ("0s", None), ("-1h", None), ("x", None)]
        {
            assert_eq!(super::seconds(text).ok(), seconds, "{text}");
        }
    }
}
