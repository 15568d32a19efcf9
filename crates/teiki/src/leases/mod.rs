//! Leases on PostgreSQL: who may prepare a part of the work now.
//!
//! A lease is an advisory lock of a database session, so it is gone at once when its holder is, and a
//! number (fence) in the table `leases` that grows with each change of hands. Prepare is fenced by the
//! number; settle never is. SQLite needs none: a lock file keeps other charging processes away.
//!
//! A process may lose its session and live on; what it had prepared it may send for a little longer
//! (`charges::send::send_until`). [`Former`] tells whether its successor must reckon with that.

use std::time::Duration;

use billing::mode::Mode;
use db::{Db, Engine, SessionLock};

use crate::charges::send::send_until;
use crate::clock;
use crate::failure::Failure;

mod holder;
mod store;

pub use holder::Former;
pub(crate) use holder::{is_gone, this_process};

/// What prepare compares with the table before it writes.
#[derive(Clone, Debug)]
pub struct Fence {
    /// What the lease is for.
    pub name: String,
    /// Grows with each change of hands.
    pub number: i64,
    /// What has become of those who had it before.
    pub former: Former,
}

/// A held lease. Dropping it gives it back.
pub struct Lease {
    /// What it is for, and its number.
    pub fence: Fence,
    lock: SessionLock,
}

impl Lease {
    /// Whether the database session that holds it still lives.
    pub async fn is_alive(&self) -> bool {
        self.lock.is_alive().await
    }
}

/// The lock by which the processes that serve a mode are counted, with the mode. Persisted in running servers, keep stable.
const SERVING: &str = "serving";
/// How long to wait for a holder that has just died: its session may still be finishing a statement.
const WAIT: Duration = Duration::from_secs(10);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes the lease `name`, or says that another process has it. `None` on SQLite.
pub async fn take(db: &Db, name: &str) -> Result<Option<Lease>, Failure> {
    if db.engine() == Engine::Sqlite {
        return Ok(None);
    }
    let give_up_at = tokio::time::Instant::now() + WAIT;
    let lock = loop {
        if let Some(lock) = db.session_lock(key_of(name)).await? {
            break lock;
        }
        if tokio::time::Instant::now() >= give_up_at {
            return Err(Failure::failed(format!(
                "another teiki process is at work on {name}; stop it, or wait for it"
            )));
        }
        tokio::time::sleep(PAUSE).await;
    };
    Ok(Some(Lease { fence: raise(db, name).await?, lock }))
}

/// Takes the lease if nobody has it.
pub async fn try_take(db: &Db, name: &str) -> Result<Option<Lease>, db::Error> {
    let Some(lock) = db.session_lock(key_of(name)).await? else {
        return Ok(None);
    };
    Ok(Some(Lease { fence: raise(db, name).await?, lock }))
}

async fn raise(db: &Db, name: &str) -> Result<Fence, db::Error> {
    let (lease, me, now) = (name.to_owned(), holder::this_process(), clock::now());
    let raised = db.write(move |tx| {
        let others_until = match store::holder(tx, &lease)? {
            None => now,
            Some((former, others_until)) => match holder::look_for(&former) {
                Former::Gone => others_until,
                Former::MaySend => send_until(now),
            },
        };
        let number = store::raise_fence(tx, (&lease, &me), now, others_until)?;
        let former = if others_until > now { Former::MaySend } else { Former::Gone };
        Ok::<_, db::Error>((number, former))
    });
    let (number, former) = raised.await?;
    Ok(Fence { name: name.to_owned(), number, former })
}

/// The name of what the processes of each mode have for themselves: those of the other do none of their work.
pub fn name_of(what: &str, mode: Mode) -> String {
    format!("{what}:{mode}")
}

/// Says to other processes that serve this mode that this one is there, for as long as the lock lives. `None` on SQLite.
pub async fn announce(db: &Db, mode: Mode) -> Result<Option<SessionLock>, db::Error> {
    db.shared_lock(key_of(&name_of(SERVING, mode))).await
}

/// How many processes serve a mode of this database, by what they announced.
pub async fn count_processes(db: &Db, mode: Mode) -> Result<u64, db::Error> {
    db.lock_holders(key_of(&name_of(SERVING, mode))).await
}

/// The advisory lock of a lease: the first 8 bytes of the SHA-256 of its name.
fn key_of(name: &str) -> i64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("teiki:{name}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}
