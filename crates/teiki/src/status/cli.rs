//! `teiki status`.

use clap::Args;

use super::{status, view};
use crate::app::{App, Missing, Setting};
use crate::failure::Failure;
use crate::{clock, output};

/// Show where each account stands and what needs a person.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki status                         every account, test side
  teiki status --account acct_… --mode live
  teiki status --json | jq '.accounts[].held'

It only reads, and works beside a running `teiki serve` or `teiki run`. What is wrong is found by `teiki doctor`.")]
pub struct StatusArgs {
    /// Only this account.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

/// Runs `teiki status`.
pub async fn run(setting: &Setting, args: StatusArgs) -> Result<(), Failure> {
    App::with(setting, Missing::Refuse, async |app| {
        let status = status(&app.db, app.mode, args.account.as_deref(), clock::now()).await?;
        output::print(app.format, &status, view::text)
    })
    .await
}
