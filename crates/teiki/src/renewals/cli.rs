//! `teiki unpark`: bills parked subscriptions again, once what they lacked is corrected.

use clap::Args;
use serde::Serialize;

use super::parked;
use crate::app::{App, Missing, Setting};
use crate::failure::Failure;
use crate::{accounts, clock, output};

/// Bill parked subscriptions again. Those that still cannot be billed are parked again, with the reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki status --account acct_…                              which are parked, and why
  teiki unpark --account acct_…                              all of them
  teiki unpark --account acct_… --subscription sub_…         one of them

They are billed at the next turn of `teiki serve` or `teiki run`; what came due meanwhile is charged then.")]
pub struct UnparkArgs {
    /// The account.
    #[arg(long, value_name = "ID")]
    account: String,
    /// Only this subscription; all that are parked without it.
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
}

#[derive(Serialize)]
struct Unparked {
    unparked: usize,
}

/// Runs `teiki unpark`.
pub async fn run(setting: &Setting, args: UnparkArgs) -> Result<(), Failure> {
    App::with(setting, Missing::Refuse, async |app| unpark(app, args).await).await
}

async fn unpark(app: &App, args: UnparkArgs) -> Result<(), Failure> {
    let account = accounts::get(&app.db, &args.account).await?.id;
    let unparked =
        parked::release(&app.db, (account, app.mode), args.subscription.clone(), clock::now()).await?;
    if let (Some(subscription), 0) = (&args.subscription, unparked) {
        let message =
            format!("no parked subscription {subscription}; see `teiki status --account {account}`");
        return Err(Failure::usage(message));
    }
    output::print(app.format, &Unparked { unparked }, |done| match done.unparked {
        0 => "no subscription is parked".to_owned(),
        1 => "1 subscription is billed again".to_owned(),
        many => format!("{many} subscriptions are billed again"),
    })
}
