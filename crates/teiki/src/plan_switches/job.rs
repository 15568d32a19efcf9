//! Reserves and undoes switches in a server, batch by batch, until nothing is left to do.
//!
//! A switch that a stop or a death interrupted is taken up again: where it is, is in its row. Processes that work on one
//! switch take turns.

use std::sync::Arc;
use std::time::Duration;

use billing::id::PlanSwitchId;
use tokio::sync::{Notify, watch};

use super::batches::{self, Left};
use super::store;
use crate::app::App;
use crate::clock;
use crate::web::ApiError;

/// Between two looks, unless the bell rings.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Works for as long as the server runs. `bell` is rung when a switch is made or undone.
pub(crate) async fn keep(app: App, bell: Arc<Notify>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        match app.db.read(store::at_work).await {
            Ok(found) => {
                for id in found {
                    if let Err(error) = round(&app, id, &stopping).await {
                        let cause = error.cause().unwrap_or("refused");
                        tracing::error!(%id, error = cause, "a plan switch could not go on; trying again");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "plan switches could not be looked for; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_PAUSE) => {}
            () = bell.notified() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
}

/// Works on a switch until its round is over.
async fn round(app: &App, id: PlanSwitchId, stopping: &watch::Receiver<bool>) -> Result<(), ApiError> {
    while !*stopping.borrow() {
        let (key, now) = (app.key.clone(), clock::now());
        match app.db.write(move |tx| batches::work(tx, &key, id, now)).await? {
            Left::More => {}
            Left::Busy | Left::Nothing => return Ok(()),
        }
    }
    Ok(())
}
