//! Updates: 6.5, 6.7 and 6.10.

use super::*;

fn to(plan: &Plan) -> Change<'_> {
    Change { plan: Some(plan), ..Change::default() }
}

fn until(end: &str) -> Change<'static> {
    Change { trial_end: Some(TrialEnd::At(at(end))), ..Change::default() }
}

fn next(plan: &Plan) -> Change<'_> {
    Change { next_plan: Some(Some(plan)), ..Change::default() }
}

const START: &str = "2027-01-31T06:00:00Z";

#[test]
fn another_plan_is_paid_now_at_its_full_price_and_restarts_the_cycle() {
    // Its trial days do not delay that.
    let (basic, plus) = (plan(), Plan { trial_days: 30, ..plus() });
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&basic), &[&plus], START);
        book.update(&to(&plus), "2027-02-10T01:02:03Z").expect("changed");
        assert_eq!(book.charges(), charges(&[(START, 1_000), ("2027-02-10T01:02:03Z", 1_500)]));
        assert_eq!(book.held.period, period("2027-02-10T01:02:03Z", "2027-03-10T01:02:03Z"));
        assert_eq!(book.standing(), standing(State::Active, "2027-03-10T01:02:03Z", 1_500));
        assert_eq!(book.held.plan.id, "plus");
    }
}

#[test]
fn another_plan_with_a_billing_day_is_paid_now_and_renewed_on_it() {
    let (basic, on_15) = (plan(), on_day(15));
    for (calendar, end) in
        [(Calendar::Payjp, "2027-02-15T00:00:00Z"), (Calendar::Anchor, "2027-02-14T15:00:00Z")]
    {
        let mut book = Book::create(calendar, &new(&basic), &[&on_15], START);
        let mut by_the_day = book.clone();
        book.update(&to(&on_15), "2027-02-10T03:00:00Z").expect("changed");
        assert_eq!(book.paid[1].2, 1_000);
        assert_eq!(book.held.period, period("2027-02-10T03:00:00Z", end));
        assert_eq!(book.standing(), standing(State::Active, "2027-02-15T00:00:00Z", 1_000));

        let change = Change { prorate: Some(true), ..to(&on_15) };
        by_the_day.update(&change, "2027-02-10T03:00:00Z").expect("changed");
        // From 02-10 to 02-15 are 5 days of the 31 since 01-15.
        assert_eq!(by_the_day.paid[1].2, 161);
        assert_eq!(by_the_day.standing(), standing(State::Active, "2027-02-15T00:00:00Z", 1_000));
        assert!(by_the_day.held.prorate);
    }
}

#[test]
fn another_plan_with_a_trial_end_is_free_until_then() {
    let (basic, plus) = (plan(), plus());
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&basic), &[&plus], START);
        let end = book.held.period.end.to_string();
        let change = Change { plan: Some(&plus), ..until(&end) };
        book.update(&change, "2027-02-10T00:00:00Z").expect("changed");
        assert_eq!((book.paid.len(), book.held.plan.id.as_str()), (1, "plus"));
        assert_eq!(book.standing(), standing(State::Trialing, &end, 1_500));
    }
}

#[test]
fn another_plan_in_a_trial_is_paid_now_with_its_set_up_fee() {
    let basic = Plan { trial_days: 14, setup_fee: Money::yen(300), ..plan() };
    let plus = Plan { setup_fee: Money::yen(500), ..plus() };
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    book.update(&to(&plus), "2027-02-03T06:00:00Z").expect("changed");
    assert_eq!(book.charges(), charges(&[("2027-02-03T06:00:00Z", 2_000)]));
    assert_eq!(book.held.trial, Some(period(START, "2027-02-03T06:00:00Z")));
    book.update(&to(&basic), "2027-02-04T06:00:00Z").expect("changed");
    assert_eq!(book.paid[1].2, 1_000, "the set-up fee comes once");
}

#[test]
fn prorate_without_a_plan_is_refused() {
    let plan = plan();
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    for prorate in [true, false] {
        let change = Change { prorate: Some(prorate), ..Change::default() };
        let refused = book.update(&change, "2027-02-10T00:00:00Z");
        assert_eq!(refused, Err(Refused::CannotChangeProrateStatus));
    }
}

#[test]
fn e25_the_same_plan_and_another_currency_are_refused() {
    let basic = plan();
    let dollars = Plan { amount: Money::new(1_000, crate::money::Currency::Usd), ..plus() };
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&dollars], START);
    for (change, named) in [(to(&basic), Named::Plan), (next(&basic), Named::NextPlan)] {
        assert_eq!(book.update(&change, "2027-02-10T00:00:00Z"), Err(Refused::AlreadySubscribed(named)));
    }
    for (change, named) in [(to(&dollars), Named::Plan), (next(&dollars), Named::NextPlan)] {
        assert_eq!(book.update(&change, "2027-02-10T00:00:00Z"), Err(Refused::InvalidPlan(named)));
    }
}

#[test]
fn instalments_count_anew_with_another_plan() {
    let (basic, plus) = (Plan { instalments: Some(10), ..plan() }, Plan { instalments: Some(2), ..plus() });
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    book.update(&to(&plus), "2027-02-10T00:00:00Z").expect("changed");
    assert_eq!(book.held.remaining, Some(1));
    book.run("2027-03-10T00:00:00Z");
    assert_eq!((book.held.remaining, book.scheduled.is_none()), (Some(0), true));
}

#[test]
fn what_is_past_due_is_changed_as_what_is_active_and_stays_past_due() {
    let (basic, plus) = (plan(), plus());
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    book.held = Agreement { state: State::PastDue, open_invoices: 1, ..book.held };
    book.update(&to(&plus), "2027-02-10T00:00:00Z").expect("changed");
    assert_eq!((book.held.state, book.paid.len()), (State::PastDue, 2));
    book.update(&until("2027-02-20T00:00:00Z"), "2027-02-11T00:00:00Z").expect("changed");
    assert_eq!(book.standing(), standing(State::PastDue, "2027-02-20T00:00:00Z", 1_500));
}

#[test]
fn a_trial_end_in_the_future_makes_an_active_one_free_until_then() {
    let plan = plan();
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        book.update(&until("2027-02-10T00:00:10Z"), "2027-02-10T00:00:00Z").expect("set");
        let trial = period("2027-02-10T00:00:00Z", "2027-02-10T00:00:10Z");
        assert_eq!(
            (book.held.trial, book.held.period, book.held.state),
            (Some(trial), trial, State::Trialing)
        );
        // A little ahead, it forces a renewal.
        book.run("2027-02-10T00:00:10Z");
        assert_eq!(book.paid.len(), 2);
        assert_eq!(book.standing(), standing(State::Active, "2027-03-10T00:00:10Z", 1_000));
    }
}

#[test]
fn a_trial_that_is_moved_keeps_its_start() {
    let plan = Plan { trial_days: 14, setup_fee: Money::yen(500), ..plan() };
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.update(&until("2027-03-01T00:00:00Z"), "2027-02-10T00:00:00Z").expect("set");
    assert_eq!(book.held.trial, Some(period(START, "2027-03-01T00:00:00Z")));
    assert_eq!(book.standing(), standing(State::Trialing, "2027-03-01T00:00:00Z", 1_500));
}

#[test]
fn now_ends_a_trial_and_is_paid_now() {
    let (basic, on_15) = (Plan { trial_days: 14, ..plan() }, Plan { trial_days: 14, ..on_day(15) });
    let ends = Change { trial_end: Some(TrialEnd::Now), ..Change::default() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&basic), &[], START);
        book.update(&ends, "2027-02-10T00:00:00Z").expect("ended");
        assert_eq!(book.charges(), charges(&[("2027-02-10T00:00:00Z", 1_000)]));
        assert_eq!(book.standing(), standing(State::Active, "2027-03-10T00:00:00Z", 1_000));
        assert_eq!(book.held.trial, Some(period(START, "2027-02-10T00:00:00Z")));
        // With a billing day it is paid now too, up to the day.
        let mut book = Book::create(calendar, &new(&on_15), &[], START);
        book.update(&ends, "2027-02-10T00:00:00Z").expect("ended");
        assert_eq!(book.charges(), charges(&[("2027-02-10T00:00:00Z", 1_000)]));
        assert_eq!(book.standing(), standing(State::Active, "2027-02-15T00:00:00Z", 1_000));
    }
}

#[test]
fn now_without_a_trial_does_nothing() {
    let plan = plan();
    let ends = Change { trial_end: Some(TrialEnd::Now), ..Change::default() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        let before = book.clone();
        book.update(&ends, "2027-02-10T00:00:00Z").expect("nothing to do");
        assert_eq!((book.held, book.scheduled, book.paid), (before.held, before.scheduled, before.paid));
    }
}

#[test]
fn a_quantity_alone_is_for_the_next_invoice_on() {
    let plan = Plan { trial_days: 10, ..on_day(15) };
    let asked = New { prorate: true, ..new(&plan) };
    let mut book = Book::create(Calendar::Payjp, &asked, &[], START);
    let change = Change { quantity: Some(4), ..Change::default() };
    book.update(&change, "2027-02-01T00:00:00Z").expect("changed");
    // The part from 02-10 to 02-15, 5/31 of four.
    assert_eq!(book.standing(), standing(State::Trialing, "2027-02-10T06:00:00Z", 4_000 * 5 / 31));
    book.run("2027-02-15T00:00:00Z");
    assert_eq!(book.paid[1].2, 4_000);
}

#[test]
fn no_change_makes_more_than_an_invoice_holds() {
    let (basic, dear) = (plan(), Plan { id: "dear".into(), amount: Money::yen(AMOUNT_MAX / 3), ..plan() });
    let asked = New { quantity: 4, ..new(&basic) };
    let mut book = Book::create(Calendar::Anchor, &asked, &[&dear], START);
    let quantity = |quantity| Change { quantity: Some(quantity), ..Change::default() };
    let too_many =
        |plan: &Plan, most, found| Err(Refused::InvalidQuantity { plan: plan.id.clone(), most, found });
    let now = "2027-02-16T00:00:00Z";
    assert_eq!(book.update(&quantity(0), now), too_many(&basic, QUANTITY_MAX, 0));
    assert_eq!(book.update(&to(&dear), now), too_many(&dear, 3, 4));
    assert_eq!(book.update(&next(&dear), now), too_many(&dear, 3, 4));
    // With fewer of it, or with a reservation and then more.
    assert_eq!(book.update(&Change { quantity: Some(3), ..next(&dear) }, now), Ok(()));
    assert_eq!(book.update(&quantity(4), now), too_many(&dear, 3, 4));
    let cleared = Change { next_plan: Some(None), ..quantity(4) };
    assert_eq!(book.update(&cleared, now), Ok(()));
}

#[test]
fn a_set_up_fee_is_on_the_same_invoice_as_the_quantity() {
    let plan = Plan { amount: Money::yen(9_999_999), setup_fee: Money::yen(9_999_999), ..plan() };
    let asked = |quantity| create(&terms(Calendar::Anchor), &New { quantity, ..new(&plan) }, at(START));
    let refused = Refused::InvalidQuantity { plan: plan.id.clone(), most: 9, found: 10 };
    assert_eq!(asked(10).map(|step| step.then.quantity), Err(refused));
    let DueNow::Bill(bill) = asked(9).expect("fits").due_now else {
        panic!("nothing is paid");
    };
    assert_eq!(bill.amount.minor, 9_999_999 * 10);
}

#[test]
fn a_next_plan_is_paid_from_the_next_renewal_on() {
    // The worked example of 6.10: 1,080 until 2019-09-20, 1,100 from 2019-10-20 on.
    let a = Plan { amount: Money::yen(1_080), ..plan() };
    let b = Plan { id: "b".into(), amount: Money::yen(1_100), ..plan() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&a), &[&b], "2019-08-20T01:00:00Z");
        book.run("2019-09-25T00:00:00Z");
        book.update(&next(&b), "2019-09-25T00:00:00Z").expect("reserved");
        assert_eq!((book.paid.len(), book.held.plan.id.as_str()), (2, "basic"));
        book.run("2019-10-20T01:00:00Z");
        assert_eq!(book.paid[2].2, 1_100);
        assert_eq!((book.held.plan.id.as_str(), book.held.next_plan), ("b", None));
        book.run("2019-11-20T01:00:00Z");
        assert_eq!(book.paid[3].2, 1_100);
    }
}

#[test]
fn e25_a_second_reservation_replaces_the_first_and_an_immediate_change_drops_it() {
    let (basic, plus, other) =
        (plan(), plus(), Plan { id: "other".into(), amount: Money::yen(70), ..plan() });
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus, &other], START);
    book.update(&next(&plus), "2027-02-10T00:00:00Z").expect("reserved");
    book.update(&next(&other), "2027-02-11T00:00:00Z").expect("reserved");
    assert_eq!(book.next().amount, Money::yen(70));
    let cleared = Change { next_plan: Some(None), ..Change::default() };
    book.update(&cleared, "2027-02-12T00:00:00Z").expect("cleared");
    assert_eq!((book.next().amount, book.held.next_plan), (Money::yen(1_000), None));
    book.update(&next(&other), "2027-02-13T00:00:00Z").expect("reserved");
    book.update(&to(&plus), "2027-02-14T00:00:00Z").expect("changed");
    assert_eq!((book.next().amount, book.held.next_plan), (Money::yen(1_500), None));
}

#[test]
fn a_next_plan_of_another_interval_counts_from_its_boundary() {
    let basic = plan();
    let annual = Plan { id: "annual".into(), interval: every(Unit::Year, 1), ..plan() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&basic), &[&annual], START);
        book.update(&next(&annual), "2027-02-10T00:00:00Z").expect("reserved");
        assert_eq!(book.next().cycle.period, period("2027-02-28T06:00:00Z", "2028-02-28T06:00:00Z"));
        let cleared = Change { next_plan: Some(None), ..Change::default() };
        let mut same = book.clone();
        same.update(&cleared, "2027-02-11T00:00:00Z").expect("cleared");
        assert_eq!(same.next().cycle.period.start, at("2027-02-28T06:00:00Z"));
        assert!(same.next().cycle.period.end < at("2027-04-01T00:00:00Z"));
        book.run("2027-02-28T06:00:00Z");
        assert_eq!(book.standing(), standing(State::Active, "2028-02-28T06:00:00Z", 1_000));
    }
}

#[test]
fn a_next_plan_with_a_billing_day_runs_to_it() {
    let (basic, on_15) = (plan(), on_day(15));
    for calendar in BOTH {
        for (prorate, yen) in [(false, 1_000), (true, 535)] {
            let asked = New { prorate, ..new(&basic) };
            let mut book = Book::create(calendar, &asked, &[&on_15], START);
            book.update(&next(&on_15), "2027-02-10T00:00:00Z").expect("reserved");
            // From 02-28 to 03-15 are 15 of 28 days.
            assert_eq!(book.standing(), standing(State::Active, "2027-02-28T06:00:00Z", yen));
            book.run("2027-02-28T06:00:00Z");
            assert_eq!(book.standing(), standing(State::Active, "2027-03-15T00:00:00Z", 1_000));
            book.run("2027-03-15T00:00:00Z");
            assert_eq!(book.standing(), standing(State::Active, "2027-04-15T00:00:00Z", 1_000));
        }
    }
}

/// 2,700 yen a quarter, on the 15th.
fn quarterly() -> Plan {
    Plan { id: "quarterly".into(), amount: Money::yen(2_700), interval: every(Unit::Month, 3), ..on_day(15) }
}

#[test]
fn a_quarter_that_begins_on_its_billing_day_is_paid_for_three_months() {
    let (monthly, quarterly) = (on_day(15), quarterly());
    let (began, then) = ("2027-02-15T00:00:00Z", "2027-05-15T00:00:00Z");
    let once = [(began, 2_700), (then, 2_700)];
    for calendar in BOTH {
        let waits = Book::create(calendar, &new(&monthly), &[&quarterly], START);
        // Reserved for the next renewal, one by one or for all of a plan.
        let mut reserved = waits.clone();
        reserved.update(&next(&quarterly), "2027-02-01T00:00:00Z").expect("reserved");
        let mut switched = waits.clone();
        switched.reserve(Some((&quarterly, "2027-02-10T00:00:00Z")));
        for mut book in [reserved, switched] {
            book.run(then);
            assert_eq!(book.charges(), charges(&once), "{calendar:?}");
        }
        // At once, on the day.
        let mut changed = waits.clone();
        changed.run(began);
        changed.update(&to(&quarterly), "2027-02-15T05:00:00Z").expect("changed");
        changed.run(then);
        let twice = [(began, 1_000), ("2027-02-15T05:00:00Z", 2_700), (then, 2_700)];
        assert_eq!(changed.charges(), charges(&twice), "{calendar:?}");
        // Resumed after its period.
        let mut paused = Book::create(calendar, &new(&quarterly), &[], "2026-11-16T00:00:00Z");
        paused.run("2026-12-15T00:00:00Z");
        paused.pause();
        paused.resume(&Resumption::default(), "2027-03-15T01:00:00Z").expect("resumed");
        assert_eq!(paused.next().cycle.charge_at, at("2027-06-15T00:00:00Z"), "{calendar:?}");
    }
}

#[test]
fn a_quarter_paid_between_billing_days_lasts_to_the_last_one_within_it() {
    let (basic, quarterly) = (plan(), quarterly());
    for calendar in BOTH {
        for (now, until) in [
            ("2027-04-14T00:00:00Z", "2027-06-15T00:00:00Z"),
            ("2027-04-16T00:00:00Z", "2027-07-15T00:00:00Z"),
        ] {
            let mut book = Book::create(calendar, &new(&basic), &[&quarterly], START);
            book.update(&to(&quarterly), now).expect("changed");
            assert_eq!((book.paid[1].2, book.next().cycle.charge_at), (2_700, at(until)), "{calendar:?}");
        }
        // By the day, the next billing day is near enough: from 04-16 to 05-15 are 29 of 89 days.
        let mut book = Book::create(calendar, &new(&basic), &[&quarterly], START);
        let by_day = Change { prorate: Some(true), ..to(&quarterly) };
        book.update(&by_day, "2027-04-16T00:00:00Z").expect("changed");
        assert_eq!(book.paid[1].2, 2_700 * 29 / 89);
        assert_eq!(book.standing(), standing(State::Active, "2027-05-15T00:00:00Z", 2_700));
    }
}

#[test]
fn a_next_plan_without_a_billing_day_counts_from_the_last_one() {
    let (on_31, basic) = (on_day(31), plan());
    for (calendar, april) in
        [(Calendar::Payjp, "2027-04-28T00:00:00Z"), (Calendar::Anchor, "2027-04-28T00:00:00Z")]
    {
        let mut book = Book::create(calendar, &new(&on_31), &[&basic], "2027-02-10T00:00:00Z");
        book.update(&next(&basic), "2027-02-11T00:00:00Z").expect("reserved");
        book.run("2027-03-30T00:00:00Z");
        assert_eq!(book.standing(), standing(State::Active, april, 1_000), "{calendar:?}");
        assert_eq!(book.held.anchor.at.is_some(), calendar == Calendar::Payjp);
    }
}

#[test]
fn the_end_of_a_trial_counts_as_a_renewal_for_a_next_plan() {
    let (basic, plus) = (Plan { trial_days: 14, ..plan() }, plus());
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    book.update(&next(&plus), "2027-02-01T00:00:00Z").expect("reserved");
    book.run("2027-02-14T06:00:00Z");
    assert_eq!((book.paid[0].2, book.held.plan.id.as_str()), (1_500, "plus"));
    // Ended by a request it is paid at the present plan's price.
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    book.update(&next(&plus), "2027-02-01T00:00:00Z").expect("reserved");
    let ends = Change { trial_end: Some(TrialEnd::Now), ..Change::default() };
    book.update(&ends, "2027-02-02T00:00:00Z").expect("ended");
    assert_eq!((book.paid[0].2, book.next().amount), (1_000, Money::yen(1_500)));
}

#[test]
fn a_trial_set_while_a_next_plan_is_reserved_ends_with_that_plan() {
    let (basic, plus) = (plan(), plus());
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    book.update(&next(&plus), "2027-02-01T00:00:00Z").expect("reserved");
    book.update(&until("2027-02-20T00:00:00Z"), "2027-02-02T00:00:00Z").expect("set");
    assert_eq!(book.standing(), standing(State::Trialing, "2027-02-20T00:00:00Z", 1_500));
}

#[test]
fn a_trial_after_the_last_instalment_is_refused() {
    let plan = Plan { instalments: Some(2), ..plan() };
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.run("2027-02-28T06:00:00Z");
    let refused = book.update(&until("2027-03-20T00:00:00Z"), "2027-03-01T00:00:00Z");
    assert_eq!(refused, Err(Refused::InvalidTrialEnd));
}
