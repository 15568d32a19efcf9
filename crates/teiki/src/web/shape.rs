//! What an operation answers when it has done it, as a JSON Schema made from the type that is answered.
//!
//! Only the OpenAPI document reads it. Nothing is checked against it while the server runs; the tests check every answer.

use billing::mode::Mode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::list::{List, is_live};

/// What the body of an operation's 200 looks like, and which refusals it has that its route does not tell of.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The body of its 200; `None` while it never succeeds.
    pub schema: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Whether that is a list.
    pub is_list: bool,
    /// Statuses beside those that follow from method, address, parameters and whether it moves money.
    pub more: &'static [u16],
}

impl Shape {
    /// One object.
    pub const fn one<T: JsonSchema>() -> Self {
        Self { schema: Some(SchemaGenerator::subschema_for::<T>), is_list: false, more: &[] }
    }

    /// A page of objects.
    pub const fn list<T: JsonSchema>() -> Self {
        Self { schema: Some(SchemaGenerator::subschema_for::<List<T>>), is_list: true, more: &[] }
    }

    /// Nothing: it is always refused.
    pub const fn never() -> Self {
        Self { schema: None, is_list: false, more: &[] }
    }

    /// The same, and these statuses too.
    pub const fn or(self, more: &'static [u16]) -> Self {
        Self { more, ..self }
    }
}

/// The answer to a deletion.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Deleted {
    #[schemars(extend("const" = true))]
    deleted: bool,
    /// The id of what is gone. It stays taken.
    id: String,
    livemode: bool,
}

impl Deleted {
    /// The object `id` of this mode is gone.
    pub fn new(mode: Mode, id: &str) -> Self {
        Self { deleted: true, id: id.to_owned(), livemode: is_live(mode) }
    }
}
