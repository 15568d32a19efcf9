//! The desk: everything the sandbox knows, and the execution of orders.
//!
//! Decides by the key who may be executed and brings what comes of it (`execution` says) into the book. Does not know HTTP,
//! delays or lost answers (`process` does). Order: opening, admission by key, execution, counters, look-ups. One short lock
//! guards the state; no file is written and nothing is awaited under it. A line, also one that is the reason for a
//! refusal, becomes visible to anyone only when it is synced.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::book::{self, BookError, BookLine};
use crate::execution::next_line;
use crate::faults::Idempotency;
use crate::index::{Added, Index, Place, Position, position_of_charge};
use crate::order::Order;
use crate::standing::{Refusal, Since, Standing};
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

/// Why an admitted order was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotExecuted {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

/// A charge and where it stands.
pub(crate) struct Found {
    pub(crate) line: BookLine,
    pub(crate) standing: Standing,
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
    pub(crate) fn admit(&self, order: Order, is_unprotected: bool, now: Timestamp) -> io::Result<Admission> {
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

    fn find_by_key(&self, index: &Index, key: &str, now_ms: i64) -> io::Result<Option<BookLine>> {
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

    /// Executes an admitted order: writes its line, waits until that is on disk, releases the key.
    pub(crate) async fn execute(
        &self,
        execution: Execution,
        now: Timestamp,
    ) -> Result<BookLine, NotExecuted> {
        let key = execution.order.key.clone().filter(|_| execution.key == KeyState::Stored);
        let (result, durable) = self.record(&execution, now);
        let result = durable.wait().await.map_err(NotExecuted::from).and(result.map_err(NotExecuted::from));
        if let Some(key) = key {
            self.state().in_progress.remove(&key);
        }
        result
    }

    /// What comes of the order, and when it may be told.
    fn record(&self, execution: &Execution, now: Timestamp) -> (Result<BookLine, Refusal>, Durable) {
        let mut state = self.state();
        let line = match next_line(&state.index, &execution.order, now) {
            Ok(line) => line,
            Err(refusal) => return (Err(refusal), self.writer.flush()),
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
        (Ok(line), durable)
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

    /// The synced charge at this position; nothing where there is none.
    pub(crate) fn find_charge(&self, position: Position) -> io::Result<Option<Found>> {
        let place = {
            let index = &self.state().index;
            index.place(position).filter(|_| index.is_charge(position) && self.is_synced(position))
        };
        place.map(|place| self.found(self.read(place)?)).transpose()
    }

    /// The charge on this line, with all that was done to it and is synced.
    pub(crate) fn found(&self, line: BookLine) -> io::Result<Found> {
        let mut since = Since::default();
        if let Some(position) = position_of_charge(&line.id) {
            self.list_actions(position)?.iter().for_each(|action| since.add(action));
        }
        let standing = Standing::of(&line, since);
        Ok(Found { line, standing })
    }

    /// The synced lines of what was done to a charge, in book order.
    pub(crate) fn list_actions(&self, charge: Position) -> io::Result<Vec<BookLine>> {
        let places: Vec<Place> = {
            let index = &self.state().index;
            let positions = index.actions(charge).into_iter().rev();
            positions
                .filter(|position| self.is_synced(*position))
                .filter_map(|position| index.place(position))
                .collect()
        };
        places.into_iter().map(|place| self.read(place)).collect()
    }

    /// The synced charges with this reference, recorded at or before `visible_until`, in book order.
    pub(crate) fn list_by_reference(
        &self,
        reference: &str,
        visible_until: Timestamp,
    ) -> io::Result<Vec<Found>> {
        let mut positions = self.state().index.by_reference(reference);
        positions.reverse();
        let mut charges = self.read_charges(&positions)?;
        charges.retain(|Found { line, .. }| {
            line.reference.as_deref() == Some(reference) && line.recorded_at <= visible_until
        });
        Ok(charges)
    }

    /// Up to `limit` synced charges after a position, in book order.
    pub(crate) fn list(&self, after: Option<Position>, limit: usize) -> io::Result<Vec<Found>> {
        let start = after.and_then(|after| usize::try_from(after).ok()).map_or(0, |after| after + 1);
        let end = usize::try_from(self.writer.synced_lines()).unwrap_or(usize::MAX);
        let positions = self.state().index.charges_from(start, end, limit);
        self.read_charges(&positions)
    }

    fn read_charges(&self, positions: &[Position]) -> io::Result<Vec<Found>> {
        positions.iter().filter_map(|position| self.find_charge(*position).transpose()).collect()
    }

    fn is_synced(&self, position: Position) -> bool {
        u64::from(position) < self.writer.synced_lines()
    }

    fn read(&self, place: Place) -> io::Result<BookLine> {
        book::read_line_at(&self.file, place.offset, place.bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
