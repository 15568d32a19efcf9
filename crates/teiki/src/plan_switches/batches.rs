//! Reserving and undoing a switch, one batch of subscriptions in one transaction.
//!
//! The row of the switch is held meanwhile, so that processes take turns; each subscription is held while it is changed,
//! as by a renewal. One that waits for a payment, or whose test clock is on its way, is passed over, and looked at again
//! in the next round. Round trips on PostgreSQL for a batch: the switch (2), who (1), clocks (1), subscriptions (1),
//! scheduled invoices (1), then invoices, subscriptions, plan of the day, events with outbox (5).

use std::collections::BTreeMap;

use billing::agreement::{self, Agreement};
use billing::event::Kind;
use billing::guard::DayTotal;
use billing::id::{DerivationKey, PlanSwitchId, SubscriptionId};
use billing::invoice::{LineKind, adjusted};
use billing::plan::Plan;
use billing::renewal::{Next, Terms};
use billing::subscription::{CancelReason, State};
use db::Tx;
use jiff::Timestamp;
use jiff::civil::Date;

use super::former::{self, Former, FormerInvoice, Standing};
use super::{Side, Status, SwitchRow, store, tell};
use crate::accounts::{self, Account};
use crate::clocks;
use crate::events::{self, Moment, NewEvent};
use crate::invoices::scheduled::{self, ScheduledRow};
use crate::line::Scope;
use crate::plans;
use crate::renewals::day_plan;
use crate::subscriptions::applying::scope_of;
use crate::subscriptions::present::agreement_of;
use crate::subscriptions::requests::refused;
use crate::subscriptions::{self, SubscriptionRow};
use crate::web::ApiError;

/// Subscriptions of one batch: short enough that renewals hardly wait for it.
const BATCH_MAX: i64 = 256;

/// What is left to do after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Another batch.
    More,
    /// Another round, later: some were busy.
    Busy,
    /// Nothing.
    Nothing,
}

/// What a batch works with.
struct Work<'a> {
    key: &'a DerivationKey,
    account: Account,
    plans: BTreeMap<String, Plan>,
    times: Times,
    now: Timestamp,
}

/// What a batch writes.
#[derive(Default)]
struct Writes {
    rows: Vec<SubscriptionRow>,
    edited: Vec<(ScheduledRow, Next)>,
    /// What is added to the days on which the drawn invoices are charged, by clock and day.
    more: BTreeMap<(String, Date), (Scope, Timestamp, DayTotal)>,
    events: Vec<NewEvent>,
}

/// Works on one batch of a switch; on nothing if it is not being reserved or undone.
pub(super) fn work(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    id: PlanSwitchId,
    now: Timestamp,
) -> Result<Left, ApiError> {
    let Some(mut row) = store::lock(tx, id.as_str())? else {
        return Ok(Left::Nothing);
    };
    let is_undone = match row.status {
        Status::Reserving => false,
        Status::Undoing => true,
        Status::Scheduled | Status::Undone => return Ok(Left::Nothing),
    };
    let found = if is_undone {
        store::to_undo(tx, &row, BATCH_MAX)?
    } else {
        store::to_reserve(tx, &row, BATCH_MAX)?
    };
    let Some(last) = found.last().copied() else {
        return end_round(tx, key, &mut row, now);
    };
    let (free, busy, times) = free_ones(tx, &row, &found, now)?;
    let mut work = Work::of(tx, key, &row, (times, now))?;
    if is_undone {
        give_back(tx, &mut work, &mut row, free)?;
    } else {
        reserve(tx, &work, &mut row, free)?;
    }
    row.place = Some(last);
    row.passed_over += busy;
    store::save(tx, &row)?;
    Ok(Left::More)
}

/// A round is over: so is the work, unless some were busy.
fn end_round(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    row: &mut SwitchRow,
    now: Timestamp,
) -> Result<Left, ApiError> {
    let was_busy = row.passed_over > 0;
    (row.place, row.passed_over) = (None, 0);
    if !was_busy {
        let (status, kind) = match row.status {
            Status::Reserving | Status::Scheduled => (Status::Scheduled, Kind::PlanSwitchScheduled),
            Status::Undoing | Status::Undone => {
                // Who has left it meanwhile was still counted.
                (row.members, row.amount_before, row.amount_after) = (0, 0, 0);
                (Status::Undone, Kind::PlanSwitchUndone)
            }
        };
        row.status = status;
        tell(tx, key, row, kind, now)?;
    }
    store::save(tx, row)?;
    Ok(if was_busy { Left::Busy } else { Left::Nothing })
}

/// Billing time by clock.
type Times = BTreeMap<String, Timestamp>;

/// The subscriptions, locked, that may be changed now, how many may not, and the time that they live in.
fn free_ones(
    tx: &mut Tx<'_>,
    row: &SwitchRow,
    ids: &[SubscriptionId],
    now: Timestamp,
) -> Result<(Vec<SubscriptionRow>, i64, Times), ApiError> {
    let found = subscriptions::find_many(tx, row.side, ids)?;
    let times = clocks::standing(tx, found.iter().map(|found| found.clock.as_str()), now)?;
    let rows = subscriptions::lock_many(tx, row.side, ids)?;
    let belongs = |found: &SubscriptionRow| match row.status {
        Status::Reserving | Status::Scheduled => {
            found.plan == row.plan && found.plan_switch.as_deref() != Some(row.id.as_str())
        }
        Status::Undoing | Status::Undone => is_reserved(row, found),
    };
    let rows = rows.into_iter().filter(|found| !found.is_deleted && belongs(found));
    let is_free =
        |found: &SubscriptionRow| found.pending_invoice.is_none() && times.contains_key(&found.clock);
    let (free, busy): (Vec<_>, Vec<_>) = rows.partition(is_free);
    Ok((free, i64::try_from(busy.len()).unwrap_or(i64::MAX), times))
}

/// Whether the switch is what is reserved for a subscription.
fn is_reserved(switch: &SwitchRow, row: &SubscriptionRow) -> bool {
    row.plan_switch.as_deref() == Some(switch.id.as_str()) && row.next_plan.is_some()
}

/// A renewal comes before the batches of an undo: these are given back what they had, at billing time `billing`, where the
/// switch, which is held, is reserved for them.
pub(super) fn give_back_due(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    switch: &mut SwitchRow,
    ids: &[SubscriptionId],
    (billing, now): (Timestamp, Timestamp),
) -> Result<(), ApiError> {
    let rows: Vec<SubscriptionRow> = subscriptions::lock_many(tx, switch.side, ids)?
        .into_iter()
        .filter(|row| !row.is_deleted && row.pending_invoice.is_none() && is_reserved(switch, row))
        .collect();
    let times = rows.iter().map(|row| (row.clock.clone(), billing)).collect();
    let mut work = Work::of(tx, key, switch, (times, now))?;
    give_back(tx, &mut work, switch, rows)?;
    Ok(store::save(tx, switch)?)
}

impl<'a> Work<'a> {
    fn of(
        tx: &mut Tx<'_>,
        key: &'a DerivationKey,
        row: &SwitchRow,
        (times, now): (Times, Timestamp),
    ) -> Result<Self, ApiError> {
        let account = accounts::read(tx, row.side.0)?;
        let mut work = Self { key, account, plans: BTreeMap::new(), times, now };
        work.load(tx, row.side, &[&row.plan, &row.next_plan])?;
        Ok(work)
    }

    /// Reads the plans that are not known yet.
    fn load(&mut self, tx: &mut Tx<'_>, side: Side, ids: &[&str]) -> Result<(), ApiError> {
        let new: Vec<&str> = ids.iter().copied().filter(|id| !self.plans.contains_key(*id)).collect();
        if !new.is_empty() {
            for plan in plans::find_many(tx, side, &new)? {
                self.plans.insert(plan.id.clone(), plan.terms()?);
            }
        }
        Ok(())
    }

    fn plan(&self, id: &str) -> Result<&Plan, ApiError> {
        self.plans.get(id).ok_or_else(|| ApiError::inside(format!("the plan {id} is missing")))
    }

    /// The subscription as the rules see it, with the reservation that it has.
    fn agreement(&self, row: &SubscriptionRow, invoice: &ScheduledRow) -> Result<Agreement<'_>, ApiError> {
        let next = row.next_plan.as_deref().map(|id| self.plan(id)).transpose()?;
        agreement_of(row, (self.plan(&row.plan)?, next), (Some(invoice), 0))
    }

    fn terms(&self, row: &SubscriptionRow) -> Terms<'_> {
        Terms { account: &self.account.terms, calendar: row.calendar }
    }

    /// The scheduled invoice as the reservation has it; `None` if it stays.
    fn redrawn(&self, row: &SubscriptionRow, invoice: &ScheduledRow) -> Result<Option<Next>, ApiError> {
        agreement::redrawn(&self.terms(row), &self.agreement(row, invoice)?, &invoice.next).map_err(refused)
    }

    /// The scheduled invoice as the reservation draws it; `None` if nothing is scheduled.
    fn drawn(&self, row: &SubscriptionRow, invoice: &ScheduledRow) -> Result<Option<Next>, ApiError> {
        agreement::drawn(&self.terms(row), &self.agreement(row, invoice)?).map_err(refused)
    }

    /// The scheduled invoice of one that is given back what it had; `None` if it stays. `kept` is that invoice before the
    /// switch. What a person had set before it comes back where nobody has touched what the switch drew, and what a person
    /// has set after it stays: its day, and its price.
    fn restored(
        &self,
        (reserved, given_back): (&SubscriptionRow, &SubscriptionRow),
        invoice: &ScheduledRow,
        kept: Option<&FormerInvoice>,
    ) -> Result<Option<Next>, ApiError> {
        let mut before = invoice.clone();
        let mut by_switch = self.drawn(reserved, invoice)?;
        if let Some(kept) = kept {
            before.next.cycle = kept.next.cycle;
            by_switch = self.drawn(reserved, &before)?;
            if by_switch.as_ref().is_some_and(|drawn| drawn.cycle.charge_at != invoice.next.cycle.charge_at) {
                before.next.cycle = invoice.next.cycle;
            }
        }
        let Some(drawn) = self.redrawn(given_back, &before)? else {
            return Ok(None);
        };
        let is_as_drawn = by_switch
            .is_some_and(|drawn| (drawn.amount, &drawn.lines) == (invoice.next.amount, &invoice.next.lines));
        let is_for_the_same = |kept: &&FormerInvoice| {
            let lines = &kept.next.lines;
            lines.iter().filter(|line| line.kind != LineKind::Adjustment).eq(&drawn.lines)
        };
        let amount = if is_as_drawn {
            kept.filter(is_for_the_same).map_or(drawn.amount, |kept| kept.next.amount)
        } else if invoice.next.lines.iter().any(|line| line.kind == LineKind::Adjustment) {
            invoice.next.amount
        } else {
            drawn.amount
        };
        let lines = adjusted(&drawn.lines, amount)
            .ok_or_else(|| ApiError::inside("the lines of an invoice do not add up"))?;
        Ok(Some(Next { amount, lines, ..drawn }))
    }
}

/// Reserves the switch for these.
fn reserve(
    tx: &mut Tx<'_>,
    work: &Work<'_>,
    switch: &mut SwitchRow,
    rows: Vec<SubscriptionRow>,
) -> Result<(), ApiError> {
    let rows: Vec<SubscriptionRow> = rows
        .into_iter()
        .filter(|row| row.state != State::Canceled(CancelReason::Completed))
        .filter(|row| !switch.excluded.contains(&row.id))
        .collect();
    let invoices = scheduled::find_many(tx, &rows)?;
    let mut writes = Writes::default();
    for (row, invoice) in rows.into_iter().zip(invoices) {
        let mut former = Former::of(&row);
        let mut row = SubscriptionRow {
            next_plan: Some(switch.next_plan.clone()),
            next_plan_from: Some(switch.effective_at.as_microsecond()),
            plan_switch: Some(switch.id.to_string()),
            ..row
        };
        let drawn = match &invoice {
            None => None,
            Some(invoice) => work.redrawn(&row, invoice)?,
        };
        if let (Some(invoice), Some(_)) = (&invoice, &drawn) {
            former.invoice = Some(FormerInvoice { id: invoice.id.to_string(), next: invoice.next.clone() });
        }
        row.switch_former = Some(former.json()?);
        switch.count(work, &row, 1)?;
        writes.add(work, switch, row, (invoice, drawn))?;
    }
    writes.write(tx, work)
}

/// Gives these back what they had before the switch, as far as that is still there.
fn give_back(
    tx: &mut Tx<'_>,
    work: &mut Work<'_>,
    switch: &mut SwitchRow,
    rows: Vec<SubscriptionRow>,
) -> Result<(), ApiError> {
    let chains = rows.iter().map(former::chain_of).collect::<Result<Vec<_>, _>>()?;
    let standing = Standing::read(tx, switch.side, &chains)?;
    for plan in standing.plans.values() {
        work.plans.insert(plan.id.clone(), plan.terms()?);
    }
    let invoices = scheduled::find_many(tx, &rows)?;
    let mut writes = Writes::default();
    for ((row, chain), invoice) in rows.into_iter().zip(chains).zip(invoices) {
        let former = standing.remains(row.id, chain, invoice.as_ref());
        let given_back = former.back_in(&row);
        let drawn = match &invoice {
            None => None,
            Some(invoice) => work.restored((&row, &given_back), invoice, former.invoice.as_ref())?,
        };
        switch.count(work, &given_back, -1)?;
        writes.add(work, switch, given_back, (invoice, drawn))?;
    }
    writes.write(tx, work)
}

impl SwitchRow {
    /// Counts a subscription as one of its own, or as no longer so.
    fn count(&mut self, work: &Work<'_>, row: &SubscriptionRow, one: i64) -> Result<(), ApiError> {
        let yen =
            |plan: &str| Ok::<_, ApiError>(one * row.quantity.saturating_mul(work.plan(plan)?.amount.minor));
        let (before, after) = (yen(&self.plan)?, yen(&self.next_plan)?);
        self.members += one;
        self.amount_before += before;
        self.amount_after += after;
        Ok(())
    }
}

/// Takes one subscription out of a switch. Says whether it belongs to it, or would. Error: it is busy, or was switched.
pub(super) fn leave_out(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    switch: &mut SwitchRow,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<bool, ApiError> {
    // The clock first, as everyone who holds both.
    let Some(seen) = subscriptions::find_any(tx, switch.side, id)? else {
        return Ok(false);
    };
    let at = clocks::now_for_change(tx, &seen.clock, now)?;
    let Some(row) = subscriptions::lock(tx, switch.side, id)?.filter(|row| !row.is_deleted) else {
        return Ok(false);
    };
    if row.plan_switch.as_deref() != Some(switch.id.as_str()) {
        let would_belong = switch.status == Status::Reserving && row.plan == switch.plan;
        // Under a later reservation: it does not come back when that goes.
        return Ok(would_belong || former::is_under(switch, &row)?);
    }
    if row.next_plan.is_none() {
        let message = format!("The subscription {id} has been switched already.");
        return Err(ApiError::client("already_effective", message));
    }
    subscriptions::must_be_free(&row)?;
    let mut work = Work::of(tx, key, switch, (Times::from([(row.clock.clone(), at)]), now))?;
    give_back(tx, &mut work, switch, vec![row])?;
    Ok(true)
}

impl Writes {
    /// Adds a changed subscription with its scheduled invoice as it was, and as it is drawn anew.
    fn add(
        &mut self,
        work: &Work<'_>,
        switch: &SwitchRow,
        mut row: SubscriptionRow,
        (invoice, drawn): (Option<ScheduledRow>, Option<Next>),
    ) -> Result<(), ApiError> {
        if let (Some(invoice), Some(drawn)) = (invoice, drawn) {
            let (terms, at) = (&work.account.terms, drawn.cycle.charge_at);
            let scope = scope_of(switch.side, &row);
            let more = self.more.entry((row.clock.clone(), terms.zone.day_of(at)));
            let (_, _, total) = more.or_insert_with(|| (scope, at, DayTotal::default()));
            *total = total.plus(day_plan::added(terms, &invoice.next, &drawn));
            self.edited.push((invoice, drawn));
        }
        row.event_number += 1;
        let moment = Moment {
            state: row.state,
            plan: &row.plan,
            quantity: row.quantity,
            period: row.period,
            paused_at: row.paused_at,
            resumed_at: row.resumed_at,
        };
        self.events.push(NewEvent {
            account: switch.side.0,
            mode: switch.side.1,
            history: row.id.to_string(),
            slot: row.id.slot(),
            number: row.event_number,
            kind: Kind::SubscriptionUpdated,
            object: row.id.to_string(),
            data: events::of_subscription(&moment).to_string(),
            billing_at: work.times.get(&row.clock).copied().unwrap_or(work.now),
        });
        self.rows.push(row);
        Ok(())
    }

    fn write(self, tx: &mut Tx<'_>, work: &Work<'_>) -> Result<(), ApiError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let edited: Vec<(&ScheduledRow, &Next)> = self.edited.iter().map(|(row, next)| (row, next)).collect();
        scheduled::edit_many(tx, &edited)?;
        subscriptions::save_reserved(tx, &self.rows)?;
        for (scope, at, added) in self.more.into_values() {
            day_plan::raise(tx, &scope, &work.account.terms, (at, added))?;
        }
        Ok(events::append(tx, work.key, &self.events, work.now)?)
    }
}
