//! `teiki hold`, `teiki hold on`, `teiki hold off`.

use clap::{Args, Subcommand};

use super::{ALL, view};
use crate::app::{App, Missing, Setting};
use crate::failure::Failure;
use crate::{accounts, clock, output};

/// Stop charging, and let it go on; without a word after it, show what is held.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki hold                                   what is held, since when and why
  teiki hold on --reason 'gateway maintenance'  stop charging for every account
  teiki hold on --account acct_…               stop one account
  teiki hold off --account acct_…              let it go on

A hold stops both sides of an account, test and live. What is already on its way to a gateway is settled.")]
pub struct HoldArgs {
    #[command(subcommand)]
    command: Option<HoldCommand>,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// Stop charging. A hold that is there already stays as it is.
    #[command(
        after_help = "Example:\n  teiki hold on --account acct_… --reason 'prices are wrong, see ticket 12'"
    )]
    On {
        /// Only this account; every account without it.
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Why: shown by `teiki status` and to who releases it.
        #[arg(long, value_name = "TEXT", default_value = "placed by an operator")]
        reason: String,
    },
    /// Let charging go on.
    #[command(after_help = "Example:\n  teiki hold off --account acct_…")]
    Off {
        /// The hold of this account; the hold of every account without it.
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Show what is held.
    Status,
}

/// Longest reason, in characters: a paragraph, and a line of a mail.
const REASON_MAX: usize = 500;

/// Runs `teiki hold …`.
pub async fn run(setting: &Setting, args: HoldArgs) -> Result<(), Failure> {
    App::with(setting, Missing::Refuse, async |app| hold(app, args.command).await).await
}

async fn hold(app: &App, command: Option<HoldCommand>) -> Result<(), Failure> {
    match command.unwrap_or(HoldCommand::Status) {
        HoldCommand::On { account, reason } => {
            let reason = reason_of(&reason)?;
            let scope = scope(app, account).await?;
            let placed = super::hold(&app.db, scope, reason, clock::now()).await?;
            output::print(app.format, &placed, view::placed)
        }
        HoldCommand::Off { account } => {
            let scope = scope(app, account).await?;
            let released = super::release(&app.db, scope).await?;
            output::print(app.format, &released, view::released)
        }
        HoldCommand::Status => {
            let holds = app.db.read(super::list).await?;
            output::print(app.format, &view::Holds { holds }, view::list)
        }
    }
}

async fn scope(app: &App, account: Option<String>) -> Result<String, Failure> {
    match account {
        None => Ok(ALL.to_owned()),
        Some(id) => Ok(accounts::get(&app.db, &id).await?.id.to_string()),
    }
}

fn reason_of(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > REASON_MAX {
        return Err(Failure::usage(format!("--reason has 1 to {REASON_MAX} characters")));
    }
    Ok(text.to_owned())
}
