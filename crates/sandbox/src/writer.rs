//! The thread that writes the book and its sidecar: many lines, one write, one sync, then all their waiters.
//!
//! Does not decide or format anything. Order: the handle, the thread. Cost of a batch: one `write`, one `fdatasync`
//! for each of the two files that got a line. Limit: the queue is bounded by the permits of `desk`. When writing fails
//! the thread ends, and from then on every append is an error: a book that cannot be written executes nothing.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// Bytes after which a batch is written although more lines wait.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The line could not be made durable; whether it is in the file is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the book cannot be written")]
pub(crate) struct NotWritten;

/// Which of the two files a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Book,
    Sidecar,
}

pub(crate) struct Writer {
    jobs: Sender<Job>,
    synced_lines: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Resolves when the line is on disk.
pub(crate) struct Durable(oneshot::Receiver<()>);

impl Durable {
    pub(crate) async fn wait(self) -> Result<(), NotWritten> {
        self.0.await.map_err(|_| NotWritten)
    }
}

enum Job {
    Append { target: Target, text: Vec<u8>, done: oneshot::Sender<()> },
    Flush { done: oneshot::Sender<()> },
    Close,
}

impl Writer {
    /// Starts the thread; `lines` is how many complete lines the book has already.
    pub(crate) fn start(book: Arc<File>, sidecar: File, lines: u64) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let synced_lines = Arc::new(AtomicU64::new(lines));
        let synced = Arc::clone(&synced_lines);
        let thread = std::thread::Builder::new().name("sandbox-book".to_owned()).spawn(move || {
            if let Err(error) = write_all_jobs(&queue, &book, &sidecar, &synced) {
                eprintln!("sandbox: the book cannot be written, nothing is executed any more: {error}");
            }
        })?;
        Ok(Self { jobs, synced_lines, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a line (with its end). Lines reach their file in the order of these calls.
    pub(crate) fn append(&self, target: Target, text: Vec<u8>) -> Durable {
        let (done, durable) = oneshot::channel();
        // When the thread has ended, the job and its sender are dropped here, which the waiter sees.
        let _ = self.jobs.send(Job::Append { target, text, done });
        Durable(durable)
    }

    /// Resolves when everything queued before is on disk.
    pub(crate) fn flush(&self) -> Durable {
        let (done, durable) = oneshot::channel();
        // As above.
        let _ = self.jobs.send(Job::Flush { done });
        Durable(durable)
    }

    /// How many lines of the book are on disk. Only these may be shown to anyone.
    pub(crate) fn synced_lines(&self) -> u64 {
        self.synced_lines.load(Ordering::Acquire)
    }

    /// Writes what is queued and ends the thread. Blocks.
    pub(crate) fn close(&self) {
        let _ = self.jobs.send(Job::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Batch {
    book: Vec<u8>,
    sidecar: Vec<u8>,
    book_lines: u64,
    waiters: Vec<oneshot::Sender<()>>,
    is_last: bool,
}

impl Batch {
    fn add(&mut self, job: Job) {
        match job {
            Job::Append { target, text, done } => {
                match target {
                    Target::Book => {
                        self.book.extend_from_slice(&text);
                        self.book_lines += 1;
                    }
                    Target::Sidecar => self.sidecar.extend_from_slice(&text),
                }
                self.waiters.push(done);
            }
            Job::Flush { done } => self.waiters.push(done),
            Job::Close => self.is_last = true,
        }
    }

    fn is_full(&self) -> bool {
        self.is_last || self.book.len() + self.sidecar.len() >= BATCH_BYTES_MAX
    }
}

fn write_all_jobs(
    queue: &Receiver<Job>,
    book: &File,
    sidecar: &File,
    synced_lines: &AtomicU64,
) -> io::Result<()> {
    let mut batch = Batch::default();
    while !batch.is_last {
        let Ok(first) = queue.recv() else {
            return Ok(());
        };
        batch.add(first);
        while !batch.is_full() {
            match queue.try_recv() {
                Ok(job) => batch.add(job),
                Err(_) => break,
            }
        }
        append_synced(sidecar, &mut batch.sidecar)?;
        append_synced(book, &mut batch.book)?;
        synced_lines.fetch_add(batch.book_lines, Ordering::Release);
        batch.book_lines = 0;
        for waiter in batch.waiters.drain(..) {
            // The one who asked may be gone; the line is written all the same.
            let _ = waiter.send(());
        }
    }
    Ok(())
}

fn append_synced(mut file: &File, text: &mut Vec<u8>) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    file.write_all(text)?;
    file.sync_data()?;
    text.clear();
    Ok(())
}
