//! `teiki export`.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{ExportError, FileFormat, Request, Subject, export};
use crate::app::{App, Missing, Setting};
use crate::failure::{Code, Failure};
use crate::{accounts, output, progress, signals};

/// Write one kind of an account's rows, such as charges, customers or ledger entries, to a file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki export charges --account acct_… --output charges.csv
  teiki export subscriptions --account acct_… --bom --output subscriptions.csv   for Excel
  teiki export ledger --account acct_… --mode live --format jsonl | gzip > ledger.jsonl.gz

The columns are described in docs/exports.md. Test and live rows never mix: --mode says which.")]
pub struct ExportArgs {
    /// What to export.
    subject: Subject,
    /// Whose rows.
    #[arg(long, value_name = "ID")]
    account: String,
    /// How rows are written.
    #[arg(long, default_value = "csv")]
    format: FileFormat,
    /// The file to write; it is replaced when the export is complete. Standard output without it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Begin a CSV file with a byte order mark, so that Excel reads it as UTF-8.
    #[arg(long)]
    bom: bool,
}

/// The answer to an export that went to a file.
#[derive(Debug, Serialize)]
struct Exported {
    export: &'static str,
    account: String,
    mode: &'static str,
    format: &'static str,
    rows: u64,
    output: String,
}

/// Runs `teiki export …`.
pub async fn run(setting: &Setting, args: ExportArgs) -> Result<(), Failure> {
    if args.bom && args.format == FileFormat::Jsonl {
        return Err(Failure::usage("--bom is for --format csv; JSON Lines have no byte order mark"));
    }
    App::with(setting, Missing::Refuse, async |app| answer(app, args).await).await
}

async fn answer(app: &App, args: ExportArgs) -> Result<(), Failure> {
    let account = accounts::get(&app.db, &args.account).await?.id;
    let request =
        Request { account, mode: app.mode, subject: args.subject, format: args.format, bom: args.bom };
    match args.output {
        None => to_standard_output(app, request).await,
        Some(path) => {
            let rows = to_file(app, request, &path).await?;
            let exported = Exported {
                export: request.subject.as_str(),
                account: account.to_string(),
                mode: request.mode.as_str(),
                format: request.format.as_str(),
                rows,
                output: path.display().to_string(),
            };
            output::print(app.format, &exported, |done| {
                format!("{} rows of {} are in {}", done.rows, done.export, done.output)
            })
        }
    }
}

/// A reader that has seen enough (`| head`) ends the export, and that is no error.
async fn to_standard_output(app: &App, request: Request) -> Result<(), Failure> {
    let out = BufWriter::new(io::stdout());
    match export(&app.db, request, out, |_| ()).await {
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes beside `path` and renames when all is there; whatever ends it before, `path` stays as it was and
/// nothing is left beside it. Only this user may read the file: it holds customers' data.
async fn to_file(app: &App, request: Request, path: &Path) -> Result<u64, Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.file_name().is_none() || path.is_dir() {
        return Err(Failure::usage(format!("--output {} is a folder; name a file", path.display())));
    }
    let file = tempfile::Builder::new().prefix(".teiki-export-").tempfile_in(folder).map_err(|error| {
        Failure::usage(format!("--output: no file can be made in {}: {error}", folder.display()))
    })?;
    let bar = progress::bar(request.subject.as_str(), None, !io::stderr().is_terminal());
    let exporting = async {
        let mut out = BufWriter::new(file);
        let rows = export(&app.db, request, &mut out, |rows| bar.set_position(rows)).await?;
        let file = out.into_inner().map_err(|error| ExportError::Write(error.into_error()))?;
        Ok::<_, Failure>((rows, file))
    };
    let result = tokio::select! {
        result = exporting => result,
        // The unfinished file is removed on the way out.
        () = signals::wait() => Err(Failure {
            code: Code::Interrupted,
            message: "interrupted; nothing was written, run the same command again".into(),
        }),
    };
    bar.finish_and_clear();
    let (rows, file) = result?;
    keep(file, path)?;
    Ok(rows)
}

fn keep(mut file: NamedTempFile, path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("{} cannot be written: {error}", path.display()));
    file.flush().map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
