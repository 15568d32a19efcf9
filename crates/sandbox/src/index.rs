//! What is kept in memory of the book: where each line lies, and how to find it by reference, by key and by charge.
//!
//! The lines themselves stay in the file. Does no input or output and takes no decision. Order: the entry, adding,
//! finding. Cost: about 80 bytes for a charge with a reference and a key. Candidates are found by hash, so the caller
//! compares the line's own text. Limit: 4 294 967 294 lines.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::book::{BookLine, Kind};
use crate::standing::Since;
use crate::token::{Rule, Token, When};

/// Marks the end of a chain of entries.
const NONE: u32 = u32::MAX;

/// Position of a line in the book, from 0; its number is one more.
pub(crate) type Position = u32;

#[derive(Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    /// Newest charge with this hash of its reference.
    newest_by_reference: HashMap<u64, Position>,
    /// Newest line with this hash of its key.
    newest_by_key: HashMap<u64, Position>,
    /// What was done so far, and the newest line of it, of the charges to which something was done.
    acted_on: HashMap<Position, ActedOn>,
    /// Executed charges of the tokens that decline a number of times.
    executions: HashMap<String, u32>,
    bytes: u64,
}

struct ActedOn {
    since: Since,
    newest: Position,
}

struct Entry {
    offset: u64,
    /// Real time, milliseconds since 1970; for a line from before the last start, when it was recorded.
    first_seen_ms: i64,
    /// Of a charge: the next older charge with this hash of its reference. Else: the next older line about its charge.
    older_sibling: Position,
    older_key: Position,
    is_charge: bool,
}

/// Where a line lies in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) bytes: usize,
}

/// What the caller knows about a line beyond its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    pub(crate) bytes: u64,
    pub(crate) first_seen_ms: i64,
    /// Whether the key protects a repeat; an unprotected line is not found by its key.
    pub(crate) is_key_kept: bool,
}

impl Index {
    pub(crate) fn lines(&self) -> usize {
        self.entries.len()
    }

    /// Adds the next line of the book.
    pub(crate) fn add(&mut self, line: &BookLine, added: Added) {
        let position = Position::try_from(self.entries.len()).expect("a book has fewer than 2^32 lines");
        assert!(position < NONE, "a book has fewer than 2^32 - 1 lines");
        let is_charge = line.kind() == Kind::Charge;
        let older_sibling = if is_charge {
            link(&mut self.newest_by_reference, line.reference.as_ref(), position)
        } else {
            self.add_action(line, position)
        };
        let key = line.idempotency_key.as_ref().filter(|_| added.is_key_kept);
        let entry = Entry {
            offset: self.bytes,
            first_seen_ms: added.first_seen_ms,
            older_sibling,
            older_key: link(&mut self.newest_by_key, key, position),
            is_charge,
        };
        self.entries.push(entry);
        self.bytes += added.bytes;
        let is_counted = |rule: Rule| matches!(rule.token, Token::Decline { when: When::Times(_), .. });
        if is_charge && line.token.parse().is_ok_and(is_counted) {
            *self.executions.entry(line.token.clone()).or_default() += 1;
        }
    }

    /// Adds a line to those of its charge, and answers the newest one before it.
    fn add_action(&mut self, line: &BookLine, position: Position) -> Position {
        let charge =
            line.charge.as_deref().and_then(position_of_charge).expect("checked when it was read or made");
        let acted_on =
            self.acted_on.entry(charge).or_insert(ActedOn { since: Since::default(), newest: NONE });
        acted_on.since.add(line);
        std::mem::replace(&mut acted_on.newest, position)
    }

    /// How many charges of this very token were executed; counted only for `_times_` tokens.
    pub(crate) fn executions(&self, token: &str) -> u32 {
        self.executions.get(token).copied().unwrap_or(0)
    }

    /// What was done to a charge, on disk or on its way there.
    pub(crate) fn since(&self, charge: Position) -> Since {
        self.acted_on.get(&charge).map_or_else(Since::default, |acted_on| acted_on.since)
    }

    /// The lines of what was done to a charge, newest first.
    pub(crate) fn actions(&self, charge: Position) -> Vec<Position> {
        let newest = self.acted_on.get(&charge).map(|acted_on| acted_on.newest);
        self.chain(newest, |entry| entry.older_sibling)
    }

    pub(crate) fn is_charge(&self, position: Position) -> bool {
        self.entry(position).is_some_and(|entry| entry.is_charge)
    }

    pub(crate) fn first_seen_ms(&self, position: Position) -> Option<i64> {
        self.entry(position).map(|entry| entry.first_seen_ms)
    }

    /// Where a line lies, without its line end.
    pub(crate) fn place(&self, position: Position) -> Option<Place> {
        let entry = self.entry(position)?;
        let next = position.checked_add(1).and_then(|next| self.entry(next));
        let end = next.map_or(self.bytes, |next| next.offset);
        let bytes = usize::try_from(end - entry.offset - 1).expect("a line is short");
        Some(Place { offset: entry.offset, bytes })
    }

    /// Charges that may have this reference, newest first.
    pub(crate) fn by_reference(&self, reference: &str) -> Vec<Position> {
        let newest = self.newest_by_reference.get(&hash_of(reference)).copied();
        self.chain(newest, |entry| entry.older_sibling)
    }

    /// Lines that may have this key, newest first.
    pub(crate) fn by_key(&self, key: &str) -> Vec<Position> {
        self.chain(self.newest_by_key.get(&hash_of(key)).copied(), |entry| entry.older_key)
    }

    /// Up to `limit` charges from position `start` on, before position `end`.
    pub(crate) fn charges_from(&self, start: usize, end: usize, limit: usize) -> Vec<Position> {
        (start..end.min(self.entries.len()))
            .filter(|position| self.entries[*position].is_charge)
            .take(limit)
            .filter_map(|position| Position::try_from(position).ok())
            .collect()
    }

    fn chain(&self, newest: Option<Position>, older: impl Fn(&Entry) -> Position) -> Vec<Position> {
        let step = |position: &Position| self.entry(*position).map(&older).filter(|next| *next != NONE);
        std::iter::successors(newest, step).collect()
    }

    fn entry(&self, position: Position) -> Option<&Entry> {
        self.entries.get(usize::try_from(position).ok()?)
    }
}

/// The position a charge id stands for; it may lie behind the end of the book.
pub(crate) fn position_of_charge(id: &str) -> Option<Position> {
    let number = crate::book::charge_number(id)?;
    Position::try_from(number.checked_sub(1)?).ok()
}

/// Makes a line the newest of its text, and answers the one that was.
fn link(newest: &mut HashMap<u64, Position>, text: Option<&String>, position: Position) -> Position {
    text.and_then(|text| newest.insert(hash_of(text), position)).unwrap_or(NONE)
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
