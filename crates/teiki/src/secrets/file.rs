//! The file of the master key: 64 hex digits, readable by its owner only, and not in the database, so that a stolen backup
//! opens nothing.
//!
//! Either a file that was named, which must be there, or `secret.key` in the data directory, which is made when the first
//! secret is stored. It appears whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::sealed::{KEY_LENGTH, MasterKey};
use crate::failure::Failure;

/// Its name in the data directory.
const NAME: &str = "secret.key";

/// Where the master key is.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// Named by a person: it is never made here.
    is_named: bool,
}

impl KeyFile {
    /// The file that was named, or the one in the data directory.
    pub fn new(named: Option<PathBuf>, data_dir: &Path) -> Self {
        match named {
            Some(path) => Self { path, is_named: true },
            None => Self { path: data_dir.join(NAME), is_named: false },
        }
    }

    /// The key; `None` if there is no file. Error: it cannot be read, or what is in it is no key.
    pub(super) fn read(&self) -> Result<Option<MasterKey>, Failure> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", &error)),
        };
        self.warn_of_readers();
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| {
            Failure::failed(format!(
                "{} is not a secret key: it must hold 64 hex digits; restore it from your backup",
                self.path.display()
            ))
        })?;
        Ok(Some(MasterKey::new(*bytes)))
    }

    /// Error: it was named by a person, who then makes it as well.
    pub(super) fn must_not_be_named(&self) -> Result<(), Failure> {
        if !self.is_named {
            return Ok(());
        }
        let path = self.path.display();
        Err(Failure::failed(format!(
            "the secret key {path} is not there; make one, once: `(umask 077; openssl rand -hex 32 > {path})`"
        )))
    }

    /// The key, made of `random` if there is no file.
    pub(super) fn read_or_make(&self, random: &[u8; KEY_LENGTH]) -> Result<MasterKey, Failure> {
        if let Some(key) = self.read()? {
            return Ok(key);
        }
        self.must_not_be_named()?;
        self.make(random).map_err(|error| self.failed("write", &error))?;
        // Another process may have been first.
        self.read()?.ok_or_else(|| self.is_missing())
    }

    /// Writes the file under another name and links it, so that nobody sees a part of it and nothing is overwritten.
    fn make(&self, random: &[u8; KEY_LENGTH]) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Its name is random and it is new, so it is nobody else's, also where several processes have the same number; it is
        // for its owner alone, and removed if it is not linked. What a process that died here left holds a key of nothing.
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut draft = tempfile::Builder::new().prefix(NAME).suffix(".part").tempfile_in(folder)?;
        let text = Zeroizing::new(format!("{}\n", hex::encode(random)));
        draft.write_all(text.as_bytes())?;
        draft.as_file().sync_all()?;
        match draft.persist_noclobber(&self.path) {
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {}
            Err(refused) => return Err(refused.error),
            Ok(_) => {}
        }
        File::open(folder)?.sync_all()
    }

    fn warn_of_readers(&self) {
        let mode = fs::metadata(&self.path).map(|metadata| Permissions::mode(&metadata.permissions()));
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            tracing::warn!(file = %self.path.display(), "others than its owner can read the secret key; chmod 600 it");
        }
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> Failure {
        Failure::failed(format!("cannot {what} the secret key {}: {error}", self.path.display()))
    }

    /// It is needed and not there.
    pub(super) fn is_missing(&self) -> Failure {
        Failure::failed(format!(
            "the secret key {} is not there; copy it from the server that has it, or from your backup",
            self.path.display()
        ))
    }

    /// What is stored was encrypted under the key `wanted`, which is not the one found.
    pub(super) fn cannot_open(&self, wanted: &str, found: Option<&MasterKey>) -> Failure {
        let found =
            found.map_or_else(|| "is not there".to_owned(), |key| format!("holds another one, {}", key.id()));
        Failure::failed(format!(
            "secrets in this database are encrypted under the secret key {wanted}, and {} {found}. Copy the right file \
             there from your backup or from another server, or name it with --secret-key-file; nothing was changed",
            self.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::new(None, folder.path());
        assert!(file.read().expect("it reads").is_none());
        let made = file.read_or_make(&[1; 32]).expect("it is made");
        let again = file.read_or_make(&[2; 32]).expect("it is read");
        assert_eq!((made.id(), again.id()), (MasterKey::new([1; 32]).id(), made.id()));
        let entries: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        let mode = fs::metadata(folder.path().join(NAME)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn many_who_make_the_first_key_at_once_have_one_whole_key() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a folder");
            let file = KeyFile::new(None, folder.path());
            let begin = std::sync::Barrier::new(8);
            let ids: Vec<String> = std::thread::scope(|scope| {
                let make = |number: u8| {
                    let (file, begin) = (&file, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        file.read_or_make(&[number; 32]).expect("a key").id().to_owned()
                    })
                };
                let makers: Vec<_> = (0..8).map(make).collect();
                makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
            });
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_a_named_file_is_never_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("named");
        let file = KeyFile::new(Some(path.clone()), folder.path());
        assert!(file.read_or_make(&[1; 32]).is_err());
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            fs::write(&path, text).expect("it is written");
            assert!(file.read().is_err(), "{text}");
        }
        fs::write(&path, format!(" {}\n", "0".repeat(64))).expect("it is written");
        assert!(file.read().expect("it reads").is_some());
    }
}
