//! Which gateway a connection is, in this process. Only the sandbox for now: one at a URL, or one that
//! runs inside the process with its book beside the database.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use billing::id::{AccountId, ConnectionId};
use billing::mode::Mode;
use gateway::Gateway;
use gateway::sandbox::Sandbox;

use crate::accounts;
use crate::app::App;
use crate::clock;
use crate::failure::Failure;

/// The name of the stand-in gateway in `gateway_connections`. Persisted; keep stable.
pub const SANDBOX: &str = "sandbox";
/// The book of a sandbox inside the process, in the data directory.
pub(crate) const BOOK: &str = "sandbox-book.jsonl";

/// Where the sandbox is.
pub enum SandboxAt {
    /// A server of its own.
    Url(String),
    /// Inside this process.
    Inside(sandbox::Server),
}

impl SandboxAt {
    /// The sandbox at `url`, or a new one inside the process with its book in `data_dir`.
    pub async fn find(url: Option<String>, data_dir: &Path) -> Result<Self, Failure> {
        match url {
            Some(url) => Ok(Self::Url(url)),
            None => Self::start(data_dir).await,
        }
    }

    async fn start(data_dir: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(data_dir)
            .map_err(|error| Failure::failed(format!("--data-dir {}: {error}", data_dir.display())))?;
        let config = sandbox::Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            book: data_dir.join(BOOK),
            faults: sandbox::Faults::default(),
            seed: 0,
        };
        let server = sandbox::start(config).await.map_err(|error| {
            Failure::failed(format!("the sandbox inside this process does not start: {error}"))
        })?;
        Ok(Self::Inside(server))
    }

    /// Its address.
    pub fn url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Inside(server) => server.url(),
        }
    }

    /// An adapter that speaks to it. Error: it cannot be reached.
    pub async fn connect(&self) -> Result<Arc<dyn Gateway>, Failure> {
        let url = self.url();
        let adapter = Sandbox::connect(&url)
            .await
            .map_err(|error| Failure::failed(format!("the sandbox at {url} cannot be used: {error}")))?;
        Ok(Arc::new(adapter))
    }

    /// Stops it if it is inside the process, after it has executed what it accepted.
    pub async fn stop(self) {
        match self {
            Self::Url(_) => {}
            Self::Inside(server) => server.stop().await,
        }
    }
}

/// The sandbox connection of an account's test side, made on first use. No other side has one, whatever is served.
pub async fn sandbox_connection(app: &App, account: AccountId) -> Result<ConnectionId, Failure> {
    let (key, side, now) = (app.key.clone(), (account, Mode::Test), clock::now());
    Ok(app.db.write(move |tx| accounts::ensure_connection(tx, &key, side, SANDBOX, now)).await?)
}
