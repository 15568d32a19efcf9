//! Threads that own connections, and the transactions they run.
//!
//! Each connection belongs to one plain thread. A job waits asynchronously for a place in its queue, is taken by the next free
//! thread, and answers over a oneshot. A job whose caller has gone before its start is left out; one that has begun is finished.
//!
//! A pool has two queues. After a job of the background, those in the foreground have as much time as it took, if they need
//! it: a job of the foreground waits for one of the background at most, and the background gets at least half of the time.
//!
//! A transaction is run again, within a limit, when nothing of it was stored: after a conflict, or a connection lost before the
//! commit. What was lost during the commit is never run again.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use tokio::sync::{Semaphore, oneshot};

use crate::Error;
use crate::open::OpenError;
use crate::session::{Mode, Session};
use crate::tx::{Failure, Tx};
use crate::url::Engine;

/// Jobs of one kind that wait or run in one pool. Enough to keep every thread busy; a caller beyond it waits, which slows it down.
const QUEUE_MAX: usize = 1_024;
/// How often a transaction is begun before its error is given to the caller.
const ATTEMPTS_MAX: u32 = 6;
/// The first pause after a conflict; it doubles each time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(4);
/// The first pause after a lost connection; it doubles each time, 1.5 s in all.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Opens a session, in the thread that will own it.
pub(crate) type Open = Box<dyn FnOnce() -> Result<Session, OpenError> + Send>;

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// What all transactions since the start have cost together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) transactions: AtomicU64,
    pub(crate) round_trips: AtomicU64,
    pub(crate) rows_written: AtomicU64,
    pub(crate) syncs: AtomicU64,
}

struct Worker {
    session: Session,
    /// The thread's number, so that two threads in conflict pause differently.
    number: u32,
    totals: Arc<Totals>,
}

/// Which of a pool's queues a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits for the answer.
    Foreground,
    /// Nobody does: it gives way.
    Background,
}

struct Queue {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

impl Queue {
    fn new() -> (Queue, Receiver<Job>) {
        let (jobs, taken) = crossbeam_channel::unbounded();
        (Queue { jobs, places: Arc::new(Semaphore::new(QUEUE_MAX)) }, taken)
    }
}

/// The ends of both queues at which a thread takes jobs.
#[derive(Clone)]
struct Taken {
    foreground: Receiver<Job>,
    background: Receiver<Job>,
    /// Nothing is ever sent: it ends when the pool is closed.
    closing: Receiver<Infallible>,
}

pub(crate) struct Pool {
    foreground: Queue,
    background: Queue,
    open: Mutex<Option<Sender<Infallible>>>,
    /// One for each thread; it answers when the thread has ended.
    ended: Mutex<Vec<oneshot::Receiver<()>>>,
}

impl Pool {
    pub(crate) async fn start(name: &str, opens: Vec<Open>, totals: &Arc<Totals>) -> Result<Pool, OpenError> {
        let (foreground, first) = Queue::new();
        let (background, second) = Queue::new();
        let (open, closing) = crossbeam_channel::bounded(0);
        let jobs = Taken { foreground: first, background: second, closing };
        let mut ended = Vec::with_capacity(opens.len());
        for (number, open) in (0..).zip(opens) {
            let (opened, is_open) = oneshot::channel();
            let (end, has_ended) = oneshot::channel();
            let (jobs, totals) = (jobs.clone(), Arc::clone(totals));
            let other = |cause: String| OpenError::Other { url: format!("thread {name}-{number}"), cause };
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || own(open, opened, &jobs, number, totals, end))
                .map_err(|cause| other(cause.to_string()))?;
            is_open.await.unwrap_or_else(|_| Err(other("it ended at once".to_owned())))?;
            ended.push(has_ended);
        }
        Ok(Pool { foreground, background, open: Mutex::new(Some(open)), ended: Mutex::new(ended) })
    }

    pub(crate) async fn run<T, E, F>(&self, urgency: Urgency, mode: Mode, f: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let queue = match urgency {
            Urgency::Foreground => &self.foreground,
            Urgency::Background => &self.background,
        };
        let Ok(place) = Arc::clone(&queue.places).acquire_owned().await else {
            return Err(E::from(Error::Closed));
        };
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            if !reply.is_closed() {
                let result = worker.transact(mode, &f);
                drop(f);
                drop(place);
                // A caller that has gone meanwhile does not want the answer.
                drop(reply.send(result));
            }
        });
        if queue.jobs.send(job).is_err() {
            return Err(E::from(Error::Closed));
        }
        answer.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
    }

    /// Takes no more jobs, finishes those that wait, and closes the connections.
    pub(crate) async fn close(&self) {
        self.foreground.places.close();
        self.background.places.close();
        drop(self.open.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for end in ended {
            // The sender is dropped when the thread ends, which is the signal.
            drop(end.await);
        }
    }
}

/// The life of a thread: open, run jobs, close.
fn own(
    open: Open,
    opened: oneshot::Sender<Result<(), OpenError>>,
    jobs: &Taken,
    number: u32,
    totals: Arc<Totals>,
    end: oneshot::Sender<()>,
) {
    let mut worker = match open() {
        Ok(session) => Worker { session, number, totals },
        Err(error) => {
            // Whoever opens the database waits for this; if not, there is no one to tell.
            drop(opened.send(Err(error)));
            return;
        }
    };
    if opened.send(Ok(())).is_err() {
        return;
    }
    // What the foreground may still use of the time that the background has taken.
    let mut owed = Duration::ZERO;
    loop {
        let waiting = jobs.waiting(owed);
        if waiting.is_none() {
            owed = Duration::ZERO;
        }
        let Some((urgency, job)) = waiting.or_else(|| jobs.come()) else {
            break;
        };
        let began = Instant::now();
        job(&mut worker);
        owed = match urgency {
            Urgency::Foreground => owed.saturating_sub(began.elapsed()),
            Urgency::Background => began.elapsed(),
        };
    }
    drop(worker);
    drop(end);
}

impl Taken {
    /// A job that waits already. `owed`: the time that those in the foreground go first.
    fn waiting(&self, owed: Duration) -> Option<(Urgency, Job)> {
        let foreground = || self.foreground.try_recv().ok().map(|job| (Urgency::Foreground, job));
        let background = || self.background.try_recv().ok().map(|job| (Urgency::Background, job));
        if owed > Duration::ZERO {
            foreground().or_else(background)
        } else {
            background().or_else(foreground)
        }
    }

    /// The next job, as soon as there is one; `None` when the pool is closed and all that waited is done.
    fn come(&self) -> Option<(Urgency, Job)> {
        let come = select! {
            recv(self.foreground) -> job => job.ok().map(|job| (Urgency::Foreground, job)),
            recv(self.background) -> job => job.ok().map(|job| (Urgency::Background, job)),
            recv(self.closing) -> _ => None,
        };
        come.or_else(|| self.waiting(Duration::ZERO))
    }
}

/// How one attempt ended.
enum Outcome<T, E> {
    Done(Result<T, E>),
    /// Nothing was stored, and another attempt may succeed.
    Again(Failure, E),
}

impl Worker {
    fn transact<T, E: From<Error>>(
        &mut self,
        mode: Mode,
        f: &dyn Fn(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(mode, f);
            let counts = self.session.take_counts();
            self.totals.round_trips.fetch_add(counts.round_trips, Ordering::Relaxed);
            match outcome {
                Outcome::Done(Ok(value)) => {
                    self.totals.transactions.fetch_add(1, Ordering::Relaxed);
                    self.totals.rows_written.fetch_add(counts.rows_written, Ordering::Relaxed);
                    self.totals.syncs.fetch_add(u64::from(counts.rows_written > 0), Ordering::Relaxed);
                    return Ok(value);
                }
                Outcome::Done(Err(error)) => return Err(error),
                Outcome::Again(_, error) if attempt == ATTEMPTS_MAX => return Err(error),
                Outcome::Again(failure, _) => rest(pause(failure, attempt, self.number)),
            }
            attempt += 1;
        }
    }

    fn attempt<T, E: From<Error>>(
        &mut self,
        mode: Mode,
        f: &dyn Fn(&mut Tx<'_>) -> Result<T, E>,
    ) -> Outcome<T, E> {
        if let Err(error) = self.session.begin(mode) {
            return self.begin_failed(error);
        }
        let mut tx = Tx::new(&mut self.session);
        let result = catch_unwind(AssertUnwindSafe(|| f(&mut tx)));
        let failure = tx.failure();
        match (result, failure) {
            (Err(payload), _) => {
                self.session.discard();
                Outcome::Done(Err(E::from(Error::Panicked { message: panic_message(payload.as_ref()) })))
            }
            (Ok(result), Some(failure)) => {
                self.session.rollback();
                let error = result.err().unwrap_or_else(|| E::from(Error::Aborted));
                match failure {
                    Failure::Conflict | Failure::Lost => Outcome::Again(failure, error),
                    Failure::Final => Outcome::Done(Err(error)),
                }
            }
            (Ok(Err(error)), None) => {
                self.session.rollback();
                Outcome::Done(Err(error))
            }
            (Ok(Ok(value)), None) => self.commit(mode, value),
        }
    }

    /// On SQLite, `Busy` comes after the whole wait for the lock, so it is not tried again.
    fn begin_failed<T, E: From<Error>>(&mut self, error: Error) -> Outcome<T, E> {
        match Failure::of(&error) {
            Failure::Lost => Outcome::Again(Failure::Lost, E::from(error)),
            Failure::Conflict if self.session.engine() == Engine::Postgres => {
                Outcome::Again(Failure::Conflict, E::from(error))
            }
            Failure::Conflict | Failure::Final => Outcome::Done(Err(E::from(error))),
        }
    }

    fn commit<T, E: From<Error>>(&mut self, mode: Mode, value: T) -> Outcome<T, E> {
        let error = match self.session.commit() {
            Ok(()) => return Outcome::Done(Ok(value)),
            Err(error) => error,
        };
        self.session.rollback();
        match (&error, Failure::of(&error)) {
            // A read has stored nothing and has its rows.
            (Error::CommitUnknown { .. }, _) if mode == Mode::Read => Outcome::Done(Ok(value)),
            (_, failure @ (Failure::Conflict | Failure::Lost)) => Outcome::Again(failure, E::from(error)),
            (_, Failure::Final) => Outcome::Done(Err(E::from(error))),
        }
    }
}

/// Grows with the attempt, and differs between threads so that two in conflict do not meet again.
fn pause(failure: Failure, attempt: u32, thread: u32) -> Duration {
    let first = match failure {
        Failure::Conflict | Failure::Final => CONFLICT_PAUSE,
        Failure::Lost => RECONNECT_PAUSE,
    };
    let jitter = Duration::from_millis(u64::from((thread * 7 + attempt * 5) % 16));
    first * 2_u32.pow(attempt - 1) + jitter
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread is the connection's own and has no work until it runs again"
)]
fn rest(pause: Duration) {
    thread::sleep(pause);
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
