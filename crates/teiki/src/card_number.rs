//! Recognises card numbers, so that they are refused wherever they stand and never shown.
//!
//! 14 to 19 digits, also full-width, that pass Luhn's check and begin and are as long as the numbers of a brand. They stand
//! together, or in the groups that cards are printed in ([`is_printed`]), with spaces, hyphens, points, underscores or
//! slashes between: of one kind, so that a number beside a date is found and two phone numbers are none; of several kinds
//! but points when no other digits stand beside them. Digits that touch a letter of ASCII are part of an id, and digits after
//! a decimal point part of an amount: neither is a card number. Of other numbers of 16 digits that begin as cards do, one
//! in ten passes Luhn's check and is taken for one. Says nothing about whether the card exists.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use crate::half_width;

/// How many digits a card number has. Those of 13 have not been issued for long, and are what Japan's registration numbers
/// (`T` and 13 digits) and clocks in milliseconds have.
const DIGITS: RangeInclusive<usize> = 14..=19;
/// Most groups of a number that is written in groups: the longest by four.
const GROUPS_MAX: usize = 5;
/// As many of its last digits are shown.
const SHOWN: usize = 4;

/// What the numbers of the brands begin with, the same digits long, and how long they are.
const BRANDS: [(RangeInclusive<u32>, RangeInclusive<usize>); 19] = [
    // Visa.
    (4..=4, 16..=16),
    (4..=4, 19..=19),
    // Mastercard.
    (51..=55, 16..=16),
    (2221..=2720, 16..=16),
    // American Express.
    (34..=34, 15..=15),
    (37..=37, 15..=15),
    // JCB.
    (3528..=3589, 16..=19),
    // Diners Club.
    (300..=305, 14..=19),
    (3095..=3095, 14..=19),
    (36..=36, 14..=19),
    (38..=39, 14..=19),
    // Discover, RuPay.
    (60..=60, 16..=19),
    (644..=649, 16..=19),
    (65..=65, 16..=19),
    // UnionPay.
    (62..=62, 16..=19),
    // Maestro.
    (50..=50, 14..=19),
    (56..=58, 14..=19),
    (6304..=6304, 14..=19),
    (67..=67, 14..=19),
];

/// Whether `text` contains a card number.
pub fn is_in(text: &str) -> bool {
    find(text).is_some()
}

/// `text` with stars for all but the last digits of each card number.
pub fn masked(text: &str) -> Cow<'_, str> {
    let Some(found) = find(text) else {
        return Cow::Borrowed(text);
    };
    let number = &text[found.clone()];
    let digit_count = number.chars().filter(|&letter| digit(letter).is_some()).count();
    let mut place = 0;
    let stars = number.chars().map(|letter| {
        if digit(letter).is_none() {
            return letter;
        }
        place += 1;
        if place + SHOWN > digit_count { letter } else { '*' }
    });
    let mut shown = text[..found.start].to_owned();
    shown.extend(stars);
    shown.push_str(&masked(&text[found.end..]));
    Cow::Owned(shown)
}

/// Whether the check digit of a number fits the others.
pub fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            // Every second digit from the right is doubled.
            let weighed = u32::from(digit) * if place % 2 == 1 { 2 } else { 1 };
            if weighed > 9 { weighed - 9 } else { weighed }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Digits side by side.
struct Group {
    digits: Vec<u8>,
    /// Where they stand, in bytes.
    span: Range<usize>,
    /// What stands between it and the group before, if that is separators alone; alike ones in a row are one.
    gap: Option<String>,
    /// Whether they touch a letter of ASCII.
    is_in_word: bool,
    /// Whether they stand right after a digit and a point.
    is_decimal: bool,
}

/// Where the first card number stands, in bytes.
fn find(text: &str) -> Option<Range<usize>> {
    let digit_count = text.chars().filter(|&letter| digit(letter).is_some()).count();
    if digit_count < *DIGITS.start() {
        return None;
    }
    let groups = groups(text);
    (0..groups.len()).find_map(|first| begins_card_number(&groups[first..]))
}

/// Where the card number stands that begins with the first of `groups` and ends with one of them.
fn begins_card_number(groups: &[Group]) -> Option<Range<usize>> {
    let (first, others) = groups.split_first()?;
    if !first.is_in_word && !first.is_decimal && is_card_number(&first.digits) {
        return Some(first.span.clone());
    }
    // One more than are a number, so that it is known whether anything follows.
    let following = others.iter().take(GROUPS_MAX).take_while(|group| group.gap.is_some()).count();
    let run = &groups[..=following];
    let has_decimal = |part: &[Group]| part.iter().any(|group| group.is_decimal);
    let stands_alone = |part: &[Group]| first.gap.is_none() && part.len() == run.len() && !has_decimal(part);
    let found = (2..=run.len().min(GROUPS_MAX)).map(|count| &run[..count]).find(|part| {
        let digits = || part.iter().flat_map(|group| &group.digits).copied().collect::<Vec<u8>>();
        is_printed(part) && (has_one_gap(part) || stands_alone(part)) && is_card_number(&digits())
    })?;
    Some(first.span.start..found.last()?.span.end)
}

/// Whether cards show their numbers in such groups: by four with what is left at the end, or 4-6-4 and 4-6-5.
fn is_printed(groups: &[Group]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    let is_right = match lengths.as_slice() {
        [4, 6, 4 | 5] => true,
        [by_four @ .., last] => by_four.iter().all(|length| *length == 4) && (1..=4).contains(last),
        [] => false,
    };
    is_right && groups.iter().all(|group| !group.is_in_word)
}

/// Whether the same stands between all of them.
fn has_one_gap(groups: &[Group]) -> bool {
    groups.iter().skip(1).zip(groups.iter().skip(2)).all(|(one, next)| one.gap == next.gap)
}

fn is_card_number(digits: &[u8]) -> bool {
    DIGITS.contains(&digits.len()) && is_of_a_brand(digits) && passes_luhn(digits)
}

fn is_of_a_brand(digits: &[u8]) -> bool {
    BRANDS.iter().any(|(prefixes, lengths)| {
        let width = prefixes.start().to_string().len();
        let prefix = digits.iter().take(width).fold(0, |prefix, &digit| prefix * 10 + u32::from(digit));
        lengths.contains(&digits.len()) && prefixes.contains(&prefix)
    })
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let (mut is_in_group, mut gap): (bool, Option<String>) = (false, None);
    let (mut before_last, mut last) = (' ', ' ');
    for (at, letter) in text.char_indices().filter(|(_, letter)| !is_invisible(*letter)) {
        let folded = half_width::letter(letter);
        let end = at + letter.len_utf8();
        match (digit(letter), groups.last_mut()) {
            (Some(digit), Some(group)) if is_in_group => {
                group.digits.push(digit);
                group.span.end = end;
            }
            (Some(digit), _) => {
                groups.push(Group {
                    digits: vec![digit],
                    span: at..end,
                    gap: gap.replace(String::new()),
                    is_in_word: last.is_ascii_alphabetic(),
                    is_decimal: last == '.' && before_last.is_ascii_digit(),
                });
                is_in_group = true;
            }
            (None, group) => {
                if let Some(group) = group.filter(|_| is_in_group && folded.is_ascii_alphabetic()) {
                    group.is_in_word = true;
                }
                is_in_group = false;
                gap = separator(letter).and_then(|next| {
                    let mut gap = gap.take()?;
                    if !gap.ends_with(next) {
                        gap.push(next);
                    }
                    Some(gap)
                });
            }
        }
        (before_last, last) = (last, folded);
    }
    groups
}

fn digit(letter: char) -> Option<u8> {
    half_width::letter(letter).to_digit(10).and_then(|digit| u8::try_from(digit).ok())
}

/// What people and programs put between the digits of a card number; what looks alike is one.
fn separator(letter: char) -> Option<char> {
    match half_width::letter(letter) {
        '-' | '‐'..='―' | '−' | 'ー' | 'ｰ' => Some('-'),
        '.' | '・' => Some('.'),
        other @ ('_' | '/') => Some(other),
        other => other.is_whitespace().then_some(' '),
    }
}

/// What stands in a text and cannot be seen.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}')
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
            "山田4242424242424242様",
            "sbx_ok.4242424242424242",
            "c1-4242424242424242",
            "order_4242424242424242",
            "4242424242424242@example.com",
            "https://example.com/4242424242424242?a=b",
            "4242424242424242.0",
            "4242424242424242-8242",
            "4111111111111111 cvc 123",
            "4242 4242 4242 4242 2030-12",
            "2026-07-31 4242 4242 4242 4242",
            "3782 822463 10005",
            "378282246310005",
            "30569309025904",
            "36227206271667",
            "3530111333300000",
            "5555555555554444",
            "2223003122003222",
            "6011111111111117",
            "6200000000000005",
            "6304000000000000000",
            "6304 0000 0000 0000 000",
            "3056 9309 0259 04",
            "3622-720627-1667",
            "3782 8224 6310 005",
            "4242_4242_4242_4242",
            "4242/4242/4242/4242",
            "4242 - 4242 - 4242 - 4242",
            "4242  4242 4242\n4242",
            "4242-4242 4242 4242",
            "card: 4242 4242-4242_4242, thank you",
            "c1-4242-4242-4242-4242",
            "090-1234-5678 4242-4242-4242-4242",
            "2026/07/31 4242/4242/4242/4242",
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
            // A registration number for the consumption tax, and clocks in milliseconds and microseconds.
            "T4222222222222",
            "1767225600000",
            "1767225600000000",
            // Letters make it an id.
            "o4242424242424242",
            "4242424242424242x",
            "Ｔ４２４２４２４２４２４２４２４２",
            "ch_4242424242424242a4242424242424242",
            "4242a4242b4242c4242",
            "42424242-4242-4242-8242-424242424242",
            "424242424242",
            "42424242424242424242",
            "0.5105105105105100",
            "090-1234-5678",
            "2027-01-31T00:00:00",
            "20261231235959",
            "user9999@example.com",
            // What stands side by side in ordinary texts; digits of each, taken together, pass for a card's.
            "35.545465 139.817640",
            "650-0076 078-495-7062",
            "03-5096-6252 090-3603-5428",
            "03-4406-5658 090-1972-1019",
            "30 32 34 36 38 40 42 44 46 48",
            "246.118.220.65 92.226.212.168 195.170.241.153",
            "2029-12-26 2023-03-17 2026-03-23 2032-11-18",
            "2028/05/26 2039/11/20 2035/09/14 2032/11/24",
            "4682-6842-2657 2814-1649-3337",
            "4000.4242 4242.4004",
            "4242,4242,4242,4242",
            "4242 42424242 4242",
        ] {
            assert!(!is_in(value), "{value} should not be found");
        }
    }

    #[test]
    fn a_card_number_is_shown_by_its_last_digits_alone() {
        for (text, shown) in [
            ("nothing", "nothing"),
            ("No such token: 4111111111111111", "No such token: ************1111"),
            ("metadata[4242-4242 4242 4242]", "metadata[****-**** **** 4242]"),
            ("４１１１１１１１１１１１１１１１ 4111111111111111", "************１１１１ ************1111"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn numbers_of_every_length_and_beginning_are_those_of_their_brand() {
        for (number, is_card) in [
            ("5105105105105100", true),
            ("5000000000000009", true),
            ("2720990000000007", true),
            ("2721000000000004", false),
            ("2220990000000002", false),
            ("34000000000000", false),
            ("41111111111116", false),
        ] {
            let digits: Vec<u8> = number.chars().filter_map(digit).collect();
            assert_eq!(is_of_a_brand(&digits), is_card, "{number}");
        }
    }
}
