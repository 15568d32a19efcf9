//! Locks that outlive a transaction: one charging process to an SQLite file, and session locks by number.
//!
//! Both are freed by the kernel or the server when the process is killed. They decide nothing about what may be charged.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::url::{DatabaseUrl, Engine, Place, Server};
use crate::value::Value;
use crate::{Db, Error, postgres};

/// The right of this process to charge from an SQLite file, held until it is dropped or the process ends.
///
/// It is a lock on the file `<path>.charging`, which holds the owner's process id and stays when the lock is freed.
/// On PostgreSQL many processes may charge, and this holds nothing.
#[derive(Debug)]
pub struct ChargingLock {
    _file: Option<File>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// `pid` is missing only in the instant in which the owner writes it.
    #[error("another process{} charges from this database already: end it, or use it", pid.map_or(String::new(), |pid| format!(" (pid {pid})")))]
    InUse { pid: Option<u32> },
    #[error("the lock file {path} cannot be used: {cause}")]
    Unusable { path: String, cause: std::io::Error },
}

impl ChargingLock {
    pub fn acquire(url: &DatabaseUrl) -> Result<ChargingLock, LockError> {
        let Some(path) = url.sqlite_path() else {
            return Ok(ChargingLock { _file: None });
        };
        // Two names of one file are one lock.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut name = path.into_os_string();
        name.push(".charging");
        let path = PathBuf::from(name);
        let unusable = |cause| LockError::Unusable { path: path.display().to_string(), cause };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = options.open(&path);
        let mut file = opened.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {
                write_pid(&mut file).map_err(unusable)?;
                Ok(ChargingLock { _file: Some(file) })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::InUse { pid: read_pid(&mut file) }),
            Err(TryLockError::Error(cause)) => Err(unusable(cause)),
        }
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    file.flush()
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A lock by number. On PostgreSQL it is an advisory lock with a connection of its own, and is gone when that connection is:
/// see [`SessionLock::is_alive`]. On SQLite it is held within this process.
pub struct SessionLock {
    holder: Holder,
}

enum Holder {
    Process {
        key: i64,
        keys: Arc<Mutex<BTreeSet<i64>>>,
    },
    /// Dropping it ends the thread, and so the connection.
    Connection(Sender<Question>),
}

enum Question {
    IsAlive(oneshot::Sender<()>),
    Release(oneshot::Sender<()>),
}

/// How a lock on PostgreSQL is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// By one session.
    Alone,
    /// By any number of sessions.
    Shared,
}

impl Db {
    /// A lock that any number of sessions may have at once, so that they can be counted. `None` on SQLite, where one process
    /// charges.
    pub async fn shared_lock(&self, key: i64) -> Result<Option<SessionLock>, Error> {
        match &self.url().place {
            Place::Sqlite(_) => Ok(None),
            Place::Postgres(server) => {
                advisory_lock(server.as_ref().clone(), (key, Kind::Shared), self.lock_wait()).await
            }
        }
    }

    /// How many sessions have the lock `key` now, of whichever kind; 0 on SQLite.
    pub async fn lock_holders(&self, key: i64) -> Result<u64, Error> {
        if self.engine() == Engine::Sqlite {
            return Ok(0);
        }
        let count = self.read(move |tx| {
            let sql = "select count(*) from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
                 where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and d.datname = current_database()
                   and (cast(l.classid as bigint) << 32) + cast(l.objid as bigint) = $1";
            tx.query_one(sql, &[Value::I64(key)])?.i64(0)
        });
        Ok(count.await?.unsigned_abs())
    }

    /// `None`: another session has this lock.
    pub async fn session_lock(&self, key: i64) -> Result<Option<SessionLock>, Error> {
        match &self.url().place {
            Place::Sqlite(_) => {
                let keys = Arc::clone(self.locks());
                let is_new = keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                Ok(is_new.then_some(SessionLock { holder: Holder::Process { key, keys } }))
            }
            Place::Postgres(server) => {
                advisory_lock(server.as_ref().clone(), (key, Kind::Alone), self.lock_wait()).await
            }
        }
    }
}

async fn advisory_lock(
    server: Server,
    (key, kind): (i64, Kind),
    lock_wait: Duration,
) -> Result<Option<SessionLock>, Error> {
    let (asker, questions) = crossbeam_channel::unbounded();
    let (taken, is_taken) = oneshot::channel();
    let lost = |cause: String| Error::ConnectionLost { cause };
    thread::Builder::new()
        .name(format!("db-lock-{key}"))
        .spawn(move || hold(&server, (key, kind), lock_wait, taken, &questions))
        .map_err(|cause| lost(cause.to_string()))?;
    let is_taken = is_taken.await.map_err(|_| lost("its thread ended".to_owned()))?;
    Ok(is_taken?.then_some(SessionLock { holder: Holder::Connection(asker) }))
}

/// The life of a lock's thread: connect, lock, answer, disconnect.
fn hold(
    server: &Server,
    (key, kind): (i64, Kind),
    lock_wait: Duration,
    taken: oneshot::Sender<Result<bool, Error>>,
    questions: &Receiver<Question>,
) {
    let lost = |cause: String| Error::ConnectionLost { cause };
    let opened = postgres::connect(server, None, lock_wait).map_err(|cause| lost(cause.to_string()));
    let (lock, unlock) = match kind {
        Kind::Alone => ("select pg_try_advisory_lock($1)", "select pg_advisory_unlock($1)"),
        Kind::Shared => ("select pg_try_advisory_lock_shared($1)", "select pg_advisory_unlock_shared($1)"),
    };
    let locked = opened.and_then(|mut client| {
        let row = client.query_one(lock, &[&key]);
        let is_taken =
            row.and_then(|row| row.try_get::<_, bool>(0)).map_err(|cause| lost(cause.to_string()))?;
        Ok((client, is_taken))
    });
    let (mut client, is_taken) = match locked {
        Ok(locked) => locked,
        Err(error) => {
            // Nobody waits any more: there is no one to tell.
            drop(taken.send(Err(error)));
            return;
        }
    };
    if taken.send(Ok(is_taken)).is_err() || !is_taken {
        return;
    }
    while let Ok(question) = questions.recv() {
        match question {
            Question::IsAlive(reply) => {
                if client.batch_execute("select 1").is_err() {
                    return;
                }
                // Who asked may have gone meanwhile.
                let _ = reply.send(());
            }
            Question::Release(reply) => {
                // An error means that the connection, and with it the lock, is gone.
                drop(client.execute(unlock, &[&key]));
                drop(client);
                drop(reply);
                return;
            }
        }
    }
}

impl SessionLock {
    /// Whether the lock is still held, by one round trip. Once false, it stays so.
    pub async fn is_alive(&self) -> bool {
        match &self.holder {
            Holder::Process { .. } => true,
            Holder::Connection(asker) => {
                let (reply, answer) = oneshot::channel();
                asker.send(Question::IsAlive(reply)).is_ok() && answer.await.is_ok()
            }
        }
    }

    /// Frees the lock; when this is done another session can have it. Dropping it frees it too, a little later.
    pub async fn release(self) {
        if let Holder::Connection(asker) = &self.holder {
            let (reply, answer) = oneshot::channel();
            if asker.send(Question::Release(reply)).is_ok() {
                // The reply is dropped when the lock is free, which is the signal.
                drop(answer.await);
            }
        }
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        if let Holder::Process { key, keys } = &self.holder {
            keys.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }
}
