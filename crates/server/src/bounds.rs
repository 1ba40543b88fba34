//! Bounds of what people write that the domain leaves to its doors: how many, how long, how far in time.

use serde::Serialize;
use tidegate_domain::{Code, Millis, Refusal, limits};

/// Definitions in one request: an estate of that size is still stored in one transaction of a second or so.
pub const DEFINITIONS_MAX: usize = 5_000;
/// Grants of one person: each is looked at for every request.
pub const GRANTS_MAX: usize = 100;
/// Environments and applications that one change or freeze names.
pub const PLACES_MAX: usize = 200;
/// Objectives of one release: more are not objectives.
pub const OBJECTIVES_MAX: usize = 50;
/// Records in one request: one transaction of a fraction of a second.
pub const RECORDS_MAX: usize = 500;
/// Changes in one release.
pub const CHANGES_MAX: usize = 1_000;
/// Exceptions into one freeze: past that it is no freeze.
pub const EXCEPTIONS_MAX: usize = 500;
/// Bytes of one definition, change, release or freeze as JSON: every text of it at its longest.
const THING_BYTES_MAX: usize = 128 << 10;
/// Years within which an instant means something: 2000 and 2200.
const INSTANTS_MS: std::ops::Range<Millis> = 946_684_800_000..7_258_118_400_000;

/// Refuses too many of something.
///
/// # Errors
///
/// [`Code::TooLarge`], at the field.
pub fn at_most(field: &str, count: usize, max: usize) -> Result<(), Refusal> {
    if count <= max {
        return Ok(());
    }
    Err(Refusal::new(Code::TooLarge, format!("{field} has {count} entries"), format!("use at most {max}")).at(field))
}

/// Refuses a text that is longer than a screen; an empty one is the domain's question.
///
/// # Errors
///
/// [`Code::TooLarge`], at the field.
pub fn text(field: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() <= limits::TEXT_CHARS_MAX {
        return Ok(());
    }
    let remedy = format!("use at most {} characters", limits::TEXT_CHARS_MAX);
    Err(Refusal::new(Code::TooLarge, format!("{field} is too long"), remedy).at(field))
}

/// Refuses a thing that is too large as a whole, whichever of its texts makes it so.
///
/// # Errors
///
/// [`Code::TooLarge`].
pub fn weight(what: &str, thing: &impl Serialize) -> Result<(), Refusal> {
    let bytes = serde_json::to_vec(thing).map_or(usize::MAX, |text| text.len());
    if bytes <= THING_BYTES_MAX {
        return Ok(());
    }
    let remedy = format!("keep each {what} below {THING_BYTES_MAX} bytes; put long texts where they can be linked to");
    Err(Refusal::new(Code::TooLarge, format!("the {what} has {bytes} bytes"), remedy))
}

/// Refuses an instant that cannot be meant, such as one in seconds.
///
/// # Errors
///
/// [`Code::OutOfRange`], at the field.
pub fn instant(field: &str, at_ms: Millis) -> Result<(), Refusal> {
    if INSTANTS_MS.contains(&at_ms) {
        return Ok(());
    }
    let remedy = "give milliseconds since 1970 in UTC, between the years 2000 and 2200";
    Err(Refusal::new(Code::OutOfRange, format!("{field} is {at_ms}"), remedy).at(field))
}
