//! No card number comes in: every text of a request is looked at before anything is done with it.
//!
//! Here is the only place that looks, and every request passes it: names and values of query and body, the variable parts
//! of the address, the `Idempotency-Key`. What is refused is neither stored nor logged, and the answer names its place and
//! not the number ([`ApiError`] masks whatever else it repeats). One place takes a number, in test mode: `card[number]` of
//! an operation that has it, which keeps nothing of it (`tokens/card.rs`).
//!
//! Numbers are looked at as the texts they come as: no amount and no time that is taken is as long as a card number.

use super::body::{Node, Tree};
use super::error::ApiError;
use super::params::{Kind, Param};
use crate::card_number;

/// Whether an operation takes a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nowhere.
    Nowhere,
    /// As `card[number]`.
    InCard,
}

/// The name of the one parameter that takes a card number.
const CARD_NUMBER: (&str, &str) = ("card", "number");

impl Taken {
    /// By what the operation takes, in test mode.
    pub fn by(params: &[Param]) -> Self {
        let (card, number) = CARD_NUMBER;
        let takes = |param: &Param| match param.kind {
            Kind::Texts(members) => param.name == card && members.iter().any(|member| member.name == number),
            Kind::Text(_)
            | Kind::Id
            | Kind::Int(..)
            | Kind::Bool
            | Kind::Choice(_)
            | Kind::InstantOrNow
            | Kind::Instant
            | Kind::Metadata
            | Kind::List(..) => false,
        };
        if params.iter().any(takes) { Self::InCard } else { Self::Nowhere }
    }
}

/// Error (400): `text`, which was sent as `place`, has a card number in it.
pub fn refuse(place: &str, text: &str) -> Result<(), ApiError> {
    if !card_number::is_in(text) {
        return Ok(());
    }
    let message = format!(
        "{place} holds what looks like a card number. Card numbers are not accepted here; nothing was stored. \
         If it is none, put a letter right before its digits."
    );
    Err(ApiError::param("card_number_refused", place, message))
}

/// Error (400): a name or a value in `tree` has a card number in it.
pub fn refuse_in(tree: &Tree, taken: Taken) -> Result<(), ApiError> {
    tree.iter().try_for_each(|(name, node)| {
        refuse(name, name)?;
        match node {
            Node::Map(members) if name == CARD_NUMBER.0 && taken == Taken::InCard => {
                let others = members.iter().filter(|(member, _)| member != CARD_NUMBER.1);
                others.into_iter().try_for_each(|(member, node)| refuse_member(name, member, node))
            }
            Node::Text(_) | Node::Map(_) | Node::List(_) | Node::Null => refuse_node(name, node),
        }
    })
}

fn refuse_node(name: &str, node: &Node) -> Result<(), ApiError> {
    match node {
        Node::Text(text) => refuse(name, text),
        Node::List(items) => items.iter().try_for_each(|item| refuse_node(&format!("{name}[]"), item)),
        Node::Map(members) => members.iter().try_for_each(|(member, node)| refuse_member(name, member, node)),
        Node::Null => Ok(()),
    }
}

fn refuse_member(name: &str, member: &str, node: &Node) -> Result<(), ApiError> {
    let full = format!("{name}[{member}]");
    refuse(&full, member)?;
    refuse_node(&full, node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;
    use crate::web::body::{MediaType, read};

    const NUMBER: &str = "4111111111111111";

    /// The parameter that is refused in a form.
    fn refused(form: &str, taken: Taken) -> Option<String> {
        let tree = read(None, MediaType::Form, form.as_bytes()).expect("it reads");
        let error = refuse_in(&tree, taken).err()?.body();
        assert!(!error.to_string().contains(NUMBER), "{error}");
        error["error"]["param"].as_str().map(str::to_owned)
    }

    #[test]
    fn a_card_number_is_refused_in_every_place_but_one() {
        for (form, place) in [
            ("name=4111111111111111", "name"),
            ("description=a+4111+1111-1111+1111+b", "description"),
            ("card=4111111111111111", "card"),
            ("metadata[a]=4111111111111111", "metadata[a]"),
            ("metadata[4111111111111111]=a", "metadata[************1111]"),
            ("exclude[]=a&exclude[]=4111111111111111", "exclude[]"),
            ("4111111111111111=a", "************1111"),
            ("card[name]=4111111111111111", "card[name]"),
            ("a[b][c]=4111111111111111", "a[b][c]"),
        ] {
            for taken in [Taken::Nowhere, Taken::InCard] {
                assert_eq!(refused(form, taken).as_deref(), Some(place), "{form}");
            }
        }
        let number = "card[number]=4111111111111111&card[name]=TARO";
        assert_eq!(refused(number, Taken::Nowhere).as_deref(), Some("card[number]"));
        assert_eq!(refused(number, Taken::InCard), None);
        assert_eq!(
            refused("name=o4111111111111111&amount=100&metadata[a]=1767225600000", Taken::Nowhere),
            None
        );
    }

    #[test]
    fn only_the_making_of_a_token_takes_a_number() {
        let taking = ROUTES.iter().filter(|route| Taken::by(route.operation.params) == Taken::InCard);
        assert_eq!(taking.map(|route| route.path).collect::<Vec<_>>(), ["/v1/tokens"]);
    }
}
