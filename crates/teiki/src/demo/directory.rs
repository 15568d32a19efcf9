//! The directory of the demo: made by it, marked as such, and replaced by nothing else.
//!
//! A directory without the mark is never touched, not even when it is empty. Of a directory with the mark only
//! the files named here are replaced; what a person put beside them stays. One demo at a time works in it:
//! that is the lock of a charging process, which a `teiki serve` or `teiki run` there holds too.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use db::{ChargingLock, DatabaseUrl, LockError};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::gateways;

/// The plans, as `teiki import` reads them.
pub(super) const PLANS: &str = "plans.csv";
/// The subscribers, as `teiki import` reads them.
pub(super) const SUBSCRIBERS: &str = "subscribers.csv";
/// The database, where `--data-dir` looks for it.
const DATABASE: &str = "teiki.db";
/// Says that the demo made this directory. Persisted; keep stable.
const MARK: &str = "made-by-teiki-demo.json";
/// Everything else that a demo leaves behind and the next one replaces.
const REPLACED: [&str; 7] = [
    PLANS,
    SUBSCRIBERS,
    gateways::BOOK,
    "sandbox-book.jsonl.state",
    DATABASE,
    "teiki.db-wal",
    "teiki.db-shm",
];

/// The content of the mark.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    made_by: String,
    version: String,
}

/// Whose mark it is.
const MADE_BY: &str = "teiki demo";

/// A directory that this process alone works in.
pub(super) struct Directory {
    /// Its path, as it was asked for.
    pub(super) path: PathBuf,
    /// The database in it.
    pub(super) database: DatabaseUrl,
    _lock: ChargingLock,
}

impl Directory {
    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes the directory, or takes over the one that a former demo made and empties it of that demo's files.
pub(super) fn make(path: &Path) -> Result<Directory, Failure> {
    let url = format!("sqlite:{}", path.join(DATABASE).display());
    let database: DatabaseUrl = url.parse().map_err(|error| Failure::usage(format!("--dir: {error}")))?;
    let is_new = match fs::symlink_metadata(path) {
        Ok(found) => {
            check_mark(path, found.is_dir())?;
            false
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path).map_err(|error| cannot(path, &error))?;
            write_mark(path)?;
            true
        }
        Err(error) => return Err(cannot(path, &error)),
    };
    let lock = ChargingLock::acquire(&database).map_err(|error| in_use(path, &error))?;
    if !is_new {
        remove_former(path)?;
        write_mark(path)?;
    }
    Ok(Directory { path: path.to_owned(), database, _lock: lock })
}

fn check_mark(path: &Path, is_directory: bool) -> Result<(), Failure> {
    let is_marked = is_directory
        && fs::read(path.join(MARK))
            .ok()
            .and_then(|text| serde_json::from_slice::<Mark>(&text).ok())
            .is_some_and(|mark| mark.made_by == MADE_BY);
    if is_marked {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} exists and was not made by `teiki demo`, so nothing in it was touched; name another directory with --dir, or move this one away",
        path.display()
    )))
}

fn write_mark(path: &Path) -> Result<(), Failure> {
    let mark = Mark { made_by: MADE_BY.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let text = serde_json::to_vec(&mark)
        .map_err(|error| Failure::failed(format!("the mark is no JSON: {error}")))?;
    write(&path.join(MARK), &text)
}

/// Writes a file of the demo.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    fs::File::create(path).and_then(|mut file| file.write_all(content)).map_err(|error| cannot(path, &error))
}

fn remove_former(path: &Path) -> Result<(), Failure> {
    for name in REPLACED {
        let file = path.join(name);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(cannot(&file, &error)),
        }
    }
    Ok(())
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be used: {error}", path.display()))
}

fn in_use(path: &Path, error: &LockError) -> Failure {
    match error {
        LockError::InUse { pid } => {
            let whose = pid.map_or(String::new(), |pid| format!(" (process {pid})"));
            Failure::usage(format!(
                "a demo or another teiki{whose} is at work in {}; let it finish or end it, or name another directory with --dir",
                path.display()
            ))
        }
        LockError::Unusable { .. } => Failure::failed(error.to_string()),
    }
}
