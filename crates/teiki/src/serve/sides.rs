//! The charge lines of this process, one for each account that anything was charged for.
//!
//! The scheduler and the requests charge through the same line, so that breaker, pace and what is under way are known to
//! both. Only the test side has gateways yet: a sandbox, at the URL that was given or inside this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use billing::id::AccountId;
use billing::mode::Mode;
use tokio::sync::OnceCell;

use crate::accounts::Account;
use crate::app::App;
use crate::failure::Failure;
use crate::gateways::{self, SandboxAt};
use crate::line::Line;

/// An account with the line that it is charged through.
pub(crate) struct Side {
    pub(crate) account: Account,
    pub(crate) line: Arc<Line>,
}

/// All of them.
pub(crate) struct Sides {
    app: App,
    sandbox_url: Option<String>,
    data_dir: PathBuf,
    sandbox: OnceCell<SandboxAt>,
    known: Mutex<BTreeMap<AccountId, Arc<Side>>>,
}

impl Sides {
    pub(crate) fn new(app: App, sandbox_url: Option<String>, data_dir: PathBuf) -> Self {
        Self { app, sandbox_url, data_dir, sandbox: OnceCell::new(), known: Mutex::default() }
    }

    /// The side of an account, made on first use.
    pub(crate) async fn of(&self, account: &Account) -> Result<Arc<Side>, Failure> {
        if let Some(side) = self.known_as(account) {
            return Ok(side);
        }
        let mut connections = Vec::new();
        if self.app.mode == Mode::Test {
            let start = || SandboxAt::find(self.sandbox_url.clone(), &self.data_dir);
            let sandbox = self.sandbox.get_or_try_init(start).await?;
            let id = gateways::sandbox_connection(&self.app, account).await?;
            connections.push((id, sandbox.connect().await?));
        }
        let line = Arc::new(Line::new(self.app.db.clone(), self.app.key.clone(), connections));
        let side = Arc::new(Side { account: account.clone(), line });
        // Whoever was first is kept: there is one line for an account.
        Ok(Arc::clone(self.known().entry(account.id).or_insert(side)))
    }

    /// The known side of an account, with its settings as they are now.
    fn known_as(&self, account: &Account) -> Option<Arc<Side>> {
        let mut known = self.known();
        let side = known.get_mut(&account.id)?;
        if side.account != *account {
            *side = Arc::new(Side { account: account.clone(), line: Arc::clone(&side.line) });
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
