//! Instants and spans for people. Every instant shows its zone, or carries it in its title where it is told as an age.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use tidegate_domain::Millis;

/// The instant of the page and the zone of its reader.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Now.
    pub now_ms: Millis,
    zone: TimeZone,
}

impl Clock {
    /// A clock in a zone of the IANA database; UTC where there is none of that name.
    pub fn new(now_ms: Millis, zone: &str) -> Clock {
        Clock { now_ms, zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    /// The same instant for a reader elsewhere: a thing whose author meant another zone.
    #[must_use]
    pub fn in_zone(&self, zone: &str) -> Clock {
        Clock::new(self.now_ms, zone)
    }

    /// `21 Nov 14:02 UTC`, with the year when it is not this one.
    pub fn at(&self, at_ms: Millis) -> Markup {
        let this_year = self.text("%Y", at_ms) == self.text("%Y", self.now_ms);
        self.element(at_ms, if this_year { "%-d %b %H:%M %Z" } else { "%-d %b %Y %H:%M %Z" })
    }

    /// `21 Nov 14:02:07 UTC`, for histories.
    pub fn at_second(&self, at_ms: Millis) -> Markup {
        self.element(at_ms, "%-d %b %H:%M:%S %Z")
    }

    /// `14:02:07 UTC`, for what was measured a moment ago; the title has the day.
    pub fn time(&self, at_ms: Millis) -> Markup {
        self.element(at_ms, "%H:%M:%S %Z")
    }

    /// `Sat 21 Nov 2026`, for dates that were meant as days.
    pub fn day(&self, at_ms: Millis) -> Markup {
        self.element(at_ms, "%a %-d %b %Y, %H:%M %Z")
    }

    /// `3 min ago`, kept up to date by the script; the title has the instant.
    pub fn age(&self, at_ms: Millis) -> Markup {
        let ago = self.now_ms - at_ms;
        let words = if ago < 1_000 { "just now".to_owned() } else { format!("{} ago", rough(ago)) };
        html! { time.age datetime=(instant(at_ms)) title=(self.title(at_ms)) data-age=(at_ms) { (words) } }
    }

    /// `for 3 min`, kept up to date by the script; the title has the instant.
    pub fn since(&self, at_ms: Millis) -> Markup {
        let words = format!("for {}", rough((self.now_ms - at_ms).max(0)));
        html! { time.age datetime=(instant(at_ms)) title={ "since " (self.title(at_ms)) } data-since=(at_ms) { (words) } }
    }

    /// `in 4 min 12 s`, counted down by the script; the title has the instant.
    pub fn countdown(&self, at_ms: Millis) -> Markup {
        let left = at_ms - self.now_ms;
        let words = if left <= 0 { "now".to_owned() } else { format!("in {}", exact(left)) };
        html! { time.countdown datetime=(instant(at_ms)) title=(self.title(at_ms)) data-countdown=(at_ms) { (words) } }
    }

    /// The whole days from now to an instant, by the calendar of the reader's zone: negative when it is past.
    pub fn days_left(&self, at_ms: Millis) -> i64 {
        let day = |ms| self.zoned(ms).map(|zoned| zoned.date());
        match (day(self.now_ms), day(at_ms)) {
            (Some(from), Some(to)) => from.until(to).map_or(0, |span| i64::from(span.get_days())),
            _ => 0,
        }
    }

    /// The form that an `<input type="datetime-local">` takes.
    pub fn input(&self, at_ms: Millis) -> String {
        self.text("%Y-%m-%dT%H:%M", at_ms)
    }

    /// The zone's name, for forms.
    pub fn zone_name(&self) -> String {
        self.zone.iana_name().filter(|name| *name != "Etc/UTC").unwrap_or("UTC").to_owned()
    }

    fn element(&self, at_ms: Millis, format: &str) -> Markup {
        html! { time datetime=(instant(at_ms)) title=(self.title(at_ms)) { (self.text(format, at_ms)) } }
    }

    fn title(&self, at_ms: Millis) -> String {
        self.text("%A, %-d %B %Y, %H:%M:%S %Z", at_ms)
    }

    fn text(&self, format: &str, at_ms: Millis) -> String {
        self.zoned(at_ms).map_or_else(|| at_ms.to_string(), |zoned| zoned.strftime(format).to_string())
    }

    fn zoned(&self, at_ms: Millis) -> Option<jiff::Zoned> {
        Timestamp::from_millisecond(at_ms).ok().map(|instant| instant.to_zoned(self.zone.clone()))
    }
}

/// The instant in UTC, for machines.
fn instant(at_ms: Millis) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |instant| instant.to_string())
}

/// A span in its largest unit: `45 s`, `3 min`, `2 h`, `5 days`, `7 months`, `3 years`. The script says it in the same words.
pub fn rough(span_ms: i64) -> String {
    let seconds = span_ms / 1_000;
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        172_800..8_640_000 => format!("{} days", seconds / 86_400),
        // Twelfths of a mean year, and mean years.
        8_640_000..63_115_200 => format!("{} months", seconds / 2_629_800),
        _ => format!("{} years", seconds / 31_557_600),
    }
}

/// A span in its two largest units: `4 min 07 s`, `2 h 05 min`, `3 d 04 h`. The script says it in the same words.
pub fn exact(span_ms: i64) -> String {
    // A countdown reaches 0 when its time has come, not a second before.
    let seconds = (span_ms + 999).div_euclid(1_000);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// How long something took: tenths below ten seconds, whole units above.
pub fn took(span_ms: i64) -> String {
    if span_ms < 10_000 { format!("{:.1} s", span_ms as f64 / 1_000.0) } else { exact(span_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = 1_795_262_400_000; // 2026-11-21T12:00:00Z

    #[test]
    fn an_instant_shows_its_zone() {
        let clock = Clock::new(NOON, "Europe/Berlin");
        let text = clock.at(NOON).into_string();
        assert!(text.contains(">21 Nov 13:00 CET<") && text.contains("datetime=\"2026-11-21T12:00:00Z\""), "{text}");
        assert!(clock.age(NOON - 200_000).into_string().contains("Saturday, 21 November 2026, 12:56:40 CET"));
        assert!(Clock::new(NOON, "Nowhere/Land").at(NOON).into_string().contains("12:00 UTC"));
    }

    #[test]
    fn days_are_counted_by_the_calendar_of_the_zone() {
        let clock = Clock::new(NOON, "UTC");
        assert_eq!(clock.days_left(NOON + 86_400_000 * 9), 9);
        assert_eq!(clock.days_left(NOON + 13 * 3_600_000), 1);
        assert_eq!(clock.days_left(NOON - 86_400_000), -1);
    }

    #[test]
    fn spans_are_short() {
        assert_eq!([rough(59_999), rough(60_000), rough(7_200_000), rough(864_000_000)], ["59 s", "1 min", "2 h", "10 days"]);
        let days = |days: i64| rough(days * 86_400_000);
        assert_eq!(
            [days(99), days(100), days(730), days(731), days(3_014)],
            ["99 days", "3 months", "23 months", "2 years", "8 years"]
        );
        assert_eq!([exact(1), exact(252_000), exact(7_500_000)], ["1 s", "4 min 12 s", "2 h 05 min"]);
        assert_eq!([took(1_240), took(61_000)], ["1.2 s", "1 min 01 s"]);
    }
}
