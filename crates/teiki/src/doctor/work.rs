//! The work: what waits too long, and what waits for a person.

use db::Db;
use jiff::{SignedDuration, Timestamp};

use super::store::{self, Aged, Side};
use super::{Check, how_many};
use crate::holds as switch;
use crate::status::view::grouped;

/// An unknown charge should be found out within minutes; after an hour something is in the way.
const UNKNOWN_LATE: SignedDuration = SignedDuration::from_hours(1);
/// After three days the windows of gateways for asking by key are closing.
const UNKNOWN_TOO_LATE: SignedDuration = SignedDuration::from_hours(72);
/// Due work waits for minutes at most while a process charges.
const DUE_LATE: SignedDuration = SignedDuration::from_hours(1);
/// The outbox is delivered within seconds.
const OUTBOX_LATE: SignedDuration = SignedDuration::from_mins(10);

fn before(now: Timestamp, age: SignedDuration) -> Timestamp {
    now.saturating_sub(age).unwrap_or(Timestamp::MIN)
}

pub(super) async fn unknown(db: &Db, now: Timestamp) -> Check {
    const NAME: &str = "unknown charges";
    let late = before(now, UNKNOWN_LATE);
    let too_late = before(now, UNKNOWN_TOO_LATE);
    let rows = match db.read(move |tx| store::unknown_charges(tx, late)).await {
        Ok(rows) => rows,
        Err(error) => return Check::failed(NAME, &error),
    };
    let names: Vec<String> = rows.iter().map(Aged::to_string).collect();
    match rows.first() {
        None => Check::ok(NAME, "no charge has been unknown for more than an hour"),
        Some(oldest) if oldest.since < too_late => {
            let todo = "look each up in the gateway's own list by its id, which is our reference there; never charge it again by hand";
            Check::problem(
                NAME,
                format!(
                    "{} charges are unknown for more than an hour, the oldest for more than three days",
                    how_many(&names)
                ),
                todo,
            )
            .naming(names)
        }
        Some(_) => {
            let todo = "see that `teiki serve` runs and reaches the gateway: it asks until it knows";
            Check::warning(
                NAME,
                format!("{} charges are unknown for more than an hour", how_many(&names)),
                todo,
            )
            .naming(names)
        }
    }
}

pub(super) async fn surplus(db: &Db) -> Check {
    match db.read(store::surplus_charges).await {
        Ok(rows) if rows.is_empty() => Check::ok("surplus", "no customer has paid more than was owed"),
        Ok(rows) => Check::warning(
            "surplus",
            format!("{} charges took money that no invoice asks for", how_many(&rows)),
            "refund each with POST /v1/charges/{charge}/refund, or at the gateway by its id there",
        )
        .naming(rows),
        Err(error) => Check::failed("surplus", &error),
    }
}

pub(super) async fn due(db: &Db, now: Timestamp) -> Check {
    const NAME: &str = "due work";
    let late = before(now, DUE_LATE);
    let read = db.read(move |tx| Ok::<_, db::Error>((store::overdue(tx, late)?, switch::list(tx)?))).await;
    let (sides, holds) = match read {
        Ok(read) => read,
        Err(error) => return Check::failed(NAME, &error),
    };
    let is_held =
        |side: &Side| holds.iter().any(|hold| hold.scope == switch::ALL || hold.scope == side.account);
    let names: Vec<String> = sides.iter().map(Side::to_string).collect();
    let count = grouped(sides.iter().map(|side| side.count).sum());
    if sides.is_empty() {
        return Check::ok(NAME, "nothing has been due for more than an hour");
    }
    if sides.iter().all(is_held) {
        let todo = "release the hold when its reason is gone; what is due is then charged, oldest first";
        return Check::warning(
            NAME,
            format!("{count} invoices are due for more than an hour, and charging is held"),
            todo,
        )
        .naming(names);
    }
    let todo = "is `teiki serve` running, and does it reach the gateway? Missed cycles are billed with their own dates, oldest first";
    Check::problem(NAME, format!("{count} invoices are due for more than an hour"), todo).naming(names)
}

pub(super) async fn outbox(db: &Db, now: Timestamp) -> Check {
    let late = before(now, OUTBOX_LATE);
    match db.read(move |tx| store::late_deliveries(tx, late)).await {
        Ok((0, _)) => Check::ok("outbox", "no delivery waits for more than ten minutes"),
        Ok((count, oldest)) => {
            let since = oldest.map_or_else(String::new, |oldest| format!(", the oldest since {oldest}"));
            Check::warning(
                "outbox",
                format!("{} deliveries wait for more than ten minutes{since}", grouped(count)),
                "see that `teiki serve` runs and what its log says of the receiver; nothing is lost",
            )
        }
        Err(error) => Check::failed("outbox", &error),
    }
}

pub(super) async fn webhooks(db: &Db, now: Timestamp) -> Check {
    const NAME: &str = "webhooks";
    let late = before(now, OUTBOX_LATE);
    match db.read(move |tx| store::unwell_endpoints(tx, late)).await {
        Ok(endpoints) if endpoints.is_empty() => {
            Check::ok(NAME, "no endpoint was disabled for failing, and none is behind")
        }
        Ok(endpoints) => {
            let line = |endpoint: &store::Endpoint| {
                let reason = endpoint.disabled_reason.as_deref();
                let how = reason.map_or_else(
                    || "behind by ten minutes".to_owned(),
                    |reason| format!("disabled: {reason}"),
                );
                format!("{} ({} {}): {how}", endpoint.id, endpoint.account, endpoint.mode)
            };
            let todo = "see its deliveries (GET /v1/webhook_endpoints/{id}/deliveries), and that `teiki serve` runs; enable what was \
                        disabled with status=enabled, and resend what is missing";
            Check::warning(NAME, "webhooks are not received", todo)
                .naming(endpoints.iter().map(line).collect())
        }
        Err(error) => Check::failed(NAME, &error),
    }
}

pub(super) async fn holds(db: &Db) -> Check {
    match db.read(switch::list).await {
        Ok(holds) if holds.is_empty() => Check::ok("holds", "charging is held for nobody"),
        Ok(holds) => {
            let line = |hold: &switch::Hold| {
                format!("{} since {} by {}: {}", hold.scope, hold.placed_at, hold.actor, hold.reason)
            };
            let todo = "when the reason is gone: teiki hold off, with --account for one account's hold";
            Check::warning("holds", "charging is held", todo).naming(holds.iter().map(line).collect())
        }
        Err(error) => Check::failed("holds", &error),
    }
}

pub(super) async fn parked(db: &Db) -> Check {
    match db.read(store::parked).await {
        Ok(sides) if sides.is_empty() => Check::ok("parked", "no subscription is parked"),
        Ok(sides) => {
            let count = grouped(sides.iter().map(|side| side.count).sum());
            let todo = "see the reasons with teiki status, correct them, then: teiki unpark --account …";
            Check::warning("parked", format!("{count} subscriptions are parked"), todo)
                .naming(sides.iter().map(Side::to_string).collect())
        }
        Err(error) => Check::failed("parked", &error),
    }
}
