//! Work that gives way to requests: what a server does on its own, while people wait for what they ask.
//!
//! ```text
//! requests ──▶ threads of their own ──▶ their connections ──▶ the one writer of SQLite:
//! work     ──▶ threads of its own   ──▶ its connections   ──▶ it takes turns
//! ```
//! And while requests come, work asks for little at a time and rests in between ([`db::Db::background`],
//! [`db::Db::is_pressed`]): nobody waits for a whole batch. It never stands still: decision 0012.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::app::App;
use crate::failure::Failure;

/// Threads and database connections for work.
pub struct Background {
    /// The installation, through connections that give way.
    pub app: App,
    handle: Handle,
    /// There until this is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts them. Error: the system gives no threads, or the database no connections.
    pub async fn start(app: &App) -> Result<Self, Failure> {
        let failed = |error: String| Failure::failed(format!("work in the background cannot start: {error}"));
        let db = app.db.background().await.map_err(|error| failed(error.to_string()))?;
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("teiki-work")
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let handle = runtime.handle().clone();
        Ok(Self { app: App { db, ..app.clone() }, handle, runtime: Some(runtime) })
    }

    /// Where its tasks are started.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    /// Ends the threads without waiting for them, which asynchronous code must not: also when a server could not start.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
