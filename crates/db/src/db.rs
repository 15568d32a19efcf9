//! An open database: its pools, and the two ways to run a transaction.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::open::OpenError;
use crate::session::{Mode, Session};
use crate::tx::Tx;
use crate::url::{DatabaseUrl, Engine, Place};
use crate::worker::{Open, Pool, Totals, Urgency};
use crate::{Error, postgres, sqlite};

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for reading, at least one.
    pub readers: usize,
    /// Connections for writing on PostgreSQL, at least one. SQLite has one always.
    pub writers: usize,
    /// Make a missing SQLite file and its directory.
    pub create: bool,
    /// How long a statement waits for another's lock before it is `Busy`.
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { readers: 2, writers: 4, create: false, lock_wait: Duration::from_secs(10) }
    }
}

/// An open database. Clones share its connections, which are closed with the last of them.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    readers: Arc<Pool>,
    writers: Arc<Pool>,
    urgency: Urgency,
}

struct Shared {
    url: DatabaseUrl,
    options: Options,
    totals: Arc<Totals>,
    /// The session locks held on SQLite, where one process is all there is.
    locks: Arc<Mutex<BTreeSet<i64>>>,
    /// Every pool that was opened.
    pools: Mutex<Vec<Arc<Pool>>>,
    opened: Instant,
    /// Transactions of the foreground that wait or run.
    asked: AtomicUsize,
    /// Milliseconds after `opened` until which the background makes itself small.
    pressed_until: AtomicU64,
    /// Turns of the background at writing while it is pressed: half of what the machine can do at once.
    turns: Semaphore,
}

/// So long after a transaction of the foreground the next is expected.
const PRESSED: Duration = Duration::from_millis(100);
/// The longest rest of the background: above what a small batch takes, and short when one had to wait for a lock.
const REST_MAX: Duration = Duration::from_millis(50);

/// Counted since the database was opened; failed attempts count only as round trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed, reading ones too.
    pub transactions: u64,
    /// Statements sent, with begin and commit; a many-row statement is one, on SQLite too.
    pub round_trips: u64,
    /// Rows inserted, updated or deleted.
    pub rows_written: u64,
    /// Committed transactions that wrote a row: the number of times the disk was waited for, at most.
    pub syncs: u64,
}

impl Db {
    pub async fn open(url: &DatabaseUrl, options: &Options) -> Result<Db, OpenError> {
        let totals = Arc::new(Totals::default());
        // Writers first: on SQLite they make the file.
        let writers = Arc::new(Pool::start("db-write", opens(url, options, Mode::Write), &totals).await?);
        let readers = Arc::new(Pool::start("db-read", opens(url, options, Mode::Read), &totals).await?);
        let shared = Shared {
            url: url.clone(),
            options: options.clone(),
            totals,
            locks: Arc::default(),
            pools: Mutex::new(vec![Arc::clone(&readers), Arc::clone(&writers)]),
            opened: Instant::now(),
            asked: AtomicUsize::new(0),
            pressed_until: AtomicU64::new(0),
            turns: Semaphore::new(available_parallelism().map_or(1, |at_once| at_once.get().div_ceil(2))),
        };
        Ok(Db { shared: Arc::new(shared), readers, writers, urgency: Urgency::Foreground })
    }

    /// Another handle, for work that nobody waits for. It has as many connections again, so that nobody waits for one; on
    /// SQLite it shares the one writer, where it takes turns with the others. While there is work in the foreground, few of its
    /// writes run at once, and each is followed by as long a rest, within a limit.
    pub async fn background(&self) -> Result<Db, OpenError> {
        let Shared { url, options, totals, pools, .. } = self.shared.as_ref();
        let readers = Arc::new(Pool::start("db-back-read", opens(url, options, Mode::Read), totals).await?);
        let writers = match url.engine() {
            Engine::Sqlite => Arc::clone(&self.writers),
            Engine::Postgres => {
                Arc::new(Pool::start("db-back-write", opens(url, options, Mode::Write), totals).await?)
            }
        };
        let mut pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.extend([Arc::clone(&readers), Arc::clone(&writers)]);
        Ok(Db { shared: Arc::clone(&self.shared), readers, writers, urgency: Urgency::Background })
    }

    /// Whether this handle should ask for little at a time: it is of the background, and there is work in the foreground.
    pub fn is_pressed(&self) -> bool {
        let Shared { asked, pressed_until, .. } = self.shared.as_ref();
        let is_expected = || self.shared.age() < Duration::from_millis(pressed_until.load(Ordering::Relaxed));
        self.urgency == Urgency::Background && (asked.load(Ordering::Relaxed) > 0 || is_expected())
    }

    pub fn engine(&self) -> Engine {
        self.shared.url.engine()
    }

    /// Runs a transaction that sees one snapshot and writes nothing.
    ///
    /// Errors: those of the closure, and [`Error`] made into the caller's.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let _asked = self.press();
        self.readers.run(self.urgency, Mode::Read, f).await
    }

    /// Runs a transaction and commits it durably; an error of the closure rolls it back.
    ///
    /// The closure may run more than once. It goes on to its end when the caller stops waiting.
    /// Errors: those of the closure, and [`Error`] made into the caller's. After [`Error::CommitUnknown`] read again before deciding.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if self.is_pressed() {
            // Closed by nobody.
            let _turn = self.shared.turns.acquire().await;
            let begun = Arc::new(OnceLock::new());
            let begin = Arc::clone(&begun);
            let timed = move |tx: &mut Tx<'_>| {
                begin.get_or_init(Instant::now);
                f(tx)
            };
            let result = self.writers.run(self.urgency, Mode::Write, timed).await;
            if self.is_pressed() {
                let took = begun.get().map_or(Duration::ZERO, Instant::elapsed);
                tokio::time::sleep(took.min(REST_MAX)).await;
            }
            return result;
        }
        let _asked = self.press();
        self.writers.run(self.urgency, Mode::Write, f).await
    }

    /// Presses the background until what is returned is dropped, and a little longer.
    fn press(&self) -> Option<Asked<'_>> {
        (self.urgency == Urgency::Foreground).then(|| Asked::begin(&self.shared))
    }

    pub fn stats(&self) -> Stats {
        let totals = &self.shared.totals;
        Stats {
            transactions: totals.transactions.load(Ordering::Relaxed),
            round_trips: totals.round_trips.load(Ordering::Relaxed),
            rows_written: totals.rows_written.load(Ordering::Relaxed),
            syncs: totals.syncs.load(Ordering::Relaxed),
        }
    }

    /// Finishes the work that waits and closes the connections of all handles, so that an SQLite file stands alone, without its
    /// log. Later calls answer [`Error::Closed`].
    pub async fn close(&self) {
        let pools = std::mem::take(&mut *self.shared.pools.lock().unwrap_or_else(PoisonError::into_inner));
        for pool in pools {
            pool.close().await;
        }
    }

    pub(crate) fn url(&self) -> &DatabaseUrl {
        &self.shared.url
    }

    pub(crate) fn lock_wait(&self) -> Duration {
        self.shared.options.lock_wait
    }

    pub(crate) fn locks(&self) -> &Arc<Mutex<BTreeSet<i64>>> {
        &self.shared.locks
    }
}

/// A transaction of the foreground that waits or runs.
struct Asked<'a>(&'a Shared);

impl<'a> Asked<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.asked.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let until = u64::try_from((self.0.age() + PRESSED).as_millis()).unwrap_or(u64::MAX);
        self.0.pressed_until.store(until, Ordering::Relaxed);
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn age(&self) -> Duration {
        self.opened.elapsed()
    }
}

fn opens(url: &DatabaseUrl, options: &Options, mode: Mode) -> Vec<Open> {
    let count = match (mode, url.engine()) {
        (Mode::Read, _) => options.readers.max(1),
        (Mode::Write, Engine::Sqlite) => 1,
        (Mode::Write, Engine::Postgres) => options.writers.max(1),
    };
    (0..count).map(|_| open_session(url.clone(), options.clone(), mode)).collect()
}

fn open_session(url: DatabaseUrl, options: Options, mode: Mode) -> Open {
    Box::new(move || match (url.place, mode) {
        (Place::Sqlite(path), Mode::Write) => {
            let session = sqlite::open_writer(&path, options.create, options.lock_wait)?;
            Ok(Session::Sqlite(Box::new(session)))
        }
        (Place::Sqlite(path), Mode::Read) => {
            Ok(Session::Sqlite(Box::new(sqlite::open_reader(&path, options.lock_wait)?)))
        }
        (Place::Postgres(server), _) => {
            let session = postgres::Session::open(*server, mode, options.lock_wait)?;
            Ok(Session::Postgres(Box::new(session)))
        }
    })
}
