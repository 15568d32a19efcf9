//! An open database: its pools, and the two ways to run a transaction.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::open::OpenError;
use crate::session::{Mode, Session};
use crate::tx::Tx;
use crate::url::{DatabaseUrl, Engine, Place};
use crate::worker::{Open, Pool, Totals};
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
}

struct Shared {
    url: DatabaseUrl,
    lock_wait: Duration,
    readers: Pool,
    writers: Pool,
    totals: Arc<Totals>,
    /// The session locks held on SQLite, where one process is all there is.
    locks: Arc<Mutex<BTreeSet<i64>>>,
}

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
        let writers = Pool::start("db-write", opens(url, options, Mode::Write), &totals).await?;
        let readers = Pool::start("db-read", opens(url, options, Mode::Read), &totals).await?;
        let (url, lock_wait) = (url.clone(), options.lock_wait);
        let shared = Shared { url, lock_wait, readers, writers, totals, locks: Arc::default() };
        Ok(Db { shared: Arc::new(shared) })
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
        self.shared.readers.run(Mode::Read, f).await
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
        self.shared.writers.run(Mode::Write, f).await
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

    /// Finishes the work that waits and closes all connections, so that an SQLite file stands alone, without its log.
    /// Later calls answer [`Error::Closed`].
    pub async fn close(&self) {
        self.shared.readers.close().await;
        self.shared.writers.close().await;
    }

    pub(crate) fn url(&self) -> &DatabaseUrl {
        &self.shared.url
    }

    pub(crate) fn lock_wait(&self) -> Duration {
        self.shared.lock_wait
    }

    pub(crate) fn locks(&self) -> &Arc<Mutex<BTreeSet<i64>>> {
        &self.shared.locks
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
