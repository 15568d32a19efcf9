//! Tokens: what a charge with a given token leads to.
//!
//! Reads the text form and nothing else; the counters that some tokens need are kept by `desk`.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{self, TimeZone};

/// Every decline code a token may name.
const CODES: [&str; 10] = [
    "insufficient_funds",
    "card_declined",
    "do_not_honor",
    "expired_card",
    "incorrect_card_data",
    "stolen_card",
    "lost_card",
    "processing_error",
    "limit_exceeded",
    "authentication_required",
];

/// What a token leads to; the part after a dot only makes it unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Ok,
    Decline {
        code: &'static str,
        when: When,
    },
    /// The first so many requests hang and are not executed.
    HangBefore(u32),
    /// The first so many requests hang after their execution.
    HangAfter(u32),
}

/// A token with its end: what it leads to, until its card expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) token: Token,
    /// From this billing time on every charge is declined as `expired_card`.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Whether a charge with this token would be taken.
pub fn is_token(text: &str) -> bool {
    text.parse::<Rule>().is_ok()
}

/// Which charges of a declining token are declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// The first so many charges.
    Times(u32),
    /// Those whose billing time is before this instant.
    Until(Timestamp),
    /// Those whose billing time is not before this instant.
    From(Timestamp),
    /// Those of more than so many minor units.
    Over(i64),
}

/// The text is none of the forms above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownToken;

impl FromStr for Rule {
    type Err = UnknownToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = text.split_once('.').map_or(text, |(rule, _)| rule);
        let rule = rule.strip_prefix("sbx_").ok_or(UnknownToken)?;
        Ok(match rule.split_once("_expires_") {
            None => Self { token: token(rule)?, expires_at: None },
            Some((rule, day)) => Self { token: token(rule)?, expires_at: Some(start_of_day_in_tokyo(day)?) },
        })
    }
}

fn token(rule: &str) -> Result<Token, UnknownToken> {
    if rule == "ok" {
        return Ok(Token::Ok);
    }
    if let Some(count) = rule.strip_prefix("timeout_before_") {
        return whole_number(count).map(Token::HangBefore);
    }
    if let Some(count) = rule.strip_prefix("timeout_after_") {
        return whole_number(count).map(Token::HangAfter);
    }
    decline(rule.strip_prefix("decline_").ok_or(UnknownToken)?)
}

fn decline(text: &str) -> Result<Token, UnknownToken> {
    let (code, rest) = CODES
        .iter()
        .find_map(|code| text.strip_prefix(code).map(|rest| (*code, rest)))
        .ok_or(UnknownToken)?;
    let when = if rest.is_empty() {
        When::Always
    } else if let Some(count) = rest.strip_prefix("_times_") {
        When::Times(whole_number(count)?)
    } else if let Some(day) = rest.strip_prefix("_until_") {
        When::Until(start_of_day_in_tokyo(day)?)
    } else if let Some(day) = rest.strip_prefix("_from_") {
        When::From(start_of_day_in_tokyo(day)?)
    } else if let Some(amount) = rest.strip_prefix("_over_") {
        When::Over(whole_number(amount)?)
    } else {
        return Err(UnknownToken);
    };
    Ok(Token::Decline { code, when })
}

fn whole_number<T: FromStr>(text: &str) -> Result<T, UnknownToken> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| UnknownToken)
    } else {
        Err(UnknownToken)
    }
}

/// Japan has had no summer time since 1951, so its offset suffices.
fn start_of_day_in_tokyo(text: &str) -> Result<Timestamp, UnknownToken> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UnknownToken);
    }
    let year = text[..4].parse().map_err(|_| UnknownToken)?;
    let month = text[4..6].parse().map_err(|_| UnknownToken)?;
    let day = text[6..].parse().map_err(|_| UnknownToken)?;
    let midnight = Date::new(year, month, day).map_err(|_| UnknownToken)?.at(0, 0, 0, 0);
    let tokyo = TimeZone::fixed(tz::offset(9));
    midnight.to_zoned(tokyo).map(|zoned| zoned.timestamp()).map_err(|_| UnknownToken)
}
