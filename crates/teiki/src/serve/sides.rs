//! The charge lines of this process, one for each account that anything was charged for.
//!
//! The scheduler and the requests charge through the same line, so that breaker, rate and what is under way are known to
//! both; but each with adapters and database connections of its own, so that requests do not wait behind a batch. Only the test side has gateways yet: a sandbox, at the URL that was given or inside this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use billing::id::AccountId;
use billing::mode::Mode;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::accounts::Account;
use crate::app::App;
use crate::background::Background;
use crate::failure::Failure;
use crate::gateways::{self, SandboxAt};
use crate::holds;
use crate::line::Line;

/// An account with the line that it is charged through.
pub(crate) struct Side {
    pub(crate) account: Account,
    /// For requests.
    pub(crate) line: Arc<Line>,
    /// The same line for work in the background.
    pub(crate) work: Arc<Line>,
}

/// All of them.
pub(crate) struct Sides {
    app: App,
    background: (App, Handle),
    sandbox_url: Option<String>,
    data_dir: PathBuf,
    sandbox: OnceCell<SandboxAt>,
    known: Mutex<BTreeMap<AccountId, Arc<Side>>>,
}

impl Sides {
    pub(crate) fn new(
        app: App,
        background: &Background,
        sandbox_url: Option<String>,
        data_dir: PathBuf,
    ) -> Self {
        let background = (background.app.clone(), background.handle().clone());
        Self { app, background, sandbox_url, data_dir, sandbox: OnceCell::new(), known: Mutex::default() }
    }

    /// The side of an account, made on first use.
    pub(crate) async fn of(&self, account: &Account) -> Result<Arc<Side>, Failure> {
        if let Some(side) = self.known_as(account) {
            return Ok(side);
        }
        let (mut connections, mut beside) = (Vec::new(), Vec::new());
        if self.app.mode == Mode::Test {
            let sandbox = self.sandbox.get_or_try_init(|| self.find_sandbox()).await?;
            let id = gateways::sandbox_connection(&self.app, account.id).await?;
            connections.push((id, sandbox.connect().await?));
            beside.push((id, sandbox.connect().await?));
        }
        let line = Line::new(self.app.db.clone(), self.app.key.clone(), self.app.mode, connections);
        // The scheduler looks again at each tick.
        let id = account.id;
        line.set_held(self.app.db.read(move |tx| holds::active(tx, id)).await?.is_some());
        let work = Arc::new(line.beside(self.background.0.db.clone(), beside));
        let side = Arc::new(Side { account: account.clone(), line: Arc::new(line), work });
        // Whoever was first is kept: there is one line for an account.
        Ok(Arc::clone(self.known().entry(account.id).or_insert(side)))
    }

    /// A sandbox inside the process is a stand-in for another machine: its work does not stand in the way of requests.
    async fn find_sandbox(&self) -> Result<SandboxAt, Failure> {
        let (url, folder) = (self.sandbox_url.clone(), self.data_dir.clone());
        let found = self.background.1.spawn(async move { SandboxAt::find(url, &folder).await });
        found.await.map_err(|error| Failure::failed(error.to_string()))?
    }

    /// The known side of an account, with its settings as they are now.
    fn known_as(&self, account: &Account) -> Option<Arc<Side>> {
        let mut known = self.known();
        let side = known.get_mut(&account.id)?;
        if side.account != *account {
            let (line, work) = (Arc::clone(&side.line), Arc::clone(&side.work));
            *side = Arc::new(Side { account: account.clone(), line, work });
        }
        Some(Arc::clone(side))
    }

    /// All that have been made.
    pub(crate) fn all(&self) -> Vec<Arc<Side>> {
        self.known().values().cloned().collect()
    }

    /// What is under way sends nothing more; the next work begins with lines of its own.
    pub(crate) fn stop_sending(&self) {
        let known = std::mem::take(&mut *self.known());
        for side in known.into_values() {
            side.line.stop();
        }
    }

    /// Stops a sandbox inside this process, after it has executed what it accepted.
    pub(crate) async fn stop_sandbox(self: Arc<Self>) {
        if let Some(sandbox) = Arc::into_inner(self).and_then(|sides| sides.sandbox.into_inner()) {
            sandbox.stop().await;
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<AccountId, Arc<Side>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
