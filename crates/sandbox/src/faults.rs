//! The switches and faults of one sandbox: their text form and the decision for each request.
//!
//! Decides, from the seed and the number of the request alone, what goes wrong with it. Does not carry anything out:
//! `process` does. Order: [`Faults`], [`Plan`], the parts they are made of, reading and printing the text form.
//! Limits: at most one fault before and one after the execution of a request; the first in the order of the table wins.

use std::fmt;
use std::str::FromStr;

/// Every name that a specification may hold, in the order in which they are printed.
const NAMES: [&str; 20] = [
    "idempotency",
    "latency",
    "lookup-lag",
    "max-processing",
    "rate",
    "401",
    "429",
    "drop-before",
    "timeout-before",
    "500-before",
    "late",
    "late-ms",
    "slow",
    "slow-ms",
    "drop-after",
    "timeout-after",
    "500-after",
    "malformed",
    "html",
    "wrong-amount",
];

/// Share of the requests that `idempotency=best-effort` executes unprotected: 1 in 5.
const UNPROTECTED_SHARE: Chance = Chance(Chance::ALWAYS / 5);
/// How long a best-effort gateway keeps a key, as UnivaPay does.
const BEST_EFFORT_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;
/// Added to the longest configured delay: what the sandbox itself may need on a busy machine.
const PROCESSING_MARGIN_MS: u64 = 1_000;
/// Longest delay that may be configured: one day.
const DELAY_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// What a sandbox does wrong, and which gateway's idempotency it imitates.
///
/// Made from text by `parse` (`"idempotency=24h,drop-after=0.05"`), printed in the same form. The default does nothing
/// wrong and keeps keys for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    idempotency: Idempotency,
    latency: Span,
    lookup_lag_ms: u64,
    max_processing_ms: Option<u64>,
    rate_per_second: Option<u32>,
    unauthorized: Chance,
    too_many: Chance,
    drop_before: Chance,
    timeout_before: Chance,
    error_before: Chance,
    late: Chance,
    late_ms: Span,
    slow: Chance,
    slow_ms: Span,
    drop_after: Chance,
    timeout_after: Chance,
    error_after: Chance,
    malformed: Chance,
    html: Chance,
    wrong_amount: Chance,
}

/// What happens to one request that moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The request ends here and is never executed.
    pub(crate) before: Option<Before>,
    /// The key is not looked at, whatever is known about it.
    pub(crate) is_unprotected: bool,
    /// The connection is closed at once; the execution follows after the delay.
    pub(crate) is_late: bool,
    /// Real milliseconds between taking the request and executing it.
    pub(crate) delay_ms: u64,
    /// The request is executed, and the answer is lost or wrong.
    pub(crate) after: Option<After>,
}

/// A fault that keeps a request from being executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Unauthorized,
    TooMany,
    Drop,
    Hang,
    Error,
    Html,
}

/// A fault that spoils the answer to an executed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Drop,
    Hang,
    Error,
    Malformed,
    Html,
    WrongAmount,
}

/// How the gateway treats a key it has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Idempotency {
    None,
    BestEffort,
    /// Milliseconds of real time since the key was first seen.
    Window(u64),
    #[default]
    Forever,
}

impl Idempotency {
    /// The word of `GET /capabilities`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BestEffort => "best_effort",
            Self::Window(_) | Self::Forever => "strong",
        }
    }

    /// How long a key is recognised, in real milliseconds; `None` where it never is (`None`) or always is (`Forever`).
    pub(crate) fn window_ms(self) -> Option<u64> {
        match self {
            Self::None | Self::Forever => None,
            Self::BestEffort => Some(BEST_EFFORT_WINDOW_MS),
            Self::Window(window_ms) => Some(window_ms),
        }
    }
}

impl Faults {
    /// Decides what happens to request number `request`; the same seed and number give the same plan for ever.
    pub(crate) fn plan(&self, seed: u64, request: u64) -> Plan {
        let hits = |chance: Chance, name: &str| chance.hits(draw(seed, request, name));
        let is_html = hits(self.html, "html");
        let html_is_executed = draw(seed, request, "html-executed").is_multiple_of(2);
        let before = [
            (hits(self.unauthorized, "401"), Before::Unauthorized),
            (hits(self.too_many, "429"), Before::TooMany),
            (hits(self.drop_before, "drop-before"), Before::Drop),
            (hits(self.timeout_before, "timeout-before"), Before::Hang),
            (hits(self.error_before, "500-before"), Before::Error),
            (is_html && !html_is_executed, Before::Html),
        ];
        let after = [
            (hits(self.drop_after, "drop-after"), After::Drop),
            (hits(self.timeout_after, "timeout-after"), After::Hang),
            (hits(self.error_after, "500-after"), After::Error),
            (hits(self.malformed, "malformed"), After::Malformed),
            (is_html && html_is_executed, After::Html),
            (hits(self.wrong_amount, "wrong-amount"), After::WrongAmount),
        ];
        let is_late = hits(self.late, "late");
        let extra_ms = if is_late {
            self.late_ms.pick(draw(seed, request, "late-ms"))
        } else if hits(self.slow, "slow") {
            self.slow_ms.pick(draw(seed, request, "slow-ms"))
        } else {
            0
        };
        Plan {
            before: first_hit(&before),
            is_unprotected: self.idempotency == Idempotency::BestEffort
                && hits(UNPROTECTED_SHARE, "unprotected"),
            is_late,
            delay_ms: self.latency.pick(draw(seed, request, "latency")) + extra_ms,
            after: first_hit(&after),
        }
    }

    pub(crate) fn idempotency(&self) -> Idempotency {
        self.idempotency
    }

    pub(crate) fn lookup_lag_ms(&self) -> u64 {
        self.lookup_lag_ms
    }

    pub(crate) fn rate_per_second(&self) -> Option<u32> {
        self.rate_per_second
    }

    /// The longest time from taking a request to its execution, as the capabilities state it.
    pub(crate) fn max_processing_ms(&self) -> u64 {
        let late_ms = if self.late == Chance::default() { 0 } else { self.late_ms.max_ms };
        let slow_ms = if self.slow == Chance::default() { 0 } else { self.slow_ms.max_ms };
        let longest_ms = self.latency.max_ms + late_ms.max(slow_ms) + PROCESSING_MARGIN_MS;
        self.max_processing_ms.unwrap_or(longest_ms)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadValue> {
        match name {
            "idempotency" => self.idempotency = value.parse()?,
            "latency" => self.latency = value.parse()?,
            "lookup-lag" => self.lookup_lag_ms = milliseconds(value)?,
            "max-processing" => self.max_processing_ms = Some(milliseconds(value)?),
            "rate" => self.rate_per_second = Some(rate(value)?),
            "401" => self.unauthorized = value.parse()?,
            "429" => self.too_many = value.parse()?,
            "drop-before" => self.drop_before = value.parse()?,
            "timeout-before" => self.timeout_before = value.parse()?,
            "500-before" => self.error_before = value.parse()?,
            "late" => self.late = value.parse()?,
            "late-ms" => self.late_ms = value.parse()?,
            "slow" => self.slow = value.parse()?,
            "slow-ms" => self.slow_ms = value.parse()?,
            "drop-after" => self.drop_after = value.parse()?,
            "timeout-after" => self.timeout_after = value.parse()?,
            "500-after" => self.error_after = value.parse()?,
            "malformed" => self.malformed = value.parse()?,
            "html" => self.html = value.parse()?,
            "wrong-amount" => self.wrong_amount = value.parse()?,
            _ => return Err(BadValue("a name that does not exist")),
        }
        Ok(())
    }

    /// The value of one name as text, or nothing where it is the default.
    fn get(&self, name: &str) -> Option<String> {
        let default = Self::default();
        let unless_default = |chance: Chance| (chance != Chance::default()).then(|| chance.to_string());
        let span = |span: Span| (span != Span::default()).then(|| span.to_string());
        match name {
            "idempotency" => (self.idempotency != default.idempotency).then(|| self.idempotency.to_string()),
            "latency" => span(self.latency),
            "lookup-lag" => (self.lookup_lag_ms > 0).then(|| self.lookup_lag_ms.to_string()),
            "max-processing" => self.max_processing_ms.map(|ms| ms.to_string()),
            "rate" => self.rate_per_second.map(|rate| rate.to_string()),
            "401" => unless_default(self.unauthorized),
            "429" => unless_default(self.too_many),
            "drop-before" => unless_default(self.drop_before),
            "timeout-before" => unless_default(self.timeout_before),
            "500-before" => unless_default(self.error_before),
            "late" => unless_default(self.late),
            "late-ms" => span(self.late_ms),
            "slow" => unless_default(self.slow),
            "slow-ms" => span(self.slow_ms),
            "drop-after" => unless_default(self.drop_after),
            "timeout-after" => unless_default(self.timeout_after),
            "500-after" => unless_default(self.error_after),
            "malformed" => unless_default(self.malformed),
            "html" => unless_default(self.html),
            "wrong-amount" => unless_default(self.wrong_amount),
            _ => None,
        }
    }
}

fn first_hit<T: Copy>(candidates: &[(bool, T)]) -> Option<T> {
    candidates.iter().find(|(is_hit, _)| *is_hit).map(|(_, fault)| *fault)
}

/// A number that depends on nothing but its three arguments. Keep stable: a published seed must repeat its run.
fn draw(seed: u64, request: u64, name: &str) -> u64 {
    let name_hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(mix(mix(seed) ^ request) ^ name_hash)
}

/// The finaliser of SplitMix64: spreads every input bit over the whole output.
fn mix(input: u64) -> u64 {
    let mut bits = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// How often something happens, in parts of 1 000 000 000, so that no float is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Chance(u64);

impl Chance {
    const ALWAYS: u64 = 1_000_000_000;
    const DIGITS: usize = 9;

    fn hits(self, draw: u64) -> bool {
        draw % Self::ALWAYS < self.0
    }
}

/// Milliseconds from `min_ms` to `max_ms`, both included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    min_ms: u64,
    max_ms: u64,
}

impl Span {
    fn pick(self, draw: u64) -> u64 {
        self.min_ms + draw % (self.max_ms - self.min_ms + 1)
    }
}

/// Why a specification of faults cannot be used. Names the item and lists what exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad fault `{item}`: {reason}; the names are {}", NAMES.join(", "))]
pub struct FaultsError {
    item: String,
    reason: &'static str,
}

/// What a value must be instead.
#[derive(Debug)]
pub(crate) struct BadValue(&'static str);

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(spec: &str) -> Result<Self, Self::Err> {
        let mut faults = Self::default();
        let mut seen = Vec::new();
        for item in spec.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let refuse = |reason| FaultsError { item: item.to_owned(), reason };
            let (name, value) = item.split_once('=').ok_or(refuse("it must be name=value"))?;
            if seen.contains(&name) {
                return Err(refuse("it is named twice"));
            }
            faults.set(name, value).map_err(|BadValue(reason)| refuse(reason))?;
            seen.push(name);
        }
        for (chance, span, item) in
            [(faults.late, faults.late_ms, "late"), (faults.slow, faults.slow_ms, "slow")]
        {
            if chance != Chance::default() && span.max_ms == 0 {
                let reason = "it needs its delay too (late-ms or slow-ms)";
                return Err(FaultsError { item: item.to_owned(), reason });
            }
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> =
            NAMES.iter().filter_map(|name| self.get(name).map(|value| format!("{name}={value}"))).collect();
        formatter.write_str(&items.join(","))
    }
}

impl FromStr for Idempotency {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REASON: BadValue =
            BadValue("it must be none, best-effort, forever or a time such as 24h, 6h, 500ms");
        match text {
            "none" => return Ok(Self::None),
            "best-effort" => return Ok(Self::BestEffort),
            "forever" => return Ok(Self::Forever),
            _ => {}
        }
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let unit_ms = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(REASON),
        };
        let count: u32 = digits.parse().map_err(|_| REASON)?;
        if count == 0 {
            return Err(REASON);
        }
        Ok(Self::Window(u64::from(count) * unit_ms))
    }
}

impl fmt::Display for Idempotency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::BestEffort => formatter.write_str("best-effort"),
            Self::Forever => formatter.write_str("forever"),
            Self::Window(ms) if ms.is_multiple_of(3_600_000) => write!(formatter, "{}h", ms / 3_600_000),
            Self::Window(ms) if ms.is_multiple_of(60_000) => write!(formatter, "{}m", ms / 60_000),
            Self::Window(ms) if ms.is_multiple_of(1_000) => write!(formatter, "{}s", ms / 1_000),
            Self::Window(ms) => write!(formatter, "{ms}ms"),
        }
    }
}

impl FromStr for Chance {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REASON: BadValue = BadValue("it must be a probability from 0 to 1 with at most nine decimals");
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_empty = whole.is_empty() && decimals.is_empty();
        if is_empty || !is_digits(whole) || !is_digits(decimals) || decimals.len() > Self::DIGITS {
            return Err(REASON);
        }
        let scaled = format!("{whole}{decimals:0<width$}", width = Self::DIGITS);
        let parts: u64 = scaled.parse().map_err(|_| REASON)?;
        if parts > Self::ALWAYS { Err(REASON) } else { Ok(Self(parts)) }
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Self::ALWAYS {
            return formatter.write_str("1");
        }
        let decimals = format!("{:0width$}", self.0, width = Self::DIGITS);
        write!(formatter, "0.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Span {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let span = Self { min_ms: milliseconds(min)?, max_ms: milliseconds(max)? };
        if span.min_ms > span.max_ms {
            return Err(BadValue("the shortest time must come first"));
        }
        Ok(span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.min_ms, self.max_ms)
    }
}

fn milliseconds(text: &str) -> Result<u64, BadValue> {
    match text.parse() {
        Ok(ms) if ms <= DELAY_MAX_MS => Ok(ms),
        Ok(_) | Err(_) => Err(BadValue("it must be whole milliseconds, at most one day")),
    }
}

fn rate(text: &str) -> Result<u32, BadValue> {
    match text.parse() {
        Ok(rate) if (1..=1_000_000).contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err(BadValue("it must be a whole number from 1 to 1000000")),
    }
}
