//! Parameters: what an operation takes, and reading it strictly.
//!
//! Every operation lists its parameters; one that is not listed is refused, never ignored. A value is checked here by its
//! kind, so that an operation reads what is right. An empty value clears a text, and is wrong for anything else: an id that
//! is empty would do another thing than was meant. Null in JSON clears a text and counts as not sent for anything else.

use std::collections::BTreeMap;

use super::body::{Node, Tree};
use super::error::ApiError;
use super::metadata::{self, MetadataEdit};

/// What a parameter holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    /// The id of an object.
    Id,
    /// A whole number within these bounds.
    Int(i64, i64),
    /// True or false, in any case.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Seconds since 1970, or the word `now`.
    InstantOrNow,
    /// Seconds since 1970.
    Instant,
    /// Up to 20 texts by key.
    Metadata,
    /// Texts by these names, as `card[number]`.
    Texts(&'static [Param]),
    /// Texts without names, as `enabled_events[]=a` or `enabled_events[0]=a`: at most so many, each of at most so many characters.
    List(usize, usize),
}

/// One parameter of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The code of the error when its value is wrong.
    pub code: &'static str,
    /// Whether it must be sent.
    pub is_required: bool,
    /// What it is, in a sentence of the documentation.
    pub about: &'static str,
    /// The words that a text or an item of a list may be, where the operation itself reads them; for the OpenAPI document.
    pub words: Option<fn() -> Vec<String>>,
}

impl Param {
    const fn new(name: &'static str, kind: Kind, code: &'static str, about: &'static str) -> Self {
        Self { name, kind, code, is_required: false, about, words: None }
    }

    /// A text of at most `max` characters.
    pub const fn text(name: &'static str, max: usize, about: &'static str) -> Self {
        Self::new(name, Kind::Text(max), "invalid_string_length", about)
    }

    /// The id of another object.
    pub const fn id(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::Id, "invalid_id", about)
    }

    /// A whole number from `min` to `max`.
    pub const fn int(
        name: &'static str,
        (min, max): (i64, i64),
        code: &'static str,
        about: &'static str,
    ) -> Self {
        Self::new(name, Kind::Int(min, max), code, about)
    }

    /// True or false.
    pub const fn bool(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::Bool, "invalid_boolean", about)
    }

    /// One of some words.
    pub const fn choice(
        name: &'static str,
        words: &'static [&'static str],
        code: &'static str,
        about: &'static str,
    ) -> Self {
        Self::new(name, Kind::Choice(words), code, about)
    }

    /// An instant in seconds, or `now`.
    pub const fn instant_or_now(name: &'static str, code: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::InstantOrNow, code, about)
    }

    /// An instant in seconds.
    pub const fn instant(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::Instant, "invalid_timestamp", about)
    }

    /// The merchant's own texts.
    pub const fn metadata() -> Self {
        let about = "Up to 20 texts of your own; an empty value deletes its key.";
        Self::new("metadata", Kind::Metadata, "invalid_metadata_value", about)
    }

    /// Texts by name.
    pub const fn texts(
        name: &'static str,
        members: &'static [Param],
        code: &'static str,
        about: &'static str,
    ) -> Self {
        Self::new(name, Kind::Texts(members), code, about)
    }

    /// At most `items` texts of at most `max` characters; none at all clears it.
    pub const fn list(
        name: &'static str,
        (items, max): (usize, usize),
        code: &'static str,
        about: &'static str,
    ) -> Self {
        Self::new(name, Kind::List(items, max), code, about)
    }

    /// The same, and it must be sent.
    pub const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// An id that an empty value clears, or that nothing comes of.
    pub const fn clearable(self) -> Self {
        Self { kind: Kind::Text(ID_MAX), ..self }
    }

    /// The same, and the operation takes these words only.
    pub const fn of_words(self, words: fn() -> Vec<String>) -> Self {
        Self { words: Some(words), ..self }
    }

    /// The same with another code for a wrong value.
    pub const fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }
}

/// Longest id that is looked up, in characters: merchants choose ids of up to 100.
pub const ID_MAX: usize = 100;

/// The id of a new object: the merchant's own, or a made one. Error: the merchant's is not of letters, digits, `_` and `-`.
pub fn new_object_id(params: &Params, made: impl FnOnce() -> String) -> Result<String, ApiError> {
    let Some(id) = params.text("id") else {
        return Ok(made());
    };
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return Ok(id.to_owned());
    }
    let message = format!("Invalid id: use 1 to {ID_MAX} letters, digits, _ and -.");
    Err(ApiError::param("invalid_flexible_id", "id", message))
}

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    Now,
    Metadata(MetadataEdit),
    Texts(BTreeMap<&'static str, String>),
    List(Vec<String>),
    /// Sent empty.
    Cleared,
}

/// The parameters of one request, all of them right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<&'static str, Value>);

/// What a request says of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given<T> {
    /// Nothing.
    Absent,
    /// It is to be empty.
    Cleared,
    /// This.
    Set(T),
}

impl<T> Given<T> {
    /// The value, if there is one.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Cleared => None,
        }
    }
}

/// An instant as a request gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstantOrNow {
    /// The word `now`.
    Now,
    /// Seconds since 1970.
    At(i64),
}

impl Params {
    /// Checks what was sent against what the operation takes. `object` is what it is about, for the messages.
    pub fn check(tree: Tree, known: &'static [Param], object: &str) -> Result<Self, ApiError> {
        let mut values = BTreeMap::new();
        for (name, node) in tree {
            let Some(param) = known.iter().find(|param| param.name == name) else {
                return Err(ApiError::param(
                    "invalid_param_key",
                    name,
                    format!("Invalid param key to {object}"),
                ));
            };
            if let Some(value) = value_of(param, node)? {
                values.insert(param.name, value);
            }
        }
        let missing = |param: &&Param| {
            param.is_required && !values.get(param.name).is_some_and(|value| *value != Value::Cleared)
        };
        match known.iter().find(missing) {
            Some(param) => Err(ApiError::missing(param.name, object)),
            None => Ok(Self(values)),
        }
    }

    /// Error: something was sent empty, which leaves a filter out of a list and shows what it was to keep away.
    pub fn none_is_cleared(&self) -> Result<(), ApiError> {
        let Some((name, _)) = self.0.iter().find(|(_, value)| **value == Value::Cleared) else {
            return Ok(());
        };
        let message = format!("Invalid {name}: it is empty. Send a value, or leave it out.");
        Err(ApiError::param("invalid_querystring", *name, message))
    }

    /// Error: an id of `known` was sent empty, as by a variable of the client's that is not set.
    pub fn no_id_is_cleared(&self, known: &[Param]) -> Result<(), ApiError> {
        let is_cleared = |param: &&Param| {
            matches!(param.kind, Kind::Id) && self.0.get(param.name) == Some(&Value::Cleared)
        };
        let Some(param) = known.iter().find(is_cleared) else {
            return Ok(());
        };
        let message = format!("Invalid {}: it is empty. Send an id, or leave it out.", param.name);
        Err(ApiError::param(param.code, param.name, message))
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something was sent for it, an empty value too.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text, which may have been cleared.
    pub fn given(&self, name: &str) -> Given<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Given::Set(text),
            Some(Value::Cleared) => Given::Cleared,
            Some(
                Value::Int(_)
                | Value::Bool(_)
                | Value::Now
                | Value::Metadata(_)
                | Value::Texts(_)
                | Value::List(_),
            )
            | None => Given::Absent,
        }
    }

    /// A list of texts, which may have been cleared.
    pub fn list(&self, name: &str) -> Given<&[String]> {
        match self.0.get(name) {
            Some(Value::List(items)) => Given::Set(items),
            Some(Value::Cleared) => Given::Cleared,
            _ => Given::Absent,
        }
    }

    /// A text that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given(name).set()
    }

    /// A number.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// True or false.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Value::Bool(is_true)) => Some(*is_true),
            _ => None,
        }
    }

    /// An instant or `now`.
    pub fn instant_or_now(&self, name: &str) -> Option<InstantOrNow> {
        match self.0.get(name) {
            Some(Value::Now) => Some(InstantOrNow::Now),
            Some(Value::Int(seconds)) => Some(InstantOrNow::At(*seconds)),
            _ => None,
        }
    }

    /// The changes to the merchant's own texts.
    pub fn metadata(&self) -> Option<&MetadataEdit> {
        match self.0.get("metadata") {
            Some(Value::Metadata(edit)) => Some(edit),
            _ => None,
        }
    }

    /// Texts by name; `None` if none was sent.
    pub fn texts(&self, name: &str) -> Option<&BTreeMap<&'static str, String>> {
        match self.0.get(name) {
            Some(Value::Texts(texts)) => Some(texts),
            _ => None,
        }
    }
}

/// The value of a parameter; `None` where an empty one says nothing.
fn value_of(param: &Param, node: Node) -> Result<Option<Value>, ApiError> {
    let wrong = |about: String| ApiError::param(param.code, param.name, about);
    match param.kind {
        Kind::Metadata => metadata::edit_of(node).map(|edit| Some(Value::Metadata(edit))),
        Kind::Texts(members) => match node {
            Node::Map(map) => texts_of(param, members, map).map(Some),
            Node::Text(_) | Node::List(_) | Node::Null => Err(wrong(format!("Invalid {}.", param.name))),
        },
        Kind::List(items, max) => list_of(param, (items, max), node).map(Some),
        Kind::Text(_)
        | Kind::Id
        | Kind::Int(..)
        | Kind::Bool
        | Kind::Choice(_)
        | Kind::InstantOrNow
        | Kind::Instant => {
            let is_text = matches!(param.kind, Kind::Text(_));
            let can_be_empty = is_text || matches!(param.kind, Kind::Id);
            let text = match node {
                Node::Text(text) if text.is_empty() && can_be_empty => return Ok(Some(Value::Cleared)),
                Node::Text(text) => text,
                Node::Null => return Ok(is_text.then_some(Value::Cleared)),
                Node::Map(_) | Node::List(_) => return Err(wrong(format!("Invalid {}.", param.name))),
            };
            simple(param.kind, text)
                .map(Some)
                .map_err(|allowed| wrong(format!("Invalid {}: it must be {allowed}.", param.name)))
        }
    }
}

/// A value of a simple kind, or what would be right.
fn simple(kind: Kind, text: String) -> Result<Value, String> {
    match kind {
        Kind::Id => simple(Kind::Text(ID_MAX), text),
        Kind::Text(max) if text.chars().count() > max => Err(format!("at most {max} characters long")),
        Kind::Text(_) if text.contains('\0') => Err("text without control characters".to_owned()),
        Kind::Text(_) | Kind::Metadata | Kind::Texts(_) | Kind::List(..) => Ok(Value::Text(text)),
        Kind::Int(min, max) => match whole_number(&text) {
            Some(number) if (min..=max).contains(&number) => Ok(Value::Int(number)),
            _ => Err(format!("a whole number from {min} to {max}")),
        },
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("true or false".to_owned()),
        },
        Kind::Choice(words) if words.contains(&text.as_str()) => Ok(Value::Text(text)),
        Kind::Choice(words) => Err(alternatives(words)),
        Kind::InstantOrNow if text == "now" => Ok(Value::Now),
        Kind::InstantOrNow | Kind::Instant => match whole_number(&text) {
            Some(number) if (0..=LATEST_SECOND).contains(&number) => Ok(Value::Int(number)),
            _ if matches!(kind, Kind::Instant) => Err("a time in seconds since 1970".to_owned()),
            _ => Err("now, or a time in seconds since 1970".to_owned()),
        },
    }
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// The end of the year 9998: dates beyond it cannot be reckoned with.
pub const LATEST_SECOND: i64 = 253_370_764_799;

/// Digits with an optional minus sign; nothing that only looks like a number.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `name[]=a&name[]=b`, `name[0]=a&name[1]=b`, a JSON list, or one text alone. Nothing in it clears it.
fn list_of(param: &Param, (items, max): (usize, usize), node: Node) -> Result<Value, ApiError> {
    let wrong = |about: String| ApiError::param(param.code, param.name, about);
    let nodes = match node {
        Node::List(nodes) => nodes,
        Node::Null => Vec::new(),
        Node::Text(text) if text.is_empty() => Vec::new(),
        Node::Text(text) => vec![Node::Text(text)],
        Node::Map(map) => numbered(map).filter(|items| !items.is_empty()).ok_or_else(|| {
            wrong(format!("Invalid {0}: send it as {0}[]=value, or with numbers from {0}[0] on.", param.name))
        })?,
    };
    if nodes.is_empty() {
        return Ok(Value::Cleared);
    }
    if nodes.len() > items {
        return Err(wrong(format!("Invalid {}: it must have at most {items} values.", param.name)));
    }
    let is_right = |text: &str| !text.is_empty() && text.chars().count() <= max && !text.contains('\0');
    let texts = nodes.into_iter().map(|node| match node {
        Node::Text(text) if is_right(&text) => Ok(text),
        Node::Text(_) | Node::Map(_) | Node::List(_) | Node::Null => {
            Err(wrong(format!("Invalid {}: each value must be a text of 1 to {max} characters.", param.name)))
        }
    });
    Ok(Value::List(texts.collect::<Result<_, _>>()?))
}

/// The items that were sent with numbers, in their order; `None` when the numbers are not those from 0 on.
fn numbered(map: Tree) -> Option<Vec<Node>> {
    let mut items = BTreeMap::new();
    for (name, node) in map {
        let number: usize = name.parse().ok().filter(|number: &usize| number.to_string() == name)?;
        items.insert(number, node);
    }
    items.keys().copied().eq(0..items.len()).then(|| items.into_values().collect())
}

fn texts_of(param: &Param, members: &'static [Param], map: Tree) -> Result<Value, ApiError> {
    let mut texts = BTreeMap::new();
    for (name, node) in map {
        let full = format!("{}[{name}]", param.name);
        let Some(member) = members.iter().find(|member| member.name == name) else {
            return Err(ApiError::param(
                "invalid_param_key",
                full,
                format!("Invalid param key to {}", param.name),
            ));
        };
        let text = match node {
            Node::Text(text) => text,
            Node::Null => String::new(),
            Node::Map(_) | Node::List(_) => {
                return Err(ApiError::param(member.code, full.clone(), format!("Invalid {full}.")));
            }
        };
        if let Kind::Text(max) = member.kind
            && text.chars().count() > max
        {
            return Err(ApiError::param(
                member.code,
                full.clone(),
                format!("Invalid {full}: it must be at most {max} characters long."),
            ));
        }
        texts.insert(member.name, text);
    }
    for member in members.iter().filter(|member| member.is_required) {
        if texts.get(member.name).is_none_or(String::is_empty) {
            return Err(ApiError::missing(&format!("{}[{}]", param.name, member.name), param.name));
        }
    }
    Ok(Value::Texts(texts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::body::{MediaType, read};

    const NAMES: &[Param] = &[Param::list("names", (2, 3), "invalid_names", "Two short names.")];

    fn names(kind: MediaType, body: &str) -> Result<Option<Vec<String>>, String> {
        let tree = read(None, kind, body.as_bytes()).expect("it reads");
        match Params::check(tree, NAMES, "list") {
            Ok(params) => match params.list("names") {
                Given::Set(items) => Ok(Some(items.to_vec())),
                Given::Cleared => Ok(Some(Vec::new())),
                Given::Absent => Ok(None),
            },
            Err(error) => Err(error.code.unwrap_or_default().to_owned()),
        }
    }

    #[test]
    fn a_list_takes_as_many_as_it_says_however_it_is_sent() {
        const MANY: &[Param] = &[Param::list("many", (1_000, 40), "invalid_many", "A thousand ids.")];
        for (count, code) in [(1_000, None), (1_001, Some("invalid_many"))] {
            let ids: Vec<String> = (0..count).map(|number| format!("sub_{number:027}")).collect();
            let form = |name: fn(usize) -> String| {
                let pairs: Vec<String> =
                    ids.iter().enumerate().map(|(number, id)| format!("{}={id}", name(number))).collect();
                (MediaType::Form, pairs.join("&"))
            };
            for (kind, body) in [
                form(|_| "many[]".to_owned()),
                form(|number| format!("many[{number}]")),
                (MediaType::Json, serde_json::json!({"many": ids}).to_string()),
            ] {
                assert!(body.len() < crate::web::body::BYTES_MAX);
                let tree = read(None, kind, body.as_bytes()).expect("it reads");
                let checked = Params::check(tree, MANY, "list");
                assert_eq!(checked.as_ref().err().and_then(|error| error.code), code, "{count} {kind:?}");
            }
        }
    }

    #[test]
    fn a_list_reads_the_same_from_forms_and_json() {
        let (form, json) = (MediaType::Form, MediaType::Json);
        let is = |items: &[&str]| Ok(Some(items.iter().map(|item| (*item).to_owned()).collect()));
        assert_eq!(names(form, "names[]=a&names%5B%5D=b"), is(&["a", "b"]));
        assert_eq!(names(json, r#"{"names": ["a", "b"]}"#), is(&["a", "b"]));
        assert_eq!(names(form, "names[1]=b&names%5B0%5D=a"), is(&["a", "b"]));
        assert_eq!(names(form, "names=a"), is(&["a"]));
        for (kind, nothing) in [(form, "names="), (json, r#"{"names": null}"#), (json, r#"{"names": []}"#)] {
            assert_eq!(names(kind, nothing), is(&[]), "{nothing}");
        }
        assert_eq!(names(form, ""), Ok(None));
        for (kind, wrong) in [
            (form, "names[]=a&names[]=b&names[]=c"),
            (form, "names[]=long"),
            (form, "names[]="),
            (form, "names[1]=a"),
            (form, "names[0]=a&names[2]=b"),
            (form, "names[x]=a"),
            (form, "names[0]=a&names[00]=b"),
            (json, r#"{"names": {}}"#),
            (json, r#"{"names": ["a", null]}"#),
        ] {
            assert_eq!(names(kind, wrong), Err("invalid_names".to_owned()), "{wrong}");
        }
    }
}
