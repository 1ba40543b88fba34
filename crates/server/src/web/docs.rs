//! The pages about error codes, as they stand in `docs/errors`.

use std::borrow::Cow;

use rust_embed::Embed;

#[derive(Embed)]
#[folder = "../../docs/errors/"]
struct Errors;

/// The text about a code.
pub fn error(code: &str) -> Option<Cow<'static, str>> {
    let file = Errors::get(&format!("{code}.md"))?;
    String::from_utf8(file.data.into_owned()).ok().map(Cow::Owned)
}
