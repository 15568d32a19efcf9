//! The files of the repository: every text, and every Rust file taken apart once.
//!
//! Files are those git knows or would add; without git, the folder without `target` and `.git`. A file that is not UTF-8 keeps
//! its path and has no text. Paths are relative to the root, with `/`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

use super::Finding;
use super::manifest::Manifest;
use super::source::Source;

/// What the rules read.
pub(super) struct Tree {
    /// Text by path; `None` for what is not text.
    texts: BTreeMap<String, Option<String>>,
    sources: Vec<Source>,
    manifests: Vec<Manifest>,
    unreadable: Vec<Finding>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let paths = match tracked(root) {
            Some(paths) => paths,
            None => walked(root)?,
        };
        let mut texts = BTreeMap::new();
        for path in paths {
            match std::fs::read(root.join(&path)) {
                Ok(bytes) => drop(texts.insert(path, String::from_utf8(bytes).ok())),
                // Deleted, but the deletion is not yet known to git; or a link to a folder.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::new(texts))
    }

    /// A tree in memory, for the tests of the rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())));
        Self::new(texts.collect())
    }

    fn new(texts: BTreeMap<String, Option<String>>) -> Self {
        let mut sources = Vec::new();
        let mut manifests = Vec::new();
        let mut unreadable = Vec::new();
        for (path, text) in &texts {
            let Some(text) = text else { continue };
            if path.ends_with(".rs") {
                match Source::parse(path, text) {
                    Ok(source) => sources.push(source),
                    Err(finding) => unreadable.push(finding),
                }
            } else if path == "Cargo.toml" || path.ends_with("/Cargo.toml") {
                manifests.push(Manifest::parse(path, text));
            }
        }
        Self { texts, sources, manifests, unreadable }
    }

    /// Every path, also of what is not text.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// Every text file with its path.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path)?.as_deref()
    }

    /// Every Rust file that parses.
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Every `Cargo.toml`.
    pub(super) fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// A finding for each Rust file that does not parse.
    pub(super) fn unreadable(&self) -> &[Finding] {
        &self.unreadable
    }
}

/// What git tracks or would add; `None` where git or its folder is missing.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split_terminator('\0').map(str::to_owned).collect())
}

/// Every file below `root` but those of git and of builds.
fn walked(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name == ".git" || name == "target" {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::{tracked, walked};

    #[test]
    fn git_and_the_walk_both_find_this_file() {
        let root = crate::repository_root();
        let this = "xtask/src/tidy/tree.rs".to_owned();
        assert!(walked(&root).expect("the repository can be walked").contains(&this));
        if let Some(paths) = tracked(&root) {
            assert!(paths.contains(&this));
        }
    }
}
