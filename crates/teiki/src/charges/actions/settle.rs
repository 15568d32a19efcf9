//! Settle: one transaction that writes down what is known about an action, and what it does to its charge.
//!
//! The reply, a repeat and a look-up all call [`settle`]. It only moves forward; the second caller changes nothing. A
//! capture and a release settle the charge itself by `charges::settle`, in the same transaction. The time of what is
//! settled is that of the customer's clock.

use std::sync::Arc;

use billing::charge;
use billing::charge_action::{self, Effect, Fact, Kind, Standing, State};
use billing::event::Kind as Event;
use billing::id::DerivationKey;
use billing::invoice;
use billing::ledger::{Entry, refund, surplus};
use billing::money::{Money, Rounding};
use billing::resolution::plus_ms;
use billing::tax::{part_of, tax_of};
use db::{Error, Tx};
use jiff::Timestamp;

use super::News;
use super::resolve::REVIEW_PAUSE_MS;
use super::store::{self, ActionRow};
use crate::alarms::{self, NewAlarm};
use crate::charges::history::{self, Held};
use crate::charges::insist::insist;
use crate::charges::settle::{Times, write_batch};
use crate::charges::view::{self, ShownCharge};
use crate::ledger::NewEntry;
use crate::line::Line;
use crate::{clock, clocks, invoices, ledger};

/// The alarm for truth that the database refuses, as that of charges.
const REFUSED: &str = "charge_refused_by_database";
/// Places in the books that one action of a charge may take: two entries for each rate. Those of the charge itself come
/// before its first action's. Persisted in ids; keep stable.
const ENTRIES_MAX: u64 = 1_000;

/// Writes down `news`. What the database refuses is frozen and shown to an operator; what cannot even be frozen is left
/// for an hour, so that it stops nothing else.
pub(super) async fn settle(line: &Line, news: News, rounding: Rounding) -> Result<(), Error> {
    let action = news.action;
    let written = match write(line, news.clone(), rounding).await {
        Err(refused) if is_refusal(&refused) => write(line, frozen(news, &refused), rounding).await,
        written => written,
    };
    match written {
        Err(refused) if is_refusal(&refused) => {
            tracing::error!(%action, %refused, "what became of it could not be written down");
            let until = plus_ms(clock::now(), REVIEW_PAUSE_MS);
            line.db.write(move |tx| store::postpone(tx, action, until)).await
        }
        written => written,
    }
}

/// Whether the database, or what is in it, would refuse again.
const fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::UniqueViolation { .. } | Error::Check { .. } | Error::Assertion(_) | Error::Decode { .. }
    )
}

fn frozen(news: News, refused: &Error) -> News {
    News {
        freeze: true,
        alarm: Some(REFUSED),
        note: Some(refused.to_string()),
        check_at: Some(plus_ms(clock::now(), REVIEW_PAUSE_MS)),
        ..News::of(news.action, news.charge, news.side, Fact::Lost)
    }
}

async fn write(line: &Line, news: News, rounding: Rounding) -> Result<(), Error> {
    let news = Arc::new(news);
    insist(|_| {
        let (news, key, real) = (Arc::clone(&news), line.key.clone(), clock::now());
        line.db.write(move |tx| Settlement { key: &key, news: &news, rounding, real }.write(tx))
    })
    .await
}

/// What one transaction works with.
struct Settlement<'a> {
    key: &'a DerivationKey,
    news: &'a News,
    rounding: Rounding,
    real: Timestamp,
}

impl Settlement<'_> {
    fn write(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let shown = self.charge(tx)?;
        let billing = clocks::now(tx, Some(&shown.row().clock), self.real)?;
        let held = history::lock_at(tx, self.news.side, &shown, billing)?;
        let row = store::standing(tx, self.news.action)?;
        let standing = Standing {
            state: row.state,
            plan: row.plan,
            charge: row.charge_state,
            amount: row.charge_amount,
            refunded: row.charge_refunded,
        };
        if let Some(kind) = self.news.alarm {
            self.alarm(tx, kind, self.news.note.clone().unwrap_or_else(|| kind.to_owned()))?;
        }
        let settled = match charge_action::settle(&standing, self.news.fact) {
            Ok(settled) => settled,
            Err(impossible) => {
                self.alarm(tx, "impossible_news", impossible.to_string())?;
                if row.state.is_final() {
                    return Ok(());
                }
                let review = Some(plus_ms(self.real, REVIEW_PAUSE_MS));
                let lost = News { fact: Fact::Lost, freeze: true, check_at: review, ..self.news.clone() };
                return store::keep_open(tx, &row, &lost, self.real);
            }
        };
        match settled.state {
            Some(next) if next.is_final() => {
                self.alarm_if_in_vain(tx, &row, next)?;
                store::finish(tx, &row, next, self.news, self.real)?;
            }
            None if row.state.is_final() => {}
            Some(_) | None => store::keep_open(tx, &row, self.news, self.real)?,
        }
        settled.effect.map_or(Ok(()), |effect| self.apply(tx, &row, effect, held))
    }

    /// Whoever asked for a refund of which nothing was known may have promised it, and may have deleted what it was for: nobody
    /// else would learn that it came to nothing.
    fn alarm_if_in_vain(&self, tx: &mut Tx<'_>, row: &ActionRow, next: State) -> Result<(), Error> {
        let was_promised = row.plan.kind == Kind::Refund && row.state == State::Unknown;
        if !was_promised || next == State::Succeeded {
            return Ok(());
        }
        let money = row.plan.amount;
        self.alarm(
            tx,
            "refund_not_made",
            format!(
                "a refund of {} {}, whose outcome was not known, was not made: refund it again if it is owed",
                money.minor,
                money.currency.code()
            ),
        )
    }

    fn charge(&self, tx: &mut Tx<'_>) -> Result<ShownCharge, Error> {
        view::find(tx, self.news.side, self.news.charge)?
            .ok_or_else(|| Error::Assertion(format!("charge {} is gone", self.news.charge)))
    }

    fn apply(&self, tx: &mut Tx<'_>, row: &ActionRow, effect: Effect, held: Held) -> Result<(), Error> {
        match effect {
            Effect::Captured { taken, rest } => self.captured(tx, row, (taken, rest), &held),
            Effect::Released => {
                let all = row.charge_amount.minor;
                store::give_back(tx, self.news.charge, all, row.reason.as_deref())?;
                self.settle_charge(tx, charge::Fact::Released, None, &held)
            }
            Effect::Reserved => {
                store::reserve(tx, self.news.charge, row.expires_at)?;
                self.tell(tx, Event::ChargeUpdated, held)
            }
            Effect::Refunded { before, after } => {
                store::give_back(tx, self.news.charge, after, row.reason.as_deref())?;
                let entries = if row.charge_surplus {
                    surplus::refund(row.plan.amount)
                } else {
                    store::credit(tx, row.invoice, row.invoice_credited + row.plan.amount.minor)?;
                    self.taken_back(row, before, after)?
                };
                self.post(tx, row, &entries, held.billing())?;
                self.tell(tx, Event::ChargeRefunded, held)
            }
        }
    }

    /// Money that was reserved is taken; what is left of it is released, and no longer asked for.
    fn captured(
        &self,
        tx: &mut Tx<'_>,
        row: &ActionRow,
        (taken, rest): (Money, i64),
        held: &Held,
    ) -> Result<(), Error> {
        store::capture(tx, self.news.charge, row.charge_refunded + rest, held.billing())?;
        if rest > 0 && row.invoice_state.may_become(invoice::State::Paid) {
            if !row.in_request {
                return Err(Error::Assertion(format!(
                    "invoice {} was issued in full, and charge {} took a part",
                    row.invoice, self.news.charge
                )));
            }
            store::credit(tx, row.invoice, row.invoice_credited + rest)?;
            // Its issue is posted when it is paid, with these sums.
            store::retax(tx, row.invoice, &self.tax_of_part(row, taken)?)?;
        }
        self.settle_charge(tx, charge::Fact::Succeeded, Some(taken), held)
    }

    /// The tax of a part of the invoice, taken out anew and rounded once for each rate.
    fn tax_of_part(&self, row: &ActionRow, part: Money) -> Result<String, Error> {
        let wrong =
            |error| Error::Assertion(format!("the tax of a part of invoice {}: {error}", row.invoice));
        let whole = invoices::tax_from_json(row.tax()?, part.currency)?;
        let lines: Vec<_> =
            part_of(&whole, part).map_err(wrong)?.iter().map(|sum| (sum.percent, sum.gross)).collect();
        Ok(invoices::tax_json(&tax_of(&lines, self.rounding).map_err(wrong)?))
    }

    /// The entries of a refund. The invoice has the sums of what was taken, so that what the charge released when it was
    /// captured counts for neither `before` nor `after`.
    fn taken_back(&self, row: &ActionRow, before: i64, after: i64) -> Result<Vec<Entry>, Error> {
        let currency = row.charge_amount.currency;
        let whole = invoices::tax_from_json(row.tax()?, currency)?;
        let issued: i64 = whole.iter().map(|sum| sum.gross.minor).sum();
        let released = row.charge_amount.minor - issued;
        let of = |refunded: i64| Money::new(refunded - released, currency);
        let sums = refund::between(&whole, of(before), of(after)).map_err(|error| {
            Error::Assertion(format!("the refund of charge {}: {error}", self.news.charge))
        })?;
        Ok(refund::entries(&sums))
    }

    fn settle_charge(
        &self,
        tx: &mut Tx<'_>,
        fact: charge::Fact,
        taken: Option<Money>,
        held: &Held,
    ) -> Result<(), Error> {
        let of = crate::charges::News::of(self.news.charge, held.history(), fact);
        let times = Times { billing: held.billing(), real: self.real };
        write_batch(tx, self.key, &[crate::charges::News { taken, ..of }], times).map(|_| ())
    }

    fn post(&self, tx: &mut Tx<'_>, row: &ActionRow, entries: &[Entry], at: Timestamp) -> Result<(), Error> {
        let first = u64::try_from(row.number).unwrap_or_default() * ENTRIES_MAX;
        let entries: Vec<NewEntry> = entries
            .iter()
            .zip(first..)
            .map(|(entry, number)| NewEntry {
                account: self.news.side.0,
                mode: self.news.side.1,
                invoice: row.invoice,
                charge: Some(self.news.charge),
                number,
                entry: *entry,
                at,
            })
            .collect();
        ledger::insert(tx, self.key, &entries)
    }

    fn tell(&self, tx: &mut Tx<'_>, kind: Event, mut held: Held) -> Result<(), Error> {
        let charge = self.charge(tx)?;
        held.record(tx, self.key, (kind, &charge), self.real)
    }

    fn alarm(&self, tx: &mut Tx<'_>, kind: &'static str, message: String) -> Result<(), Error> {
        let alarm = NewAlarm {
            account: self.news.side.0,
            mode: self.news.side.1,
            slot: self.news.charge.slot(),
            kind,
            subject: self.news.action.to_string(),
            message: format!("charge {}: {message}", self.news.charge),
        };
        alarms::raise(tx, self.key, &[alarm], self.real)
    }
}
