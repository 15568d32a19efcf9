//! What an operation answers when it has done it, as a JSON Schema made from the type that is answered.
//!
//! Only the OpenAPI document reads it. Nothing is checked against it while the server runs; the tests check every answer.

use billing::mode::Mode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::list::{List, is_live};

/// The body of an operation's 200.
#[derive(Clone, Copy)]
pub enum Success {
    /// There is none: it is always refused.
    Never,
    /// One object.
    One(fn(&mut SchemaGenerator) -> Schema),
    /// A page of objects.
    List(fn(&mut SchemaGenerator) -> Schema),
    /// A file, in one of these media types.
    File(&'static [&'static str]),
}

/// What an operation answers, and which refusals it has that its route does not tell of.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The body of its 200.
    pub success: Success,
    /// Statuses beside those that follow from method, address, parameters and whether it moves money.
    pub more: &'static [u16],
}

impl Shape {
    /// One object.
    pub const fn one<T: JsonSchema>() -> Self {
        Self { success: Success::One(SchemaGenerator::subschema_for::<T>), more: &[] }
    }

    /// A page of objects.
    pub const fn list<T: JsonSchema>() -> Self {
        Self { success: Success::List(SchemaGenerator::subschema_for::<List<T>>), more: &[] }
    }

    /// A file, in one of these media types.
    pub const fn file(media_types: &'static [&'static str]) -> Self {
        Self { success: Success::File(media_types), more: &[] }
    }

    /// Nothing: it is always refused.
    pub const fn never() -> Self {
        Self { success: Success::Never, more: &[] }
    }

    /// Whether it is a page of objects.
    pub const fn is_list(&self) -> bool {
        matches!(self.success, Success::List(_))
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
