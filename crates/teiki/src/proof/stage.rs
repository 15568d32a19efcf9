//! Where a proof takes place: a folder, a database of its own, and the processes that work on them.
//!
//! Every process is this same binary, started as a person would start it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use db::{Db, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::{Engine, Order, input, store};
use crate::failure::Failure;

/// What the broken protocols are selected by, in a build that has them.
pub(super) const BREAK: &str = "TEIKI_BREAK";
/// The last lines of a process that are shown when it fails.
const SHOWN_LINES: usize = 12;

/// A folder and a database.
pub(super) struct Stage {
    folder: PathBuf,
    program: PathBuf,
    /// Where the processes find the database; may hold a password.
    url: String,
    scratch: Option<Scratch>,
    broken: Option<&'static str>,
}

/// The schema of a proof on PostgreSQL.
struct Scratch {
    server: Db,
    schema: String,
}

impl Stage {
    /// Prepares `folder`, which is empty, and a database for `order`. `name` is new.
    pub(super) async fn set(order: &Order, folder: PathBuf, name: &str) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::failed(format!("this program cannot find itself to start it again: {error}"))
        })?;
        let broken = order.broken.map(super::Break::name);
        let (url, scratch) = match &order.engine {
            Engine::Sqlite => (format!("sqlite:{}", folder.join("teiki.db").display()), None),
            Engine::Postgres(server) => {
                let scratch = Scratch::create(server, name).await?;
                (scratch.url(server), Some(scratch))
            }
        };
        Ok(Self { folder, program, url, scratch, broken })
    }

    /// A file of the proof.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Opens the database, to look at it.
    pub(super) async fn open(&self) -> Result<Db, Failure> {
        let url = self.url.parse().map_err(|error: db::UrlError| Failure::failed(error.to_string()))?;
        let options = Options { readers: 1, writers: 1, ..Options::default() };
        Db::open(&url, &options).await.map_err(|error| Failure::failed(error.to_string()))
    }

    /// Takes away what is not in the folder.
    pub(super) async fn strike(self) -> Result<(), Failure> {
        match self.scratch {
            Some(scratch) => scratch.remove().await,
            None => Ok(()),
        }
    }

    /// Makes an account and imports `count` subscribers; the account's id.
    pub(super) async fn import(&self, count: u64) -> Result<String, Failure> {
        let (plans, subscribers) = (self.path("plans.csv"), self.path("subscribers.csv"));
        input::write(&plans, &subscribers, count)?;
        let created = self.answer(["account", "create", "teiki proof"].map(OsStr::new).to_vec()).await?;
        let account = created["account"].as_str().unwrap_or_default().to_owned();
        let mut args = ["import", "--account", &account, "--clock", input::CLOCK].map(OsStr::new).to_vec();
        args.extend([
            OsStr::new("--plans"),
            plans.as_os_str(),
            OsStr::new("--subscribers"),
            subscribers.as_os_str(),
        ]);
        self.answer(args).await?;
        Ok(account)
    }

    /// Runs a command to its end; its answer.
    async fn answer(&self, args: Vec<&OsStr>) -> Result<Value, Failure> {
        let shown = format!("teiki {}", args[0].display());
        let output = self.command(&args).output().await.map_err(|error| not_started(&error))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::failed(format!("{shown} failed: {reason}")));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::failed(format!("the answer of {shown}: {error}")))
    }

    fn command(&self, args: &[&OsStr]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).args(["--json", "--mode", "test"]);
        command.env("TEIKI_DATABASE", &self.url).env("TEIKI_DATA", &self.folder).env_remove(BREAK);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Starts the gateway.
    pub(super) async fn gateway(&self, faults: &str, seed: u64) -> Result<Gateway, Failure> {
        let (book, seed) = (self.path("book.jsonl"), seed.to_string());
        let mut args = ["sandbox", "--listen", "127.0.0.1:0", "--faults", faults, "--seed", &seed]
            .map(OsStr::new)
            .to_vec();
        args.extend([OsStr::new("--book"), book.as_os_str()]);
        let mut process =
            self.command(&args).stderr(Stdio::inherit()).spawn().map_err(|error| not_started(&error))?;
        let mut answer = String::new();
        if let Some(out) = process.stdout.as_mut() {
            // A sandbox that does not start has said why on standard error.
            let _ = BufReader::new(out).read_line(&mut answer).await;
        }
        let answer: Value =
            serde_json::from_str(&answer).map_err(|_| Failure::failed("the sandbox did not start"))?;
        let url = answer["url"].as_str().unwrap_or_default().to_owned();
        Ok(Gateway { process, url, book })
    }

    /// Starts `teiki run` for `account`, charging through the gateway at `url`.
    pub(super) fn run(&self, account: &str, url: &str) -> Result<Run, Failure> {
        let args = ["run", "--account", account, "--until", input::UNTIL, "--sandbox", url].map(OsStr::new);
        let mut command = self.command(&args);
        if let Some(broken) = self.broken {
            command.env(BREAK, broken);
        }
        let mut process = command.spawn().map_err(|error| not_started(&error))?;
        let (Some(out), Some(err)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(Failure::failed("the output of teiki run cannot be read"));
        };
        Ok(Run { process, _out: out, err: BufReader::new(err).lines(), said: Vec::new() })
    }
}

fn not_started(error: &std::io::Error) -> Failure {
    Failure::failed(format!("this program cannot be started again: {error}"))
}

impl Scratch {
    async fn create(server: &str, name: &str) -> Result<Self, Failure> {
        let url =
            server.parse().map_err(|error: db::UrlError| Failure::usage(format!("--database: {error}")))?;
        let options = Options { readers: 1, writers: 1, ..Options::default() };
        let server = Db::open(&url, &options).await.map_err(|error| Failure::failed(error.to_string()))?;
        let schema = name.to_owned();
        let made = server.write(move |tx| store::create_schema(tx, &schema)).await;
        made.map_err(|error: db::Error| {
            Failure::failed(format!("the schema of the proof cannot be made: {error}"))
        })?;
        Ok(Self { server, schema: name.to_owned() })
    }

    fn url(&self, server: &str) -> String {
        let mark = if server.contains('?') { '&' } else { '?' };
        format!("{server}{mark}options=-csearch_path%3D{}", self.schema)
    }

    async fn remove(self) -> Result<(), Failure> {
        let schema = self.schema.clone();
        let dropped = self.server.write(move |tx| store::drop_schema(tx, &schema)).await;
        self.server.close().await;
        dropped.map_err(|error: db::Error| {
            Failure::failed(format!("the schema {} is left: {error}", self.schema))
        })
    }
}

/// The running gateway. It is never killed.
pub(super) struct Gateway {
    process: Child,
    pub(super) url: String,
    book: PathBuf,
}

impl Gateway {
    /// Asks it to end, which it does when it has executed all that it accepted. Its book.
    pub(super) async fn stop(mut self) -> Result<PathBuf, Failure> {
        let failed = |reason: String| Failure::failed(format!("the sandbox did not end well: {reason}"));
        let pid = self
            .process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .ok_or_else(|| failed("it had ended before".into()))?;
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| failed(error.to_string()))?;
        let status = self.process.wait().await.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(self.book) } else { Err(failed(status.to_string())) }
    }
}

/// A running `teiki run`.
pub(super) struct Run {
    process: Child,
    // Held open so that it can print its answer.
    _out: ChildStdout,
    err: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Run {
    /// Waits until it begins to work. Error: it ended before.
    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        while let Ok(Some(line)) = self.err.next_line().await {
            if line == "ready" {
                return Ok(());
            }
            self.said.push(line);
        }
        Err(Failure::failed(format!("teiki run ended before it began to work: {}", self.said.join("\n"))))
    }

    /// Waits for its end; the exit code, and what it said last.
    pub(super) async fn ended(&mut self) -> Result<(Option<i32>, String), Failure> {
        while let Ok(Some(line)) = self.err.next_line().await {
            self.said.push(line);
        }
        let status = self.process.wait().await.map_err(|error| Failure::failed(error.to_string()))?;
        let shown = self.said.len().saturating_sub(SHOWN_LINES);
        Ok((status.code(), self.said[shown..].join("\n")))
    }

    /// SIGKILL, and the certainty that it is dead. `false`: it had ended by itself.
    pub(super) async fn kill(&mut self) -> Result<bool, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("teiki run cannot be killed: {error}"));
        if self.process.try_wait().map_err(failed)?.is_some() {
            return Ok(false);
        }
        self.process.start_kill().map_err(failed)?;
        let status = self.process.wait().await.map_err(failed)?;
        // It may have ended in the very moment of the kill.
        Ok(status.code().is_none())
    }
}

/// Makes `folder` if need be. Error: it is not empty.
pub(super) fn empty(folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("--dir {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(Failure::usage(format!(
            "--dir {}: the folder is not empty; name a new one",
            folder.display()
        )));
    }
    Ok(())
}
