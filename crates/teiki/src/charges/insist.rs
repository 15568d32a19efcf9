//! Insist: writes down what is known, again while the database fails.
//!
//! For half a minute; then it is left to be found out, which is safe.

use std::time::Duration;

use db::Error;

/// When it is tried again after the database failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often.
const RETRY_MAX: u32 = 60;

/// Calls `write` until it succeeds, or fails for another reason than the database's. It is told whether what it wrote before may be
/// there after all: the outcome of a commit is not known then, and others may have gone on from it.
pub(super) async fn insist<T, F>(mut write: impl FnMut(bool) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let (mut tries, mut may_be_there) = (0, false);
    loop {
        match write(may_be_there).await {
            Err(
                error @ (Error::ConnectionLost { .. } | Error::CommitUnknown { .. } | Error::Busy { .. }),
            ) if tries < RETRY_MAX => {
                tries += 1;
                may_be_there |= matches!(error, Error::CommitUnknown { .. });
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            other => return other,
        }
    }
}
