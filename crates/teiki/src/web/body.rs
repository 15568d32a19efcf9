//! Reading what was sent: forms with brackets, JSON and query strings become one tree of names.
//!
//! The SDKs of PAY.JP differ in what they write (specs/payjp-v1.md 1.1): brackets raw or encoded, spaces as `+` or `%20`,
//! a form without a content type, DELETE with a query or a body. All of that reads the same here. What cannot be read is
//! refused with a sentence; nothing is guessed. Limits: [`BYTES_MAX`], [`NAMES_MAX`], [`ITEMS_MAX`], [`DEPTH_MAX`].

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::error::ApiError;

/// Longest body, and longest query, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Most names in one request; items of lists are counted apart.
const NAMES_MAX: usize = 250;
/// Most items in the lists of one request: twice what the longest takes, so that its own limit is the one that is told.
const ITEMS_MAX: usize = 2_000;
/// Deepest nesting: `a[b][c]`.
const DEPTH_MAX: usize = 3;

/// Names and what was sent for them, in the order in which they came.
pub type Tree = Vec<(String, Node)>;

/// What was sent for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A text; numbers and truth values of JSON are texts here.
    Text(String),
    /// Names within it.
    Map(Tree),
    /// Items without names.
    List(Vec<Node>),
    /// JSON's null.
    Null,
}

impl Node {
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Map(tree) => to_json(tree),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Null => serde_json::Value::Null,
        }
    }
}

/// Parameters as JSON, sorted by name: the same for forms and JSON in whatever order.
pub fn to_json(tree: &Tree) -> serde_json::Value {
    let mut members: Vec<(&str, serde_json::Value)> =
        tree.iter().map(|(name, node)| (name.as_str(), node.to_json())).collect();
    members.sort_by_key(|(name, _)| *name);
    members.into_iter().collect()
}

/// The kinds of bodies that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/x-www-form-urlencoded`, also when none is named.
    Form,
    /// `application/json`.
    Json,
}

impl MediaType {
    /// From the `Content-Type` header. Error: one that is not read.
    pub fn of(header: Option<&str>) -> Result<Self, ApiError> {
        let essence = header.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/x-www-form-urlencoded" => Ok(Self::Form),
            "application/json" => Ok(Self::Json),
            other => Err(ApiError::media_type(other)),
        }
    }
}

/// Reads a query and a body into one tree. Error: either cannot be read, or a name stands in both.
pub fn read(query: Option<&str>, media_type: MediaType, body: &[u8]) -> Result<Tree, ApiError> {
    let mut tree = Tree::new();
    let mut count = Count::default();
    form(query.unwrap_or(""), &mut tree, &mut count)?;
    match media_type {
        MediaType::Form => {
            let text = std::str::from_utf8(body).map_err(|_| unreadable("it is not UTF-8"))?;
            form(text, &mut tree, &mut count)?;
        }
        // What is white space to JSON; a form feed is not.
        MediaType::Json if body.iter().all(|byte| b" \t\n\r".contains(byte)) => {}
        MediaType::Json => json(body, &mut tree, &mut count)?,
    }
    Ok(tree)
}

fn unreadable(why: &str) -> ApiError {
    ApiError::client("invalid_querystring", format!("The parameters cannot be read: {why}."))
}

/// What has been read so far.
#[derive(Default)]
struct Count {
    names: usize,
    items: usize,
}

impl Count {
    /// Error: there are more than are read.
    fn check(&self) -> Result<(), ApiError> {
        if self.names > NAMES_MAX {
            return Err(unreadable(&format!("there are more than {NAMES_MAX} names")));
        }
        if self.items > ITEMS_MAX {
            return Err(unreadable(&format!("its lists have more than {ITEMS_MAX} values")));
        }
        Ok(())
    }
}

fn form(text: &str, tree: &mut Tree, count: &mut Count) -> Result<(), ApiError> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if name.is_empty() {
            return Err(unreadable("a value has no name"));
        }
        let steps = steps(&name)?;
        match steps.as_slice() {
            [_, .., step] if step.bytes().all(|byte| byte.is_ascii_digit()) => count.items += 1,
            _ => count.names += 1,
        }
        // Before names are compared with each other, which must not cost much.
        count.check()?;
        insert(tree, &steps, &name, Node::Text(value))?;
    }
    Ok(())
}

/// Undoes `+` and `%20`. Raw UTF-8 is taken as it is.
fn decoded(text: &str) -> Result<String, ApiError> {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let is_escape = byte != b'%'
            || (rest.next().is_some_and(|byte| byte.is_ascii_hexdigit())
                && rest.next().is_some_and(|byte| byte.is_ascii_hexdigit()));
        if !is_escape {
            return Err(unreadable("a percent sign is not followed by two hexadecimal digits"));
        }
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| unreadable("it is not UTF-8"))?;
    Ok(decoded.into_owned())
}

/// `a[b][]` as `a`, `b`, and the empty step that appends to a list. `a[0]` is a name within `a`: whether that is a list is for
/// whoever knows what `a` holds.
fn steps(name: &str) -> Result<Vec<&str>, ApiError> {
    let wrong = || ApiError::param("invalid_param_key", name, "The name of a parameter cannot be read.");
    let Some((first, rest)) = name.split_once('[') else {
        return Ok(vec![name]);
    };
    let inner = rest.strip_suffix(']').ok_or_else(wrong)?;
    let mut steps = vec![first];
    steps.extend(inner.split("]["));
    let is_right = !first.is_empty() && steps.iter().all(|step| !step.contains(['[', ']']));
    if is_right && steps.len() <= DEPTH_MAX { Ok(steps) } else { Err(wrong()) }
}

fn insert(tree: &mut Tree, steps: &[&str], name: &str, node: Node) -> Result<(), ApiError> {
    let twice = || {
        ApiError::param("invalid_param_key", name, format!("The parameter {name} was sent more than once."))
    };
    let Some((first, rest)) = steps.split_first() else {
        return Err(twice());
    };
    let place = tree.iter_mut().find(|entry| entry.0 == *first).map(|entry| &mut entry.1);
    match (rest, place) {
        ([], None) => tree.push(((*first).to_owned(), node)),
        ([""], Some(Node::List(items))) => items.push(node),
        ([""], None) => tree.push(((*first).to_owned(), Node::List(vec![node]))),
        (rest, Some(Node::Map(inner))) if !rest.is_empty() && *rest != [""] => {
            insert(inner, rest, name, node)?
        }
        (rest, None) => {
            let mut inner = Tree::new();
            insert(&mut inner, rest, name, node)?;
            tree.push(((*first).to_owned(), Node::Map(inner)));
        }
        (_, Some(_)) => return Err(twice()),
    }
    Ok(())
}

fn json(body: &[u8], tree: &mut Tree, count: &mut Count) -> Result<(), ApiError> {
    let node: Node = serde_json::from_slice(body).map_err(|error| match error.classify() {
        // It is JSON, and more than is read.
        Category::Data => unreadable(&error.to_string()),
        Category::Io | Category::Syntax | Category::Eof => {
            unreadable(&format!("the JSON is malformed ({error})"))
        }
    })?;
    let Node::Map(object) = node else {
        return Err(unreadable("the JSON must be an object"));
    };
    measure(&object, 1, count)?;
    for (name, node) in object {
        if tree.iter().any(|entry| entry.0 == name) {
            return Err(unreadable("a name stands in the query and in the body"));
        }
        tree.push((name, node));
    }
    Ok(())
}

/// Error: too many names, or too deep.
fn measure(map: &Tree, depth: usize, count: &mut Count) -> Result<(), ApiError> {
    count.names += map.len();
    count.check()?;
    if depth > DEPTH_MAX {
        return Err(unreadable(&format!("it is nested more than {DEPTH_MAX} deep")));
    }
    map.iter().try_for_each(|(_, node)| match node {
        Node::Map(inner) => measure(inner, depth + 1, count),
        Node::List(items) => {
            count.items += items.len();
            count.check()?;
            items.iter().try_for_each(|item| match item {
                Node::Text(_) | Node::Null => Ok(()),
                Node::Map(_) | Node::List(_) => Err(unreadable("a list holds more than texts")),
            })
        }
        Node::Text(_) | Node::Null => Ok(()),
    })
}

/// Reads JSON as a tree. A name that stands twice is an error, as in a form.
struct Reader;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        // With a point, so that it is nowhere taken for a whole number.
        Ok(Node::Text(format!("{value:?}")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == ITEMS_MAX {
                return Err(de::Error::custom(format!("a list has more than {ITEMS_MAX} values")));
            }
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut tree = Tree::new();
        while let Some((name, node)) = entries.next_entry::<String, Node>()? {
            // Before names are compared with each other: what comes has no key yet, and must not cost much.
            if tree.len() == NAMES_MAX {
                return Err(de::Error::custom(format!("there are more than {NAMES_MAX} names")));
            }
            if tree.iter().any(|entry| entry.0 == name) {
                return Err(de::Error::custom("a name stands twice"));
            }
            tree.push((name, node));
        }
        Ok(Node::Map(tree))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[track_caller]
    fn check(query: &str, body: &str) -> Tree {
        read(Some(query), MediaType::Form, body.as_bytes()).expect("it reads")
    }

    #[test]
    fn brackets_and_spaces_read_the_same_in_every_spelling() {
        let expected = vec![("metadata".to_owned(), Node::Map(vec![("a b".to_owned(), text("c d"))]))];
        for body in [
            "metadata[a b]=c d",
            "metadata%5Ba+b%5D=c+d",
            "metadata%5Ba%20b%5D=c%20d",
            "metadata[a%20b]=c%20d",
        ] {
            assert_eq!(check("", body), expected, "{body}");
        }
        assert_eq!(
            check("", "metadata[鍵]=値"),
            [("metadata".to_owned(), Node::Map(vec![("鍵".to_owned(), text("値"))]))]
        );
    }

    #[test]
    fn query_and_body_are_one() {
        assert_eq!(check("prorate=True", ""), [("prorate".to_owned(), text("True"))]);
        assert_eq!(check("", "prorate=true"), [("prorate".to_owned(), text("true"))]);
        assert_eq!(check("a=", "b"), [("a".to_owned(), text("")), ("b".to_owned(), text(""))]);
        assert_eq!(check("", "a[]=1&a[]=2"), [("a".to_owned(), Node::List(vec![text("1"), text("2")]))]);
    }

    #[test]
    fn json_reads_as_a_form_does() {
        let body = br#"{"amount": 50, "capture": false, "metadata": {"a": "b"}, "card": null}"#;
        let tree = read(None, MediaType::Json, body).expect("it reads");
        assert_eq!(
            tree,
            [
                ("amount".to_owned(), text("50")),
                ("capture".to_owned(), text("false")),
                ("metadata".to_owned(), Node::Map(vec![("a".to_owned(), text("b"))])),
                ("card".to_owned(), Node::Null),
            ]
        );
        assert_eq!(read(None, MediaType::Json, b" \r\n\t").expect("it reads"), []);
        assert!(read(None, MediaType::Json, b"\x0c").is_err(), "a form feed is no white space of JSON");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (query, body) in [
            ("", "a=%"),
            ("", "a=%4"),
            ("", "a=%zz"),
            ("", "a=%ff"),
            ("", "a=1&a=2"),
            ("a=1", "a=2"),
            ("", "a[b=1"),
            ("", "[a]=1"),
            ("", "a[b][c][d]=1"),
            ("", "a=1&a[b]=2"),
            ("", "a[b]=1&a[]=2"),
        ] {
            assert!(read(Some(query), MediaType::Form, body.as_bytes()).is_err(), "{query} {body}");
        }
        for body in ["[1]", "{", "1", r#"{"a": {"b": {"c": {"d": 1}}}}"#] {
            assert!(read(None, MediaType::Json, body.as_bytes()).is_err(), "{body}");
        }
        for (body, why) in [("{", "malformed"), (r#"{"a": 1, "a": 2}"#, "a name stands twice")] {
            let error = read(None, MediaType::Json, body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(why) && (why == "malformed" || !error.contains("malformed")), "{error}");
        }
        let many: Vec<String> = (0..=NAMES_MAX).map(|number| format!("a{number}=1")).collect();
        assert!(read(None, MediaType::Form, many.join("&").as_bytes()).is_err());
        assert!(read(None, MediaType::Form, b"a=\xff").is_err());
    }
}
