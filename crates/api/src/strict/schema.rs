//! The JSON Schema of definition files, for editors.

use crate::definition::Definition;

/// The JSON Schema (2020-12) of one definition, which is one document of a definition file.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Definition);
    schema.insert("$id".into(), "urn:tidegate:definition".into());
    schema.insert("title".into(), "Tidegate definition".into());
    schema.to_value()
}
