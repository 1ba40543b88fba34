//! The embedded files: style, script and icons, each under an address that changes with its bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use rust_embed::Embed;

/// Where the files are served.
pub const PREFIX: &str = "/assets/";

#[derive(Embed)]
#[folder = "assets/"]
struct Files;

/// A file as it is served.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type.
    pub content_type: &'static str,
    /// Its strong entity tag, quotes included.
    pub etag: String,
    /// Whether the address names these very bytes, so that they may be kept for ever.
    pub immutable: bool,
}

/// The file at `path` below [`PREFIX`]: `tidegate.css`, or `tidegate.0123456789ab.css` as [`url`] writes it.
///
/// An address with another hash than that of the bytes is no address: a page of an older program asks again.
pub fn asset(path: &str) -> Option<Asset> {
    let (name, asked) = plain_name(path);
    let file = Files::get(&name)?;
    let hash = short_hash(&file.metadata.sha256_hash());
    if asked.as_ref().is_some_and(|asked| *asked != hash) {
        return None;
    }
    let content_type = content_type(&name);
    Some(Asset { bytes: file.data, content_type, etag: format!("\"{hash}\""), immutable: asked.is_some() })
}

/// The address of the file `name`, with the hash of its bytes in it.
pub fn url(name: &str) -> String {
    static HASHES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let hashes = HASHES.get_or_init(|| {
        let hash = |name: &str| Files::get(name).map(|file| short_hash(&file.metadata.sha256_hash()));
        Files::iter().filter_map(|name| hash(&name).map(|hash| (name.into_owned(), hash))).collect()
    });
    match (hashes.get(name), name.rsplit_once('.')) {
        (Some(hash), Some((stem, ending))) => format!("{PREFIX}{stem}.{hash}.{ending}"),
        _ => format!("{PREFIX}{name}"),
    }
}

/// `a.0123456789ab.css` is `a.css` with a hash; anything else is itself.
fn plain_name(path: &str) -> (String, Option<String>) {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        [stem, hash, ending] if hash.len() == HASH_CHARS => (format!("{stem}.{ending}"), Some((*hash).to_owned())),
        _ => (path.to_owned(), None),
    }
}

const HASH_CHARS: usize = 12;

fn short_hash(hash: &[u8]) -> String {
    hex::encode(hash).chars().take(HASH_CHARS).collect()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_bytes_it_serves() {
        let address = url("tidegate.css");
        let served = asset(address.strip_prefix(PREFIX).expect("below the prefix")).expect("it is served");
        assert_eq!(served.content_type, "text/css; charset=utf-8");
        assert!(served.immutable && address.contains(served.etag.trim_matches('"')));
        assert!(!asset("tidegate.css").expect("by its plain name, too").immutable);
        assert!(asset("tidegate.000000000000.css").is_none());
        assert!(asset("../Cargo.toml").is_none());
    }
}
