//! Canonical JSON: the same value always gives the same bytes, so that a digest means something.
//!
//! Object keys in byte order, no white space, no floating-point numbers beyond what `serde_json` prints.

use serde::Serialize;
use serde_json::Value;

use crate::ids::Digest;

/// The canonical JSON text of `value`.
///
/// # Panics
///
/// Only if `value` cannot be JSON at all (a map with keys that are not text); no type of this crate is so.
pub fn text<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("domain values are JSON");
    let mut out = String::new();
    write(&value, &mut out);
    out
}

/// The digest of the canonical JSON of `value`.
pub fn digest<T: Serialize>(value: &T) -> Digest {
    Digest::of(text(value).as_bytes())
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(&members[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn key_order_does_not_matter() {
        let one = json!({"b": [1, {"y": null, "x": "é"}], "a": true});
        let two = json!({"a": true, "b": [1, {"x": "é", "y": null}]});
        assert_eq!(super::text(&one), r#"{"a":true,"b":[1,{"x":"é","y":null}]}"#);
        assert_eq!(super::digest(&one), super::digest(&two));
    }
}
