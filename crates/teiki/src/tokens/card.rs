//! Reading the card of a new token: the number of a test card, or a token of the sandbox.
//!
//! Pure. A number leaves this file only as its last four digits, its brand and a keyed hash.

use std::collections::BTreeMap;

use billing::id::{AccountId, DerivationKey};
use jiff::civil::Date;

use crate::payment_methods::test_cards::{self, Outcome};
use crate::payment_methods::{Details, is_valid_on};
use crate::web::ApiError;

/// What of a card is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What the sandbox is to be charged with, without the part that makes it unique.
    pub rule: String,
    /// As PAY.JP spells it.
    pub brand: String,
    /// Last four digits.
    pub last4: String,
    /// `2030-12`.
    pub expires_on: String,
    /// The same for the same number, within an account.
    pub fingerprint: String,
    /// What else it shows.
    pub details: Details,
}

/// The card of `card[number]=…` in test mode on the day `today`. Errors: 402 with PAY.JP's codes.
pub fn of_number(
    (key, account): (&DerivationKey, AccountId),
    fields: &BTreeMap<&'static str, String>,
    today: Date,
) -> Result<Card, ApiError> {
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let number: String =
        field("number").unwrap_or_default().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let known = test_cards::outcome(&number);
    if known.is_none() && !test_cards::is_luhn(&number) {
        return Err(ApiError::card("invalid_number", "Invalid card number").about_param("card[number]"));
    }
    let (month, year) = (month(field("exp_month"))?, year(field("exp_year"))?);
    if !is_valid_on((year, month), today) {
        return Err(ApiError::card("expired_card", "Card expired").about_param("card[exp_year]"));
    }
    let cvc = field("cvc");
    if cvc.is_some_and(|cvc| !(3..=4).contains(&cvc.len()) || !is_digits(cvc)) {
        return Err(ApiError::card("invalid_cvc", "Invalid security code").about_param("card[cvc]"));
    }
    let Some(outcome) = known else {
        let message = "In test mode only the test card numbers work";
        return Err(ApiError::card("incorrect_card_data", message).about_param("card[number]"));
    };
    let rule = match outcome {
        Outcome::Refused(code) => return Err(ApiError::card(code, refusal(code)).about_param("card[number]")),
        Outcome::Card { rule, .. } => rule,
    };
    Ok(Card {
        rule: until_expiry(rule, (year, month)),
        brand: test_cards::brand(&number).to_owned(),
        last4: number[number.len() - 4..].to_owned(),
        expires_on: format!("{year:04}-{month:02}"),
        fingerprint: fingerprint(key, account, &number),
        details: test_cards::checks(outcome, cvc.is_some(), details(fields)),
    })
}

/// Every card is what its number says until its month is over.
fn until_expiry(rule: &str, (year, month): (i64, i64)) -> String {
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    format!("{rule}_expires_{year:04}{month:02}01")
}

/// The card that stands for a token of the sandbox, so that every outcome can be rehearsed.
pub fn of_sandbox_token(
    (key, account): (&DerivationKey, AccountId),
    token: &str,
    today: Date,
) -> Result<Card, ApiError> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_plain || token.len() > 100 || !sandbox::is_token(token) {
        let message = "Invalid sandbox_token: it has the form sbx_…, without a dot; see docs/sandbox.md.";
        return Err(ApiError::param("invalid_card", "sandbox_token", message));
    }
    Ok(Card {
        rule: token.to_owned(),
        brand: "Visa".to_owned(),
        last4: "4242".to_owned(),
        expires_on: format!("{:04}-12", today.year().saturating_add(50).min(9_998)),
        fingerprint: fingerprint(key, account, token),
        details: test_cards::checks(
            test_cards::outcome("4242424242424242").unwrap_or(Outcome::Refused("card_declined")),
            true,
            Details::default(),
        ),
    })
}

/// What a refusal at token creation says.
pub fn refusal(code: &str) -> &'static str {
    match code {
        "expired_card" => "Card expired",
        "incorrect_card_data" => "Incorrect card data",
        "processing_error" => "Processing error",
        "unacceptable_brand" => "This card brand is not accepted",
        _ => "Card declined",
    }
}

/// Nothing that only reads as a number, as `+5` does.
fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn month(text: Option<&str>) -> Result<i64, ApiError> {
    text.filter(|text| text.len() <= 2 && is_digits(text))
        .and_then(|text| text.parse().ok())
        .filter(|month| (1..=12).contains(month))
        .ok_or_else(|| {
            ApiError::card("invalid_expiry_month", "Invalid expiry month").about_param("card[exp_month]")
        })
}

fn year(text: Option<&str>) -> Result<i64, ApiError> {
    text.filter(|text| text.len() == 4 && is_digits(text))
        .and_then(|text| text.parse().ok())
        .filter(|year| (1_000..=9_998).contains(year))
        .ok_or_else(|| {
            ApiError::card("invalid_expiry_year", "Invalid expiry year").about_param("card[exp_year]")
        })
}

/// 32 hexadecimal digits from which nobody without the installation's key can find the number.
fn fingerprint(key: &DerivationKey, account: AccountId, number: &str) -> String {
    hex::encode(&key.digest(&[b"card", account.as_str().as_bytes(), number.as_bytes()])[..16])
}

/// What a card shows of what was sent with it.
pub fn details(fields: &BTreeMap<&'static str, String>) -> Details {
    let field = |name: &str| fields.get(name).cloned().filter(|text| !text.is_empty());
    Details {
        name: field("name"),
        country: field("country"),
        address_zip: field("address_zip"),
        address_state: field("address_state"),
        address_city: field("address_city"),
        address_line1: field("address_line1"),
        address_line2: field("address_line2"),
        email: field("email"),
        phone: field("phone"),
        ..Details::default()
    }
}
