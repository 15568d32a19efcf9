//! What the rules need of a `Cargo.toml`: its dependency lines.
//!
//! Reads the plain form that this project writes: tables in brackets, `key = value` on a line, a value in brackets may go on
//! over several. It is not a TOML parser; cargo has already refused what is not TOML.

/// One `Cargo.toml`.
pub(super) struct Manifest {
    pub(super) path: String,
    /// `package.name`; empty for the workspace's own manifest.
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a dependency table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) line: usize,
    pub(super) table: Table,
    pub(super) name: String,
    /// What stands right of the name: `.workspace = true`, `= "1"`, `= { … }`.
    pub(super) value: String,
    /// The lines of comment directly above; empty if there are none.
    pub(super) comment: String,
}

/// Which kind of dependency table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Workspace,
    Normal,
    Dev,
    Build,
}

impl Manifest {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut manifest = Self { path: path.to_owned(), name: String::new(), dependencies: Vec::new() };
        let mut header = String::new();
        let mut comment = String::new();
        let mut open_brackets = 0;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            let continued = open_brackets > 0;
            if continued || !(line.starts_with('#') || line.starts_with('[')) {
                open_brackets += line.matches(['[', '{']).count();
                open_brackets = open_brackets.saturating_sub(line.matches([']', '}']).count());
            }
            if continued {
                if let Some(last) = manifest.dependencies.last_mut() {
                    last.value.push_str(line);
                }
            } else if let Some(words) = line.strip_prefix('#') {
                comment.push_str(words);
            } else {
                manifest.take(line, index + 1, &mut header, std::mem::take(&mut comment));
            }
        }
        manifest
    }

    fn take(&mut self, line: &str, number: usize, header: &mut String, comment: String) {
        if line.starts_with('[') {
            *header = line.trim_matches(['[', ']']).to_owned();
            if let Some((table, name)) =
                header.rsplit_once('.').and_then(|(head, name)| Some((table(head)?, name)))
            {
                // `[dependencies.name]`: what follows are its keys, which no rule reads.
                let value = "= { … }".to_owned();
                self.dependencies.push(Dependency {
                    line: number,
                    table,
                    name: name.to_owned(),
                    value,
                    comment,
                });
            }
        } else if header == "package" && line.starts_with("name") {
            self.name = line.split('"').nth(1).unwrap_or_default().to_owned();
        } else if let (Some(table), Some(end)) = (table(header), line.find(['.', ' ', '='])) {
            let value = line[end..].trim().to_owned();
            self.dependencies.push(Dependency {
                line: number,
                table,
                name: line[..end].to_owned(),
                value,
                comment,
            });
        }
    }
}

/// The kind of a table by its header; tables for one platform count like the others.
fn table(header: &str) -> Option<Table> {
    match header.rsplit_once('.').map_or(header, |(_, last)| last) {
        "dependencies" if header == "workspace.dependencies" => Some(Table::Workspace),
        "dependencies" => Some(Table::Normal),
        "dev-dependencies" => Some(Table::Dev),
        "build-dependencies" => Some(Table::Build),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Manifest, Table};

    #[test]
    fn dependency_lines_of_every_table_are_read() {
        let text = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n[dependencies]\n# Why.\nb.workspace = true\n\
                    c = { version = \"1\", features = [\n  \"x\",\n] }\n[target.'cfg(unix)'.dev-dependencies]\nd = \"1\"\n\
                    [build-dependencies.e]\nversion = \"1\"\n";
        let manifest = Manifest::parse("a/Cargo.toml", text);
        let found: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|found| (found.line, found.table, found.name.as_str()))
            .collect();
        let wanted = [
            (7, Table::Normal, "b"),
            (8, Table::Normal, "c"),
            (12, Table::Dev, "d"),
            (13, Table::Build, "e"),
        ];
        assert_eq!(manifest.name, "a");
        assert_eq!(found, wanted);
        assert_eq!(manifest.dependencies[0].value, ".workspace = true");
        assert_eq!(manifest.dependencies[0].comment, " Why.");
        assert!(manifest.dependencies[1].value.contains("\"x\""));
    }
}
