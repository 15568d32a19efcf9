//! The project's own tools: `cargo xtask tidy`, `cargo xtask bench`, `cargo xtask openapi`.
//!
//! Each tool is a folder of its own beside this file and a variant of `Tool`. Nothing of teiki depends on this crate.

mod bench;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tools.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Checks the rules of the tree that neither the compiler nor clippy knows.
    Tidy,
    /// Measures how fast teiki is, beside what the same machine can do at best.
    Bench(bench::BenchArguments),
    /// Writes the OpenAPI document of the code to docs/api/openapi.json.
    Openapi,
}

fn main() -> ExitCode {
    match Arguments::parse().tool {
        Tool::Tidy => tidy::run(&repository_root()),
        Tool::Openapi => openapi(&repository_root()),
        Tool::Bench(arguments) => bench::run(&repository_root(), &arguments),
    }
}

fn openapi(root: &Path) -> ExitCode {
    let path = root.join("docs/api/openapi.json");
    match std::fs::write(&path, teiki::openapi::text()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("openapi: could not write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace, which this crate is a folder of.
fn repository_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("this crate is a folder of the workspace").to_path_buf()
}
