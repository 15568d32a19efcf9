//! Fields of the files: from text to values, each refusal a sentence that says what to write.
//!
//! Numbers, dates and everything like an id is folded to half width first, because spreadsheets and
//! input methods in Japan write full-width digits. Names and brands stay as they are.

use std::borrow::Cow;

use jiff::civil::Date;

use super::problem::shown;
use crate::email::{ADDRESS_MAX, is_address};
use crate::half_width;

/// Longest id of a customer or plan, in characters: fits every key and screen.
const ID_MAX: usize = 100;
/// Longest name, in characters: fits a line of a mail.
const NAME_MAX: usize = 200;
/// Longest token of a gateway, in characters; theirs are far shorter.
const TOKEN_MAX: usize = 255;
/// Longest brand of a card, in characters.
const BRAND_MAX: usize = 50;

/// Why a field is refused.
pub(super) type Refusal = String;

/// `value` with full-width letters, digits and signs as ASCII, without space around.
pub(super) fn fold(value: &str) -> Cow<'_, str> {
    if value.is_ascii() {
        return Cow::Borrowed(value.trim());
    }
    let folded: String = value.chars().map(half_width::letter).collect();
    Cow::Owned(folded.trim().to_owned())
}

/// One word of a list, in any case: `jpy`, `month`, `sandbox`.
pub(super) fn word(value: &str) -> Result<String, Refusal> {
    filled(value)?;
    Ok(fold(value).to_ascii_lowercase())
}

/// An id that the merchant chose.
pub(super) fn id(value: &str) -> Result<String, Refusal> {
    filled(value)?;
    let id = fold(value);
    if id.contains(char::is_whitespace) {
        return Err(format!("{} has a space inside; an id has none", shown(&id)));
    }
    at_most(&id, ID_MAX)?;
    Ok(id.into_owned())
}

/// A name, as it is.
pub(super) fn name(value: &str) -> Result<String, Refusal> {
    filled(value)?;
    at_most(value, NAME_MAX)?;
    Ok(value.to_owned())
}

/// A mail address.
pub(super) fn email(value: &str) -> Result<String, Refusal> {
    filled(value)?;
    let email = fold(value);
    if !is_address(&email) {
        return Err(format!("{} is not a mail address; write it as name@example.com", shown(&email)));
    }
    at_most(&email, ADDRESS_MAX)?;
    Ok(email.into_owned())
}

/// A gateway's token of a stored way to pay; its inside is the gateway's business.
pub(super) fn token(value: &str) -> Result<String, Refusal> {
    filled(value)?;
    let token = fold(value);
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that tokens do not have; copy it again from the gateway".to_owned());
    }
    at_most(&token, TOKEN_MAX)?;
    Ok(token.into_owned())
}

/// A card's brand, may be empty.
pub(super) fn brand(value: &str) -> Result<String, Refusal> {
    at_most(value, BRAND_MAX)?;
    Ok(value.to_owned())
}

/// The last four digits of a card, may be empty.
pub(super) fn last4(value: &str) -> Result<String, Refusal> {
    let last4 = fold(value);
    if last4.is_empty() || (last4.len() == 4 && last4.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(last4.into_owned());
    }
    Err(format!(
        "{} is not the last 4 digits of a card; write 4 digits (a spreadsheet drops zeros in front) or leave it empty",
        shown(&last4)
    ))
}

/// The month in which a card expires, as its last day; may be empty.
pub(super) fn card_exp(value: &str) -> Result<Option<Date>, Refusal> {
    let folded = fold_date(value);
    if folded.is_empty() {
        return Ok(None);
    }
    let refusal = || format!("{} is not a month; write it as YYYY-MM, for example 2030-08", shown(&folded));
    let parts = numbers(&folded).ok_or_else(refusal)?;
    match parts.as_slice() {
        &[year, month] => Date::new(year, i8::try_from(month).map_err(|_| refusal())?, 1)
            .map(|first| Some(first.last_of_month()))
            .map_err(|_| refusal()),
        _ => Err(refusal()),
    }
}

/// A whole number.
pub(super) fn whole_number(value: &str) -> Result<i64, Refusal> {
    filled(value)?;
    let folded = fold(value);
    let digits = folded.strip_prefix('-').unwrap_or(&folded);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| folded.parse().ok()).flatten().ok_or_else(|| {
        format!("{} is not a whole number; write digits only, for example 3980", shown(&folded))
    })
}

/// A whole number from `least` to `most`.
pub(super) fn count(value: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    let number = whole_number(value)?;
    let refusal = || format!("must be {least} to {most}, not {number}");
    let count = u32::try_from(number).map_err(|_| refusal())?;
    if (least..=most).contains(&count) { Ok(count) } else { Err(refusal()) }
}

/// What `read` makes of a value, or nothing of an empty one.
pub(super) fn optional<T>(
    value: &str,
    read: impl FnOnce(&str) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    if value.is_empty() { Ok(None) } else { read(value).map(Some) }
}

/// A civil date: `2027-01-31`, or as spreadsheets write it `2027/1/31`.
pub(super) fn date(value: &str) -> Result<Date, Refusal> {
    filled(value)?;
    let folded = fold_date(value);
    let refusal = |hint: &str| format!("{} is not a date; write it as {hint}", shown(&folded));
    let general = || refusal("YYYY-MM-DD, for example 2027-01-31");
    let parts = numbers(&folded).ok_or_else(general)?;
    let &[year, month, day] = parts.as_slice() else {
        return Err(general());
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else {
        return Err(general());
    };
    let first = Date::new(year, month, 1).map_err(|_| general())?;
    match Date::new(year, month, day) {
        Ok(date) => Ok(date),
        Err(_) if day > 28 && day <= 31 => Err(refusal(&first.last_of_month().to_string())),
        Err(_) => Err(general()),
    }
}

/// Folded, and every hyphen that input methods offer as the ASCII one.
fn fold_date(value: &str) -> String {
    fold(value)
        .chars()
        .map(|letter| if matches!(letter, '‐'..='―' | '−' | 'ー' | 'ｰ') { '-' } else { letter })
        .collect()
}

/// The numbers of a date: a year of four digits, then parts of one or two, with one kind of separator.
fn numbers(text: &str) -> Option<Vec<i16>> {
    let separator = if text.contains('/') { '/' } else { '-' };
    text.split(separator)
        .enumerate()
        .map(|(place, part)| {
            let is_right_length = if place == 0 { part.len() == 4 } else { (1..=2).contains(&part.len()) };
            let is_digits = part.bytes().all(|byte| byte.is_ascii_digit());
            (is_right_length && is_digits).then(|| part.parse().ok()).flatten()
        })
        .collect()
}

fn filled(value: &str) -> Result<(), Refusal> {
    if value.is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
}

fn at_most(value: &str, most: usize) -> Result<(), Refusal> {
    match value.chars().count() {
        count if count > most => Err(format!("{} has {count} characters; at most {most} fit", shown(value))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_wrong_ones_corrected() {
        let table = [
            ("2027-01-31", "2027-01-31"),
            ("2027/01/31", "2027-01-31"),
            ("2027/1/5", "2027-01-05"),
            ("２０２７－０１－３１", "2027-01-31"),
            ("２０２７ー０１ー３１", "2027-01-31"),
            ("２０２７／１／３１", "2027-01-31"),
            ("2028-02-29", "2028-02-29"),
            ("2027-02-30", "2027-02-30 is not a date; write it as 2027-02-28"),
            ("2027/04/31", "2027/04/31 is not a date; write it as 2027-04-30"),
            ("2027-13-01", "2027-13-01 is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            ("2027-01-32", "2027-01-32 is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            ("27/1/31", "27/1/31 is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            ("2027-01", "2027-01 is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            ("20270131", "20270131 is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            ("-2027-01-31", "-2027-01-31 is not a date; write it as YYYY-MM-DD, for example 2027-01-31"),
            (
                "2027-01-31T00:00",
                "2027-01-31T00:00 is not a date; write it as YYYY-MM-DD, for example 2027-01-31",
            ),
            ("", "is empty"),
        ];
        for (value, expected) in table {
            let read = date(value).map_or_else(|refusal| refusal, |date| date.to_string());
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn months_of_cards_are_read_as_their_last_day() {
        let table = [
            ("2030-08", "2030-08-31"),
            ("2030/2", "2030-02-28"),
            ("２０３０－０８", "2030-08-31"),
            ("", "none"),
            ("08/30", "08/30 is not a month; write it as YYYY-MM, for example 2030-08"),
            ("2030-13", "2030-13 is not a month; write it as YYYY-MM, for example 2030-08"),
        ];
        for (value, expected) in table {
            let read = match card_exp(value) {
                Ok(month) => month.map_or("none".to_owned(), |on| on.to_string()),
                Err(refusal) => refusal,
            };
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn numbers_are_whole_and_may_be_full_width() {
        for (value, expected) in
            [("3980", Some(3980)), ("３９８０", Some(3980)), ("-1", Some(-1)), ("007", Some(7))]
        {
            assert_eq!(whole_number(value).ok(), expected, "{value}");
        }
        for value in ["", "3,980", "¥3980", "3980.0", "1e3", "+1", "-", "--1", "99999999999999999999"] {
            assert!(whole_number(value).is_err(), "{value}");
        }
        assert_eq!(count("12", 1, 12), Ok(12));
        assert_eq!(count("13", 1, 12), Err("must be 1 to 12, not 13".to_owned()));
        assert_eq!(count("-1", 0, 12), Err("must be 0 to 12, not -1".to_owned()));
    }

    #[test]
    fn ids_names_and_addresses() {
        assert_eq!(id("ｃ１－０００１").as_deref(), Ok("c1-0001"));
        assert!(id("c1 0001").is_err());
        assert!(id("c1　0001").is_err());
        assert!(id(&"c".repeat(101)).is_err());
        assert_eq!(name("ﾔﾏﾀﾞ 太郎").as_deref(), Ok("ﾔﾏﾀﾞ 太郎"));
        assert!(name(&"山".repeat(201)).is_err());
        assert_eq!(email("ａ＠example.com").as_deref(), Ok("a@example.com"));
        for wrong in ["", "a", "@b", "a@", "a@b@c", "a @b", "a@b c"] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
        assert_eq!(token("sbx_ok.c1-000123").as_deref(), Ok("sbx_ok.c1-000123"));
        assert!(token("トークン").is_err());
        assert!(token("a b").is_err());
        assert_eq!(last4("０００５").as_deref(), Ok("0005"));
        assert!(last4("5").is_err());
    }
}
