//! The `teiki` binary: reads the command line, runs it, turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    teiki::cli::main()
}
