//! The numbers that work in test mode, and what each leads to (specs/payjp-v1.md 4).
//!
//! Decides brand, checks and the sandbox's rule from a number; keeps nothing of it. No other number works, so that nobody
//! types a real one here. In live mode no number is taken at all.

use super::Details;
use crate::card_number;

/// What a number leads to when a token is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No token: this code.
    Refused(&'static str),
    /// A token. Payments with it follow this rule of the sandbox.
    Card {
        /// The beginning of the sandbox's token.
        rule: &'static str,
        /// Said of the security code, when one is given.
        cvc_check: &'static str,
        /// Said of the postal code.
        zip_check: &'static str,
        /// Whether the issuer is in Japan.
        is_jp: bool,
    },
}

const OK: &str = "sbx_ok";
const GOOD: Outcome = card(OK);

const fn card(rule: &'static str) -> Outcome {
    Outcome::Card { rule, cvc_check: "passed", zip_check: "unchecked", is_jp: true }
}

const fn cvc(cvc_check: &'static str) -> Outcome {
    Outcome::Card { rule: OK, cvc_check, zip_check: "unchecked", is_jp: true }
}

const ZIP_FAILED: Outcome = Outcome::Card { rule: OK, cvc_check: "passed", zip_check: "failed", is_jp: true };
const FOREIGN: Outcome =
    Outcome::Card { rule: OK, cvc_check: "passed", zip_check: "unchecked", is_jp: false };

/// Numbers and outcomes. The last three are those of 2019, which the SDKs' own tests still use.
const NUMBERS: [(&str, Outcome); 29] = [
    ("4242424242424242", GOOD),
    ("4012888888881881", GOOD),
    ("5555555555554444", GOOD),
    ("5105105105105100", GOOD),
    ("3530111333300000", GOOD),
    ("3566002020360505", GOOD),
    ("378282246310005", GOOD),
    ("371449635398431", GOOD),
    ("38520000023237", GOOD),
    ("30569309025904", GOOD),
    ("6011111111111117", GOOD),
    ("6011000990139424", GOOD),
    ("4000000900000003", FOREIGN),
    ("4000000000000002", Outcome::Refused("card_declined")),
    ("4000000000000069", Outcome::Refused("expired_card")),
    ("4000000000000127", Outcome::Refused("incorrect_card_data")),
    ("4000000000000119", Outcome::Refused("processing_error")),
    ("4000003720000278", Outcome::Refused("incorrect_card_data")),
    ("36227206271667", Outcome::Refused("unacceptable_brand")),
    ("4000000000080319", card("sbx_decline_card_declined")),
    ("4000000000004012", card("sbx_decline_expired_card")),
    ("4000000000080202", card("sbx_decline_card_declined_over_10000")),
    ("4000000000000077", card("sbx_decline_incorrect_card_data")),
    // Said to be failed until 2026-05-11.
    ("4000000000000036", GOOD),
    ("4000000000000101", cvc("failed")),
    ("4000000000000044", cvc("unavailable")),
    ("4000000000000070", ZIP_FAILED),
    ("4000000000000100", cvc("failed")),
    ("4000000000000150", cvc("unavailable")),
];

/// What a number leads to; `None` for one that does not work in test mode.
pub fn outcome(number: &str) -> Option<Outcome> {
    NUMBERS.iter().find(|row| row.0 == number).map(|row| row.1)
}

/// The brand by the first digits, as PAY.JP spells it.
pub fn brand(number: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| number.starts_with(prefix));
    if starts(&["34", "37"]) {
        "American Express"
    } else if starts(&["35"]) {
        "JCB"
    } else if starts(&["30", "36", "38", "39"]) {
        "Diners Club"
    } else if starts(&["60", "64", "65"]) {
        "Discover"
    } else if starts(&["5", "2"]) {
        "MasterCard"
    } else {
        "Visa"
    }
}

/// Whether the last digit fits the others.
pub fn is_luhn(number: &str) -> bool {
    let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let digits: Vec<u8> = number.bytes().map(|byte| byte.wrapping_sub(b'0')).collect();
    is_digits && (12..=19).contains(&digits.len()) && card_number::passes_luhn(&digits)
}

/// The checks that a card shows, with or without a security code.
pub fn checks(outcome: Outcome, has_cvc: bool, details: Details) -> Details {
    match outcome {
        Outcome::Refused(_) => details,
        Outcome::Card { cvc_check, zip_check, is_jp, .. } => Details {
            cvc_check: Some(
                if has_cvc || cvc_check != "passed" { cvc_check } else { "unchecked" }.to_owned(),
            ),
            address_zip_check: Some(zip_check.to_owned()),
            is_jp: Some(is_jp),
            ..details
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_pass_their_check_digit_but_for_two_of_2019() {
        let bad = ["4000000000000070", "4000000000000100"];
        for (number, _) in NUMBERS.iter().filter(|row| !bad.contains(&row.0)) {
            assert!(is_luhn(number) && card_number::is_in(number), "{number}");
        }
        assert!(!is_luhn("4242424242424241") && !is_luhn("4242") && !is_luhn("424242424242424a"));
    }

    #[test]
    fn brands_are_spelled_as_payjp_does() {
        for (number, expected) in [
            ("4242424242424242", "Visa"),
            ("5555555555554444", "MasterCard"),
            ("3530111333300000", "JCB"),
            ("378282246310005", "American Express"),
            ("38520000023237", "Diners Club"),
            ("30569309025904", "Diners Club"),
            ("6011111111111117", "Discover"),
        ] {
            assert_eq!(brand(number), expected, "{number}");
        }
    }
}
