//! The desk: everything the sandbox knows, and the execution of charges and refunds.
//!
//! Decides who may be executed (key, refundable rest), what comes of it (the token) and brings it into the book. Does not
//! know HTTP, delays or lost answers (`process` does). Order: opening, admission by key, execution, counters, look-ups.
//! One short lock guards the state; no file is written and nothing is awaited under it. A line becomes visible to anyone
//! only when it is synced.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::book::{self, BookError, BookLine, Outcome};
use crate::faults::Idempotency;
use crate::index::{Added, Index, Place, Position, position_of_charge};
use crate::order::{Charge, Order, Refund, Work};
use crate::token::{Token, When};
use crate::writer::{Durable, NotWritten, Target, Writer};

pub(crate) struct Desk {
    file: Arc<File>,
    writer: Writer,
    idempotency: Idempotency,
    state: Mutex<State>,
}

struct State {
    index: Index,
    /// Orders with a key that are being executed; the key leaves when its line is synced.
    in_progress: HashMap<String, Order>,
    /// Requests that hung so far, of the tokens that hang.
    hung: HashMap<String, u32>,
}

/// One line of the sidecar. Persisted: keep stable.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HungLine {
    token: String,
    hung: u32,
}

/// What the key of an order allows.
pub(crate) enum Admission {
    Execute(Execution),
    /// The key was seen with the same parameters: this came of it.
    Replay(BookLine),
    InProgress,
    Conflict,
}

/// Permission to execute an order once.
pub(crate) struct Execution {
    order: Order,
    first_seen_ms: i64,
    pub(crate) key: KeyState,
}

/// What the key did for this execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// No key, or a gateway that knows none.
    None,
    Stored,
    /// Executed without protection.
    Error,
}

/// Why an admitted order moved no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the charge did not succeed, so there is nothing to give back")]
    NotRefundable,
    #[error("all of the charge has been given back")]
    AlreadyRefunded,
    #[error("only {rest} of the charge is left to give back")]
    ExceedsRest { rest: i64 },
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

impl Desk {
    /// Opens the book and its sidecar, mends torn ends and reads both. Blocks.
    pub(crate) fn open(path: &Path, idempotency: Idempotency) -> Result<Self, BookError> {
        let file = book::open_locked(path)?;
        let mut index = Index::default();
        let bytes = book::for_each_line(&file, path, |text, number| {
            let line =
                book::parse_line(text, number).map_err(|reason| book::damaged(path, number, reason))?;
            let first_seen_ms = line.recorded_at.as_millisecond();
            index.add(&line, Added { bytes: book::as_u64(text.len()) + 1, first_seen_ms, is_key_kept: true });
            Ok(())
        })?;
        book::cut_torn_tail(&file, path, bytes)?;
        let (sidecar, hung) = open_sidecar(&sidecar_path(path))?;
        let file = Arc::new(file);
        let lines = book::as_u64(index.lines());
        let writer = Writer::start(Arc::clone(&file), sidecar, lines)
            .map_err(book::io_error("start the thread that writes", path))?;
        let state = Mutex::new(State { index, in_progress: HashMap::new(), hung });
        Ok(Self { file, writer, idempotency, state })
    }

    /// How many lines the book has, on disk or on their way there.
    pub(crate) fn lines(&self) -> u64 {
        book::as_u64(self.state().index.lines())
    }

    /// Writes everything, ends the writer and lets go of the book. Blocks.
    pub(crate) fn close(&self) {
        self.writer.close();
        // The lock goes with the file at the latest, so a failure here only delays it.
        let _ = self.file.unlock();
    }

    /// Looks at the key of an order and, where it may be executed, keeps others with that key out until it is done.
    pub(crate) fn admit(
        &self,
        order: Order,
        is_unprotected: bool,
        now: Timestamp,
    ) -> std::io::Result<Admission> {
        let first_seen_ms = now.as_millisecond();
        let Some(key) = order.key.clone().filter(|_| self.idempotency != Idempotency::None) else {
            return Ok(Admission::Execute(Execution { order, first_seen_ms, key: KeyState::None }));
        };
        if is_unprotected {
            return Ok(Admission::Execute(Execution { order, first_seen_ms, key: KeyState::Error }));
        }
        let mut state = self.state();
        if let Some(other) = state.in_progress.get(&key) {
            return Ok(if other.is_same(&order) { Admission::InProgress } else { Admission::Conflict });
        }
        if let Some(line) = self.find_by_key(&state.index, &key, first_seen_ms)? {
            return Ok(if order.is_same_as_line(&line) {
                Admission::Replay(line)
            } else {
                Admission::Conflict
            });
        }
        state.in_progress.insert(key, order.clone());
        Ok(Admission::Execute(Execution { order, first_seen_ms, key: KeyState::Stored }))
    }

    fn find_by_key(&self, index: &Index, key: &str, now_ms: i64) -> std::io::Result<Option<BookLine>> {
        for position in index.by_key(key) {
            let (Some(place), Some(seen_ms)) = (index.place(position), index.first_seen_ms(position)) else {
                continue;
            };
            let age_ms = u64::try_from(now_ms - seen_ms).unwrap_or(0);
            let is_forgotten = self.idempotency.window_ms().is_some_and(|window_ms| age_ms >= window_ms);
            if is_forgotten || !self.is_synced(position) {
                continue;
            }
            let line = self.read(place)?;
            if line.idempotency_key.as_deref() == Some(key) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Executes an admitted order: takes the outcome, writes the line, waits until it is on disk, releases the key.
    pub(crate) async fn execute(&self, execution: Execution, now: Timestamp) -> Result<BookLine, Refusal> {
        let key = execution.order.key.clone().filter(|_| execution.key == KeyState::Stored);
        let result = match self.record(&execution, now) {
            Ok((line, durable)) => durable.wait().await.map(|()| line).map_err(Refusal::from),
            Err(refusal) => Err(refusal),
        };
        if let Some(key) = key {
            self.state().in_progress.remove(&key);
        }
        result
    }

    fn record(&self, execution: &Execution, now: Timestamp) -> Result<(BookLine, Durable), Refusal> {
        let order = &execution.order;
        let mut state = self.state();
        let line = match &order.work {
            Work::Charge(charge) => charge_line(&state.index, order, charge, now),
            Work::Refund(refund) => refund_line(&state.index, order, refund, now)?,
        };
        let mut text = serde_json::to_vec(&line).expect("a book line is plain text and numbers");
        text.push(b'\n');
        let added = Added {
            bytes: book::as_u64(text.len()),
            first_seen_ms: execution.first_seen_ms,
            is_key_kept: execution.key == KeyState::Stored,
        };
        state.index.add(&line, added);
        // Queued under the lock, so that the lines are in the file in the order of their numbers.
        let durable = self.writer.append(Target::Book, text);
        Ok((line, durable))
    }

    /// Whether this request of a hanging token is among the first `limit`; counts it, on disk, if so.
    pub(crate) async fn take_hang(&self, token: &str, limit: u32) -> Result<bool, NotWritten> {
        let durable = {
            let mut state = self.state();
            let hung = state.hung.entry(token.to_owned()).or_default();
            if *hung >= limit {
                return Ok(false);
            }
            *hung += 1;
            let line = HungLine { token: token.to_owned(), hung: *hung };
            let mut text = serde_json::to_vec(&line).expect("a counter is plain text and a number");
            text.push(b'\n');
            self.writer.append(Target::Sidecar, text)
        };
        durable.wait().await.map(|()| true)
    }

    /// Minor units given back so far of the charge on this line; 0 for a refund.
    pub(crate) fn refunded(&self, line: &BookLine) -> i64 {
        position_of_charge(&line.id).map_or(0, |position| self.state().index.refunded(position))
    }

    /// The synced charge at this position and what of it was refunded; nothing where there is none.
    pub(crate) fn find_charge(&self, position: Position) -> std::io::Result<Option<(BookLine, i64)>> {
        let found = {
            let index = &self.state().index;
            let place =
                index.place(position).filter(|_| index.is_charge(position) && self.is_synced(position));
            place.map(|place| (place, index.refunded(position)))
        };
        found.map(|(place, refunded)| self.read(place).map(|line| (line, refunded))).transpose()
    }

    /// The synced charges with this reference, recorded at or before `visible_until`, in book order.
    pub(crate) fn list_by_reference(
        &self,
        reference: &str,
        visible_until: Timestamp,
    ) -> std::io::Result<Vec<(BookLine, i64)>> {
        let mut positions = self.state().index.by_reference(reference);
        positions.reverse();
        let mut charges = self.read_charges(&positions)?;
        charges.retain(|(line, _)| {
            line.reference.as_deref() == Some(reference) && line.recorded_at <= visible_until
        });
        Ok(charges)
    }

    /// Up to `limit` synced charges after a position, in book order.
    pub(crate) fn list(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> std::io::Result<Vec<(BookLine, i64)>> {
        let start = after.and_then(|after| usize::try_from(after).ok()).map_or(0, |after| after + 1);
        let end = usize::try_from(self.writer.synced_lines()).unwrap_or(usize::MAX);
        let positions = self.state().index.charges_from(start, end, limit);
        self.read_charges(&positions)
    }

    fn read_charges(&self, positions: &[Position]) -> std::io::Result<Vec<(BookLine, i64)>> {
        positions.iter().filter_map(|position| self.find_charge(*position).transpose()).collect()
    }

    fn is_synced(&self, position: Position) -> bool {
        u64::from(position) < self.writer.synced_lines()
    }

    fn read(&self, place: Place) -> std::io::Result<BookLine> {
        book::read_line_at(&self.file, place.offset, place.bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn charge_line(index: &Index, order: &Order, charge: &Charge, now: Timestamp) -> BookLine {
    let at = order.billing_time.unwrap_or(now);
    let code = match charge.rule {
        Token::Ok | Token::HangBefore(_) | Token::HangAfter(_) => None,
        Token::Decline { code, when } => {
            let is_declined = match when {
                When::Always => true,
                When::Times(times) => index.executions(&charge.token) < times,
                When::Until(instant) => at < instant,
            };
            is_declined.then_some(code)
        }
    };
    let outcome = if code.is_some() { Outcome::Declined } else { Outcome::Succeeded };
    BookLine {
        at,
        recorded_at: now,
        id: next_id(index, outcome),
        charge: None,
        token: charge.token.clone(),
        amount: charge.amount,
        currency: charge.currency.clone(),
        reference: Some(charge.reference.clone()),
        idempotency_key: order.key.clone(),
        outcome,
        code: code.map(str::to_owned),
    }
}

fn refund_line(index: &Index, order: &Order, refund: &Refund, now: Timestamp) -> Result<BookLine, Refusal> {
    let charge = &refund.charge;
    if charge.outcome != Outcome::Succeeded {
        return Err(Refusal::NotRefundable);
    }
    let rest = charge.amount - index.refunded(refund.position);
    assert!(rest >= 0, "{} has more refunds than it took", charge.id);
    if rest == 0 {
        return Err(Refusal::AlreadyRefunded);
    }
    let amount = refund.amount.unwrap_or(rest);
    if amount > rest {
        return Err(Refusal::ExceedsRest { rest });
    }
    Ok(BookLine {
        at: order.billing_time.unwrap_or(now),
        recorded_at: now,
        id: next_id(index, Outcome::Refunded),
        charge: Some(charge.id.clone()),
        token: charge.token.clone(),
        amount,
        currency: charge.currency.clone(),
        reference: refund.reference.clone(),
        idempotency_key: order.key.clone(),
        outcome: Outcome::Refunded,
        code: None,
    })
}

fn next_id(index: &Index, outcome: Outcome) -> String {
    book::id_of(outcome, book::as_u64(index.lines()) + 1)
}

/// `<book>.state`: the counters that the book cannot show, because requests that hang before execution leave no line.
fn sidecar_path(book: &Path) -> PathBuf {
    let mut name = book.as_os_str().to_owned();
    name.push(".state");
    PathBuf::from(name)
}

fn open_sidecar(path: &Path) -> Result<(File, HashMap<String, u32>), BookError> {
    let file = book::open_locked(path)?;
    let mut hung = HashMap::new();
    let bytes = book::for_each_line(&file, path, |text, number| {
        let line: HungLine =
            serde_json::from_slice(text).map_err(|error| book::damaged(path, number, error.to_string()))?;
        hung.insert(line.token, line.hung);
        Ok(())
    })?;
    book::cut_torn_tail(&file, path, bytes)?;
    Ok((file, hung))
}
