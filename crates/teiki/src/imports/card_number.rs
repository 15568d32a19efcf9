//! Recognises what looks like a card number, so that it is refused wherever it stands.
//!
//! 13 to 19 digits, also full-width and with spaces or hyphens between them, that pass Luhn's check and
//! begin as cards do. Digits that stand in groups count group by group, so a number beside a date is
//! found too. A 13-digit number right after `T` is a Japanese invoice registration number
//! (specs/japan-law.md 7) and is let through. Says nothing about whether the card exists.

use std::ops::RangeInclusive;

use super::field::fold_char;

/// How many digits a card number has.
const DIGITS: RangeInclusive<usize> = 13..=19;
/// What card numbers begin with: Mastercard 2 and 5, Amex, Diners and JCB 3, Visa 4, others 6.
const FIRST_DIGITS: RangeInclusive<u8> = 2..=6;
/// The digits after the `T` of a registration number.
const REGISTRATION_DIGITS: usize = 13;

/// Whether `value` contains something that looks like a card number.
pub(super) fn is_in(value: &str) -> bool {
    let digit_count = value.chars().filter(|&letter| digit(letter).is_some()).count();
    digit_count >= *DIGITS.start() && runs(value).iter().any(Run::has_card_number)
}

/// Digits in groups, with nothing but separators between the groups.
#[derive(Default)]
struct Run {
    groups: Vec<Vec<u8>>,
    is_after_t: bool,
}

impl Run {
    fn has_card_number(&self) -> bool {
        if self.is_after_t && self.groups.len() == 1 && self.groups[0].len() == REGISTRATION_DIGITS {
            return false;
        }
        (0..self.groups.len()).any(|first| self.begins_card_number(first))
    }

    /// Whether the groups from number `first` on begin with a card number that ends with a group.
    fn begins_card_number(&self, first: usize) -> bool {
        let mut digits = Vec::with_capacity(*DIGITS.end());
        for group in &self.groups[first..] {
            digits.extend_from_slice(group);
            if digits.len() > *DIGITS.end() {
                return false;
            }
            if DIGITS.contains(&digits.len()) && FIRST_DIGITS.contains(&digits[0]) && passes_luhn(&digits) {
                return true;
            }
        }
        false
    }
}

fn runs(value: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut run = Run::default();
    let mut is_in_group = false;
    let mut last = ' ';
    for letter in value.chars().map(fold_char) {
        match digit(letter) {
            Some(digit) => {
                if run.groups.is_empty() {
                    run.is_after_t = last.eq_ignore_ascii_case(&'t');
                }
                match run.groups.last_mut() {
                    Some(group) if is_in_group => group.push(digit),
                    Some(_) | None => run.groups.push(vec![digit]),
                }
                is_in_group = true;
            }
            None if is_separator(letter) => is_in_group = false,
            None => {
                runs.push(std::mem::take(&mut run));
                is_in_group = false;
            }
        }
        last = letter;
    }
    runs.push(run);
    runs
}

fn digit(letter: char) -> Option<u8> {
    fold_char(letter).to_digit(10).and_then(|digit| u8::try_from(digit).ok())
}

/// What people and programs put between the digits of a card number; some of it cannot be seen.
fn is_separator(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(letter, '-' | '.' | '‐'..='―' | '−' | 'ー' | 'ｰ' | '・' | '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{FEFF}')
}

/// The check digit of card numbers: every second digit from the right is doubled.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let weighed = u32::from(digit) * if place % 2 == 1 { 2 } else { 1 };
            if weighed > 9 { weighed - 9 } else { weighed }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_in_every_dress() {
        for value in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "4242.4242.4242.4242",
            "4242　4242　4242　4242",
            "４２４２４２４２４２４２４２４２",
            "４２４２－４２４２ー４２４２−４２４２",
            "42\u{200B}42424242424242",
            "山田 4242424242424242 様",
            "sbx_ok.4242424242424242",
            "c1-4242424242424242",
            "4242424242424242@example.com",
            "4242 4242 4242 4242 2030-12",
            "2026-07-31 4242 4242 4242 4242",
            "T4242424242424242",
            "378282246310005",
            "30569309025904",
            "3530111333300000",
            "5555555555554444",
            "2223003122003222",
            "6011111111111117",
            "6200000000000005",
            "4222222222222",
            "6304000000000000000",
        ] {
            assert!(is_in(value), "{value} should be found");
        }
    }

    #[test]
    fn other_numbers_are_not_taken_for_cards() {
        for value in [
            "",
            "顧客000000",
            "sbx_ok.c1-000123",
            "c1-000123",
            "4242424242424241",
            "1234567890123456",
            "9876543210987654",
            "0000000000000000",
            "T4222222222222",
            "Ｔ４２２２２２２２２２２２２",
            "424242424242",
            "42424242424242424242",
            "090-1234-5678",
            "2027-01-31T00:00:00",
            "4242a4242b4242c4242",
            "user9999@example.com",
        ] {
            assert!(!is_in(value), "{value} should not be found");
        }
    }
}
