//! The file of subscribers: rows to running subscriptions, each checked for itself and against the rows
//! before it.
//!
//! Does not look at plans or into the database; that is [`super::check`].

use std::collections::HashMap;

use billing::id::Slot;
use billing::mode::Mode;
use jiff::civil::Date;
use serde::Serialize;

use super::field::{self, Refusal};
use super::problem::{Place, Problems, Source, shown};
use super::record::{self, Row};

/// The columns, in the order of the documentation.
pub(super) const COLUMNS: &[&str] = &[
    "customer_id",
    "name",
    "email",
    "plan_id",
    "billing_anchor",
    "next_charge_on",
    "remaining_charges",
    "valid_until",
    "gateway",
    "payment_token",
    "card_brand",
    "card_last4",
    "card_exp",
];

/// The only gateway that an import may name.
pub(super) const GATEWAY: &str = "sandbox";

/// What makes a row the same row in another file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) customer_id: String,
    pub(super) plan_id: String,
    pub(super) billing_anchor: Date,
}

/// One row of the file.
#[derive(Clone, Debug)]
pub(super) enum Parsed {
    /// Right in itself.
    Whole(Subscriber),
    /// Refused; the rest of it is still checked, so that all errors are reported together.
    Refused(Readable),
}

/// What could be read of a row. What could not is `None` and has been reported.
#[derive(Clone, Debug, Default)]
pub(super) struct Readable {
    pub(super) line: u64,
    pub(super) customer_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) plan_id: Option<String>,
    pub(super) billing_anchor: Option<Date>,
    pub(super) next_charge_on: Option<Date>,
    pub(super) remaining: Option<Option<u32>>,
}

/// The same, borrowed from any row.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) line: u64,
    pub(super) customer_id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) email: Option<&'a str>,
    pub(super) plan_id: Option<&'a str>,
    pub(super) billing_anchor: Option<Date>,
    pub(super) next_charge_on: Option<Date>,
    pub(super) remaining: Option<Option<u32>>,
}

impl Parsed {
    pub(super) fn view(&self) -> View<'_> {
        match self {
            Self::Whole(row) => View {
                line: row.line,
                customer_id: Some(&row.identity.customer_id),
                name: Some(&row.name),
                email: Some(&row.email),
                plan_id: Some(&row.identity.plan_id),
                billing_anchor: Some(row.identity.billing_anchor),
                next_charge_on: Some(row.next_charge_on),
                remaining: Some(row.remaining),
            },
            Self::Refused(row) => View {
                line: row.line,
                customer_id: row.customer_id.as_deref(),
                name: row.name.as_deref(),
                email: row.email.as_deref(),
                plan_id: row.plan_id.as_deref(),
                billing_anchor: row.billing_anchor,
                next_charge_on: row.next_charge_on,
                remaining: row.remaining,
            },
        }
    }
}

impl View<'_> {
    /// What the row is known by, if all of it could be read.
    pub(super) fn identity(&self) -> Option<Identity> {
        Some(Identity {
            customer_id: self.customer_id?.to_owned(),
            plan_id: self.plan_id?.to_owned(),
            billing_anchor: self.billing_anchor?,
        })
    }
}

/// One running subscription.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    pub(super) line: u64,
    pub(super) identity: Identity,
    /// Of the customer.
    pub(super) slot: Slot,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) next_charge_on: Date,
    /// Invoices still to issue; as given.
    pub(super) remaining: Option<u32>,
    pub(super) valid_until: Option<Date>,
    pub(super) payment_token: String,
    pub(super) card_brand: String,
    pub(super) card_last4: String,
    /// The last day on which the card is good.
    pub(super) card_expires_on: Option<Date>,
    /// The row as JSON, by column.
    pub(super) fields: String,
}

/// The row as it is kept, to be compared with later files. Persisted; only ever add fields, empty by default.
#[derive(Serialize)]
struct Fields<'a> {
    customer_id: &'a str,
    name: &'a str,
    email: &'a str,
    plan_id: &'a str,
    billing_anchor: String,
    next_charge_on: String,
    remaining_charges: String,
    valid_until: String,
    gateway: &'a str,
    payment_token: &'a str,
    card_brand: &'a str,
    card_last4: &'a str,
    card_exp: String,
}

/// Reads the file for the side `mode` of the account.
pub(super) fn read(text: String, mode: Mode, problems: &mut Problems) -> Vec<Parsed> {
    let rows = record::read(text, Source::Subscribers, COLUMNS, problems, |row| Some(parse(row, mode)));
    let rows = rows.map(|rows| rows.read).unwrap_or_default();
    refuse_repeats(&rows, problems);
    refuse_split_customers(&rows, problems);
    rows
}

/// A row, with all of its own problems reported.
fn parse(row: &mut Row<'_>, mode: Mode) -> Parsed {
    let readable = Readable {
        line: row.line,
        customer_id: row.read("customer_id", field::id),
        name: row.read("name", field::name),
        email: row.read("email", field::email),
        plan_id: row.read("plan_id", field::id),
        billing_anchor: row.read("billing_anchor", field::date),
        next_charge_on: row.read("next_charge_on", field::date),
        remaining: row.read("remaining_charges", |value| {
            field::optional(value, |value| field::count(value, 1, billing::plan::INSTALMENTS_MAX))
        }),
    };
    let valid_until = row.read("valid_until", |value| field::optional(value, field::date));
    let gateway = row.read("gateway", |value| gateway(value, mode));
    let card = Card {
        payment_token: row.read("payment_token", field::token),
        brand: row.read("card_brand", field::brand),
        last4: row.read("card_last4", field::last4),
        expires_on: row.read("card_exp", field::card_exp),
    };
    match whole(&readable, valid_until.filter(|_| gateway.is_some()), card) {
        Some(subscriber) => Parsed::Whole(subscriber),
        None => Parsed::Refused(readable),
    }
}

/// The columns of the way to pay; what could not be read is `None`.
struct Card {
    payment_token: Option<String>,
    brand: Option<String>,
    last4: Option<String>,
    expires_on: Option<Option<Date>>,
}

/// The subscription of a row of which everything could be read.
fn whole(row: &Readable, valid_until: Option<Option<Date>>, card: Card) -> Option<Subscriber> {
    let row = row.clone();
    let customer_id = row.customer_id?;
    let mut subscriber = Subscriber {
        line: row.line,
        slot: Slot::of_key(&customer_id),
        identity: Identity { customer_id, plan_id: row.plan_id?, billing_anchor: row.billing_anchor? },
        name: row.name?,
        email: row.email?,
        next_charge_on: row.next_charge_on?,
        remaining: row.remaining?,
        valid_until: valid_until?,
        payment_token: card.payment_token?,
        card_brand: card.brand?,
        card_last4: card.last4?,
        card_expires_on: card.expires_on?,
        fields: String::new(),
    };
    subscriber.fields = fields(&subscriber);
    Some(subscriber)
}

fn gateway(value: &str, mode: Mode) -> Result<(), Refusal> {
    match (field::word(value)?.as_str(), mode) {
        (GATEWAY, Mode::Test) => Ok(()),
        (GATEWAY, Mode::Live) => Err(format!("{GATEWAY} moves no money, so it is for --mode test only")),
        (other, Mode::Test | Mode::Live) => Err(format!("must be {GATEWAY}, not {}", shown(other))),
    }
}

fn fields(subscriber: &Subscriber) -> String {
    let text = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    let fields = Fields {
        customer_id: &subscriber.identity.customer_id,
        name: &subscriber.name,
        email: &subscriber.email,
        plan_id: &subscriber.identity.plan_id,
        billing_anchor: subscriber.identity.billing_anchor.to_string(),
        next_charge_on: subscriber.next_charge_on.to_string(),
        remaining_charges: subscriber.remaining.map(|count| count.to_string()).unwrap_or_default(),
        valid_until: text(subscriber.valid_until),
        gateway: GATEWAY,
        payment_token: &subscriber.payment_token,
        card_brand: &subscriber.card_brand,
        card_last4: &subscriber.card_last4,
        card_exp: subscriber.card_expires_on.map(|on| on.strftime("%Y-%m").to_string()).unwrap_or_default(),
    };
    serde_json::to_string(&fields).expect("a struct of texts is always JSON")
}

/// The same identity twice is an error on the later line.
fn refuse_repeats(rows: &[Parsed], problems: &mut Problems) {
    let mut first_lines: HashMap<Identity, u64> = HashMap::with_capacity(rows.len());
    for view in rows.iter().map(Parsed::view) {
        let Some(identity) = view.identity() else { continue };
        match first_lines.get(&identity) {
            Some(first) => {
                let text = format!(
                    "customer {}, plan {} and billing_anchor {} are on line {first} already; a row is there once",
                    shown(&identity.customer_id),
                    shown(&identity.plan_id),
                    identity.billing_anchor,
                );
                problems.add(Place::column(Source::Subscribers, view.line, "customer_id"), text);
            }
            None => {
                first_lines.insert(identity, view.line);
            }
        }
    }
}

/// Rows of one customer have one name and one address.
fn refuse_split_customers(rows: &[Parsed], problems: &mut Problems) {
    let mut first_rows: HashMap<&str, View<'_>> = HashMap::with_capacity(rows.len());
    for view in rows.iter().map(Parsed::view) {
        let Some(customer_id) = view.customer_id else {
            continue;
        };
        let first = *first_rows.entry(customer_id).or_insert(view);
        for (column, here, there) in [("name", view.name, first.name), ("email", view.email, first.email)] {
            if let (Some(here), Some(there)) = (here, there)
                && here != there
            {
                let text = format!(
                    "{} here, but {} on line {} for the same customer {}",
                    shown(here),
                    shown(there),
                    first.line,
                    shown(customer_id),
                );
                problems.add(Place::column(Source::Subscribers, view.line, column), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::problem::Files;

    const ROW: [&str; 13] = [
        "c1",
        "山田",
        "a@example.com",
        "basic",
        "2026-01-31",
        "2027-01-31",
        "",
        "",
        "sandbox",
        "sbx_ok.c1",
        "Visa",
        "4242",
        "2030-08",
    ];

    fn check(rows: &str) -> (Vec<String>, String) {
        let mut problems = Problems::default();
        let rows = read(format!("{}\n{rows}", COLUMNS.join(",")), Mode::Test, &mut problems);
        let files = Files { plans: "p.csv".into(), subscribers: "subscribers.csv".into() };
        let wrong = problems.check(&files).map_or_else(|failure| failure.message, |()| String::new());
        let wrong = wrong.split_once('\n').map_or(String::new(), |(_, list)| list.to_owned());
        let whole = rows.into_iter().filter_map(|row| match row {
            Parsed::Whole(row) => Some(row.fields),
            Parsed::Refused(_) => None,
        });
        (whole.collect(), wrong)
    }

    fn row_with(changes: &[(&str, &str)]) -> String {
        let mut row = ROW.map(str::to_owned);
        for (column, value) in changes {
            let place = COLUMNS.iter().position(|name| name == column).expect("a column");
            row[place] = (*value).to_owned();
        }
        row.join(",") + "\n"
    }

    #[test]
    fn a_row_is_kept_as_normalised_json() {
        let plain = row_with(&[]);
        let dressed = row_with(&[
            ("customer_id", " ｃ１　"),
            ("next_charge_on", "２０２７/1/31"),
            ("gateway", "Sandbox"),
            ("card_last4", "４２４２"),
            ("card_exp", "2030/8"),
        ]);
        let (rows, wrong) = check(&plain);
        assert_eq!(wrong, "");
        // Persisted: this text must never change.
        assert_eq!(
            rows,
            [
                r#"{"customer_id":"c1","name":"山田","email":"a@example.com","plan_id":"basic","billing_anchor":"2026-01-31","next_charge_on":"2027-01-31","remaining_charges":"","valid_until":"","gateway":"sandbox","payment_token":"sbx_ok.c1","card_brand":"Visa","card_last4":"4242","card_exp":"2030-08"}"#
            ]
        );
        assert_eq!(check(&dressed), (rows, String::new()));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let table = [
            ("customer_id", "a b", "a b has a space inside; an id has none"),
            ("name", "", "is empty"),
            ("email", "a", "a is not a mail address; write it as name@example.com"),
            ("plan_id", "", "is empty"),
            ("billing_anchor", "2026-02-29", "2026-02-29 is not a date; write it as 2026-02-28"),
            ("next_charge_on", "2027-02-30", "2027-02-30 is not a date; write it as 2027-02-28"),
            ("remaining_charges", "0", "must be 1 to 1200, not 0"),
            ("remaining_charges", "many", "many is not a whole number; write digits only, for example 3980"),
            ("valid_until", "soon", "soon is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            ("gateway", "stripe", "must be sandbox, not stripe"),
            ("gateway", "", "is empty"),
            ("payment_token", "", "is empty"),
            (
                "card_brand",
                "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
                "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv has 51 characters; at most 50 fit",
            ),
            ("card_exp", "08/30", "08/30 is not a month; write it as YYYY-MM, for example 2030-08"),
        ];
        for (column, value, expected) in table {
            let (rows, wrong) = check(&row_with(&[(column, value)]));
            assert_eq!(wrong, format!("subscribers.csv:2: {column}: {expected}"));
            assert_eq!(rows.len(), 0);
        }
    }

    #[test]
    fn a_customer_may_have_several_rows_with_one_name_and_address() {
        let second = row_with(&[("plan_id", "pro")]);
        assert_eq!(check(&(row_with(&[]) + &second)).1, "");
        let other = row_with(&[("plan_id", "pro"), ("name", "山本"), ("email", "b@example.com")]);
        assert_eq!(
            check(&(row_with(&[]) + &other)).1,
            "subscribers.csv:3: name: 山本 here, but 山田 on line 2 for the same customer c1\n\
             subscribers.csv:3: email: b@example.com here, but a@example.com on line 2 for the same customer c1"
        );
    }

    #[test]
    fn a_row_is_there_once() {
        let again = row_with(&[("card_last4", "0005")]);
        assert_eq!(
            check(&format!("{}\n{again}", row_with(&[]))).1,
            "subscribers.csv:4: customer_id: customer c1, plan basic and billing_anchor 2026-01-31 are on line 2 already; a row is there once"
        );
    }
}
