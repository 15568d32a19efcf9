//! Metadata: the merchant's own texts on an object, by key.
//!
//! Up to 20 keys of 40 characters with values of 500. An update merges by key; an empty value deletes its key. Stored as
//! one JSON object of texts, shown as such, never null.

use std::collections::BTreeMap;

use super::body::Node;
use super::error::ApiError;
use crate::stored::unreadable;

/// Most keys of one object.
const KEYS_MAX: usize = 20;
/// Longest key, in characters. PAY.JP does not say; this is what its successor says.
const KEY_MAX: usize = 40;
/// Longest value, in characters.
const VALUE_MAX: usize = 500;

/// Metadata as it is stored and shown.
pub type Metadata = BTreeMap<String, String>;

/// What a request changes: texts to be set, `None` to be deleted.
pub type MetadataEdit = BTreeMap<String, Option<String>>;

/// What [`edit_of`] takes, as a JSON Schema.
pub fn edit_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "maxProperties": KEYS_MAX,
        "propertyNames": {"minLength": 1, "maxLength": KEY_MAX},
        "additionalProperties": {"type": "string", "maxLength": VALUE_MAX},
    })
}

/// Reads `metadata[key]=value`. An empty value of the whole deletes nothing.
pub(super) fn edit_of(node: Node) -> Result<MetadataEdit, ApiError> {
    let map = match node {
        Node::Map(map) => map,
        Node::Null => return Ok(MetadataEdit::new()),
        Node::Text(text) if text.is_empty() => return Ok(MetadataEdit::new()),
        Node::Text(_) | Node::List(_) => {
            return Err(ApiError::param(
                "invalid_metadata_key",
                "metadata",
                "Invalid metadata: send it as metadata[key]=value.",
            ));
        }
    };
    map.into_iter().map(|(key, node)| entry_of(key, node)).collect()
}

fn entry_of(key: String, node: Node) -> Result<(String, Option<String>), ApiError> {
    let param = format!("metadata[{key}]");
    if key.is_empty() || key.chars().count() > KEY_MAX || key.contains('\0') {
        let message = format!("Invalid metadata key: it must have 1 to {KEY_MAX} characters.");
        return Err(ApiError::param("invalid_metadata_key", param, message));
    }
    match node {
        Node::Null => Ok((key, None)),
        Node::Text(text) if text.is_empty() => Ok((key, None)),
        Node::Text(text) if text.chars().count() <= VALUE_MAX && !text.contains('\0') => {
            Ok((key, Some(text)))
        }
        Node::Text(_) | Node::Map(_) | Node::List(_) => {
            let message =
                format!("Invalid metadata value: it must be a text of at most {VALUE_MAX} characters.");
            Err(ApiError::param("invalid_metadata_value", param, message))
        }
    }
}

/// The metadata after an edit. Error: more than 20 keys.
pub fn merged(mut metadata: Metadata, edit: Option<&MetadataEdit>) -> Result<Metadata, ApiError> {
    for (key, value) in edit.into_iter().flatten() {
        match value {
            Some(value) => metadata.insert(key.clone(), value.clone()),
            None => metadata.remove(key),
        };
    }
    if metadata.len() > KEYS_MAX {
        let message = format!("Too many metadata keys: at most {KEYS_MAX}.");
        return Err(ApiError::param("too_many_metadata_keys", "metadata", message));
    }
    Ok(metadata)
}

/// From a stored column.
pub fn from_stored(text: &str) -> Result<Metadata, db::Error> {
    serde_json::from_str(text).map_err(|_| unreadable("metadata", "texts by key", text))
}

/// As it is to be stored.
pub fn to_stored(metadata: &Metadata) -> String {
    serde_json::Value::from_iter(metadata.iter().map(|(key, value)| (key.clone(), value.clone()))).to_string()
}
