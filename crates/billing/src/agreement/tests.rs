//! Requests in both calendars, by the tables of specs/payjp-v1.md 6. The helpers here are a book of one subscription
//! that applies what the functions answer, as the caller would.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::calendar::{Calendar, Interval, Unit, Zone};
use crate::money::Rounding;
use crate::plan::FirstCharge;
use crate::renewal::{AccountTerms, Offer, Running, Scheduled, Terms, open};
use crate::tax::TaxCategory;

mod creating;
mod editing;
mod proration;
mod reserving;
mod resuming;
mod sequences;
mod stopping;
mod updating;

static TOKYO: LazyLock<AccountTerms> = LazyLock::new(|| AccountTerms {
    zone: Zone::try_new("Asia/Tokyo").expect("a known zone"),
    charge_window: "09:00:00".parse().expect("a valid time"),
    tax_rounding: Rounding::Floor,
});

fn terms(calendar: Calendar) -> Terms<'static> {
    Terms { account: &TOKYO, calendar }
}

const BOTH: [Calendar; 2] = [Calendar::Anchor, Calendar::Payjp];

#[track_caller]
fn at(text: &str) -> Timestamp {
    text.parse().expect("a valid instant")
}

#[track_caller]
fn period(start: &str, end: &str) -> Period {
    Period { start: at(start), end: at(end) }
}

fn every(unit: Unit, count: i64) -> Interval {
    Interval::try_new(unit, count).expect("a valid count")
}

/// 1,000 yen a month.
fn plan() -> Plan {
    Plan {
        id: "basic".into(),
        name: "Basic".into(),
        amount: Money::yen(1_000),
        tax_category: TaxCategory::Standard,
        interval: every(Unit::Month, 1),
        billing_day: None,
        first_charge: FirstCharge::Now,
        trial_days: 0,
        setup_fee: Money::yen(0),
        instalments: None,
    }
}

/// 1,500 yen a month.
fn plus() -> Plan {
    Plan { id: "plus".into(), amount: Money::yen(1_500), ..plan() }
}

fn on_day(day: u8) -> Plan {
    Plan { id: format!("on_{day}"), billing_day: Some(day), ..plan() }
}

fn new(plan: &Plan) -> New<'_> {
    New { plan, quantity: 1, trial_end: None, prorate: false }
}

/// One subscription, kept as a caller keeps it. Everything that is charged is paid.
#[derive(Clone)]
struct Book<'a> {
    terms: Terms<'static>,
    plans: Vec<&'a Plan>,
    held: Agreement<'a>,
    /// The scheduled invoice, and whether it is on the work list.
    scheduled: Option<(Next, bool)>,
    /// What was collected: when, for which period, how much.
    paid: Vec<(Timestamp, Period, i64)>,
    numbers: BTreeSet<u32>,
}

impl<'a> Book<'a> {
    #[track_caller]
    fn create(calendar: Calendar, new: &New<'a>, plans: &[&'a Plan], now: &str) -> Self {
        let terms = terms(calendar);
        let step = create(&terms, new, at(now)).expect("created");
        let held = Agreement {
            state: State::Active,
            plan: new.plan,
            next_plan: None,
            next_plan_from: None,
            quantity: 1,
            prorate: false,
            anchor: step.then.anchor,
            period: step.then.period,
            trial: None,
            remaining: None,
            scheduled: None,
            next_cycle: 0,
            open_invoices: 0,
            is_first_bill: true,
        };
        let plans = [plans, &[new.plan]].concat();
        let mut book =
            Self { terms, plans, held, scheduled: None, paid: Vec::new(), numbers: BTreeSet::new() };
        book.apply(&step, at(now));
        book
    }

    fn apply(&mut self, step: &Step, now: Timestamp) {
        match &step.due_now {
            DueNow::Nothing => {}
            DueNow::Bill(bill) => {
                assert_eq!(bill.lines.iter().map(|line| line.amount).sum::<i64>(), bill.amount.minor);
                assert!(bill.amount.minor > 0 && bill.cycle.charge_at <= now);
                self.paid.push((now, bill.cycle.period, bill.amount.minor));
                self.held.is_first_bill = false;
                self.held.next_cycle = self.held.next_cycle.max(bill.cycle.number + 1);
            }
            DueNow::OldestOpen => self.held.open_invoices -= 1,
        }
        self.follow(&step.then);
    }

    fn follow(&mut self, course: &Course) {
        let found = |id: &String| *self.plans.iter().find(|plan| plan.id == *id).expect("a known plan");
        self.held = Agreement {
            state: course.state,
            plan: found(&course.plan),
            next_plan: course.next_plan.as_ref().map(found),
            next_plan_from: course.next_plan_from,
            quantity: course.quantity,
            prorate: course.prorate,
            anchor: course.anchor,
            period: course.period,
            trial: course.trial,
            remaining: course.remaining,
            ..self.held
        };
        self.scheduled = match (&course.upcoming, self.scheduled.take()) {
            (Upcoming::Kept, scheduled) => scheduled.map(|(next, _)| (next, true)),
            (Upcoming::Off, scheduled) => scheduled.map(|(next, _)| (next, false)),
            (Upcoming::Edited(next), Some((old, _))) => {
                assert_eq!(old.cycle.number, next.cycle.number);
                Some((next.clone(), true))
            }
            (Upcoming::Edited(_), None) => panic!("nothing is there to be edited"),
            (Upcoming::Replaced(next), _) => {
                self.schedule(next);
                Some((next.clone(), course.state.is_live()))
            }
            (Upcoming::Void, _) => None,
        };
        self.held.scheduled = self.scheduled.as_ref().map(|(next, _)| next.cycle);
    }

    /// An obligation is unique for ever.
    fn schedule(&mut self, next: &Next) {
        assert!(self.numbers.insert(next.cycle.number), "cycle {} comes twice", next.cycle.number);
        assert!(next.cycle.charge_at >= next.cycle.period.start);
        self.held.next_cycle = self.held.next_cycle.max(next.cycle.number + 1);
    }

    /// Opens and pays what is due until `now`, at its charge times.
    fn run(&mut self, now: &str) {
        self.run_until(at(now));
    }

    fn run_until(&mut self, now: Timestamp) {
        while let Some((next, true)) = self.scheduled.clone()
            && next.cycle.charge_at <= now
            && self.held.state.is_live()
        {
            let offer = Offer::from(self.held.plan);
            let next_offer = self.held.next_plan.map(Offer::from);
            let running = Running {
                state: self.held.state,
                anchor: self.held.anchor,
                offer: &offer,
                quantity: self.held.quantity,
                next_offer: next_offer.as_ref(),
                next_offer_from: self.held.next_plan_from,
                prorate: self.held.prorate,
                remaining: self.held.remaining,
            };
            let due = Scheduled {
                cycle: next.cycle.number,
                period: next.cycle.period,
                amount: next.amount,
                lines: next.lines.clone(),
            };
            let opening = open(&self.terms, &running, &due, next.cycle.charge_at).expect("opened");
            self.paid.push((next.cycle.charge_at, next.cycle.period, next.amount.minor));
            let is_switched = opening.then.plan.is_some();
            self.held = Agreement {
                state: opening.state,
                plan: self.held.next_plan.filter(|_| is_switched).unwrap_or(self.held.plan),
                next_plan: self.held.next_plan.filter(|_| !is_switched),
                next_plan_from: self.held.next_plan_from.filter(|_| !is_switched),
                anchor: opening.then.anchor,
                period: opening.then.period,
                remaining: opening.then.remaining,
                is_first_bill: false,
                ..self.held
            };
            if let Some(next) = &opening.next {
                assert_eq!(next.cycle.period.start, self.held.period.end, "periods touch");
                self.schedule(next);
            }
            self.scheduled = opening.next.map(|next| (next, true));
            self.held.scheduled = self.scheduled.as_ref().map(|(next, _)| next.cycle);
        }
    }

    fn update(&mut self, change: &Change<'a>, now: &str) -> Result<(), Refused> {
        let step = update(&self.terms, &self.held, change, at(now))?;
        self.apply(&step, at(now));
        Ok(())
    }

    fn resume(&mut self, resumption: &Resumption, now: &str) -> Result<(), Refused> {
        let step = resume(&self.terms, &self.held, resumption, at(now))?;
        self.apply(&step, at(now));
        Ok(())
    }

    fn pause(&mut self) {
        let course = pause(&self.held).expect("paused");
        self.follow(&course);
    }

    fn cancel(&mut self) {
        let course = cancel(&self.terms, &self.held).expect("canceled");
        self.follow(&course);
    }

    /// A plan reserved for a day, or none any more.
    fn reserve(&mut self, reserved: Option<(&'a Plan, &str)>) {
        let (next_plan, next_plan_from) = (reserved.map(|to| to.0), reserved.map(|to| at(to.1)));
        self.held = Agreement { next_plan, next_plan_from, ..self.held };
        let scheduled = self.scheduled.take();
        self.scheduled = scheduled.map(|(next, is_listed)| {
            let drawn = redrawn(&self.terms, &self.held, &next).expect("drawn");
            (drawn.unwrap_or(next), is_listed)
        });
    }

    fn skip(&mut self) -> Result<(), Refused> {
        let course = skip(&self.terms, &self.held)?;
        self.follow(&course);
        Ok(())
    }

    /// Instants and yen of what was collected.
    fn charges(&self) -> Vec<(String, i64)> {
        self.paid.iter().map(|(at, _, yen)| (at.to_string(), *yen)).collect()
    }

    fn next(&self) -> &Next {
        &self.scheduled.as_ref().expect("one is scheduled").0
    }

    /// Where it stands, the charge time of the scheduled invoice and its yen.
    fn standing(&self) -> (State, String, i64) {
        let next = self.next();
        (self.held.state, next.cycle.charge_at.to_string(), next.amount.minor)
    }
}

/// What is expected of [`Book::charges`].
fn charges(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(at, yen)| ((*at).to_owned(), *yen)).collect()
}

fn standing(state: State, charge_at: &str, yen: i64) -> (State, String, i64) {
    (state, charge_at.to_owned(), yen)
}

#[test]
fn a_course_is_stored_and_reads_back() {
    let (basic, plus) = (plan(), plus());
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], "2027-01-31T06:00:00Z");
    let change = Change { next_plan: Some(Some(&plus)), ..Change::default() };
    let course = update(&book.terms, &book.held, &change, at("2027-02-01T00:00:00Z")).expect("edited").then;
    let stored = serde_json::to_string_pretty(&course).expect("writes");
    assert_eq!(serde_json::from_str::<Course>(&stored).expect("reads"), course);
    insta::assert_snapshot!(stored);
    book.cancel();
    let canceled = serde_json::to_string(
        &cancel(&book.terms, &Agreement { state: State::Active, ..book.held }).expect("canceled"),
    );
    assert!(canceled.expect("writes").contains(r#""state":{"canceled":"requested"}"#));
}

#[test]
fn a_course_that_is_applied_late_takes_numbers_that_are_free() {
    let plan = plan();
    let course =
        create(&terms(Calendar::Anchor), &new(&plan), at("2027-01-31T06:00:00Z")).expect("created").then;
    let later = course.clone().renumbered(7);
    let (Upcoming::Replaced(old), Upcoming::Replaced(new)) = (&course.upcoming, &later.upcoming) else {
        panic!("an invoice is scheduled");
    };
    assert_eq!((old.cycle.number, new.cycle.number), (1, 7));
    assert_eq!(Cycle { number: 1, ..new.cycle }, old.cycle);
    let schedule = terms(Calendar::Anchor).schedule(later.anchor, &Offer::from(&plan));
    assert_eq!(schedule.cycle(7), Ok(new.cycle), "the anchor has moved up with it");
    assert_eq!(course.clone().renumbered(1), course);
}

#[test]
fn each_refusal_has_one_code() {
    let all = [
        Refused::AlreadyPaused,
        Refused::AlreadyCanceled,
        Refused::AlreadySubscribed(Named::Plan),
        Refused::SubscriptionWorked,
        Refused::InvalidTrialEnd,
        Refused::CannotChangeProrateStatus,
        Refused::InvalidPlan(Named::Plan),
        Refused::InvalidQuantity { plan: "basic".into(), most: 10, found: 0 },
        Refused::InvalidAmount,
        Refused::NothingScheduled,
        Refused::CannotProratedRefund,
        CalendarError::OutOfRange.into(),
        Refused::Bill(renewal::Refused::NothingLeft),
    ];
    let codes: BTreeSet<_> = all.iter().map(Refused::code).collect();
    assert_eq!(codes.len(), all.len());
}
