//! Transfers, terms, statements and balances over HTTP: empty, in PAY.JP's manners, until payouts exist.

use schemars::JsonSchema;
use serde::Serialize;

use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// An object of a type of which there is none yet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Payout {}

const OWNER: Param = Param::choice("owner", &["merchant", "tenant"], "invalid_owner_type", "Whose.");
const TENANT: Param = Param::id("tenant", "Of a platform.");
const PLATFORMER: Param = Param::bool("platformer", "Of a platform.");

macro_rules! empty_list {
    ($name:ident, $object:literal, $url:literal, [$($param:expr),* $(,)?]) => {
        #[doc = concat!("GET ", $url)]
        pub static $name: Operation = Operation {
            access: Access::Read,
            object: $object,
            summary: concat!("Lists objects of the type ", $object, ": none until payouts exist."),
            params: &[LIMIT, OFFSET, STARTING_AFTER, $($param),*],
            answer: Shape::list::<Payout>(),
            run: |call| Box::pin(empty(call, $object, $url)),
        };
    };
}

empty_list!(
    TRANSFERS,
    "transfer",
    "/v1/transfers",
    [
        SINCE,
        UNTIL,
        Param::choice(
            "status",
            &["pending", "paid", "failed", "stop", "carried_over", "recombination"],
            "invalid_status",
            "Only those that stand so.",
        ),
        Param::instant("since_scheduled_date", "Planned at this time or later."),
        Param::instant("until_scheduled_date", "Planned at this time or before."),
        Param::instant("since_sheduled_date", "The same, as one SDK writes it."),
        Param::instant("until_sheduled_date", "The same, as one SDK writes it."),
    ]
);
empty_list!(
    TERMS,
    "term",
    "/v1/terms",
    [
        SINCE,
        UNTIL,
        Param::instant("since_start_at", "Begun at this time or later."),
        Param::instant("until_start_at", "Begun at this time or before."),
    ]
);
empty_list!(
    STATEMENTS,
    "statement",
    "/v1/statements",
    [
        SINCE,
        UNTIL,
        OWNER,
        TENANT,
        Param::id("source_transfer", "Of this transfer."),
        Param::id("term", "Of this term."),
        Param::choice(
            "type",
            &["sales", "service_fee", "forfeit", "transfer_fee", "misc"],
            "invalid_type",
            "Only those of this kind.",
        ),
    ]
);
empty_list!(
    BALANCES,
    "balance",
    "/v1/balances",
    [
        SINCE,
        UNTIL,
        OWNER,
        TENANT,
        Param::instant("since_due_date", "Due at this time or later."),
        Param::instant("until_due_date", "Due at this time or before."),
        Param::choice(
            "state",
            &["collecting", "transfer", "claim"],
            "invalid_state",
            "Only those that stand so."
        ),
        Param::bool("closed", "Only those that are closed, or not."),
    ]
);

async fn empty(call: Call, object: &str, url: &'static str) -> Result<Answer, ApiError> {
    Page::of(&call.params)?.last_seen(|id| Err::<(), _>(ApiError::not_found(object, id)))?;
    Answer::json(&List::<Payout>::empty(url))
}

macro_rules! none {
    ($name:ident, $access:ident, $object:literal, [$($param:expr),* $(,)?]) => {
        #[doc = concat!("One object of the type ", $object, ", and what is below it.")]
        pub static $name: Operation = Operation {
            access: Access::$access,
            object: $object,
            summary: "There is none until payouts exist.",
            params: &[$($param),*],
            answer: Shape::never(),
            run: |call| Box::pin(none(call, $object)),
        };
    };
}

none!(TRANSFER, Read, "transfer", []);
none!(
    CHARGES_OF_TRANSFER,
    Read,
    "transfer",
    [LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER, Param::id("customer", "Only those of this customer.")]
);
none!(TERM, Read, "term", []);
none!(STATEMENT, Read, "statement", []);
none!(URL_OF_STATEMENT, Write, "statement", [PLATFORMER]);
none!(BALANCE, Read, "balance", []);
none!(URL_OF_BALANCE, Write, "balance", [PLATFORMER]);

async fn none(call: Call, object: &'static str) -> Result<Answer, ApiError> {
    Err(ApiError::not_found(object, call.id(0)))
}
