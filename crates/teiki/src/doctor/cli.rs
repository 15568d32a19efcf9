//! `teiki doctor`.

use clap::Args;

use super::{doctor, view};
use crate::app::Setting;
use crate::failure::Failure;
use crate::output;

/// Look for what is wrong, and say what to do.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki doctor
  teiki doctor --json | jq '.checks[] | select(.level != \"ok\")'

It only reads, looks at both sides of every account, and works beside a running `teiki serve`.
Exit code: 0 without problems (warnings count as none), 1 with problems.")]
pub struct DoctorArgs {}

/// Runs `teiki doctor`.
pub async fn run(setting: &Setting, _args: DoctorArgs) -> Result<(), Failure> {
    let report = doctor(setting).await;
    output::print(setting.format, &report, view::text)?;
    match report.problems {
        0 => Ok(()),
        1 => Err(Failure::failed("the doctor found a problem")),
        problems => Err(Failure::failed(format!("the doctor found {problems} problems"))),
    }
}
