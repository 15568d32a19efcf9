//! Creation: 6.3, 6.4 and 6.5.

use super::*;

#[test]
fn without_a_trial_it_is_active_and_paid_now() {
    let plan = plan();
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], "2015-06-01T06:33:42.9Z");
        assert_eq!(book.held.period, period("2015-06-01T06:33:42Z", "2015-07-01T06:33:42Z"));
        assert_eq!((book.held.state, book.held.trial), (State::Active, None));
        assert_eq!(book.standing(), standing(State::Active, "2015-07-01T06:33:42Z", 1_000));
        book.run("2015-07-01T06:33:41Z");
        assert_eq!(book.paid.len(), 1, "nothing before the period ends");
        book.run("2015-07-01T06:33:42Z");
        assert_eq!(book.held.period, period("2015-07-01T06:33:42Z", "2015-08-01T06:33:42Z"));
    }
}

#[test]
fn boundaries_drift_in_payjp_and_come_back_in_the_anchor_calendar() {
    let plan = plan();
    // The table of 6.4 A: 06-01 00:00 in Japan is 05-31 in UTC.
    for (calendar, boundaries) in [
        (Calendar::Payjp, ["2019-06-30T15:00:00Z", "2019-07-30T15:00:00Z", "2019-08-30T15:00:00Z"]),
        (Calendar::Anchor, ["2019-06-30T15:00:00Z", "2019-07-31T15:00:00Z", "2019-08-31T15:00:00Z"]),
    ] {
        let mut book = Book::create(calendar, &new(&plan), &[], "2019-05-31T15:00:00Z");
        book.run("2019-09-01T00:00:00Z");
        let seen: Vec<_> = book.charges().into_iter().skip(1).map(|charge| charge.0).collect();
        assert_eq!(seen, boundaries, "{calendar:?}");
    }
    // A month end of both calendars.
    for (calendar, march) in
        [(Calendar::Payjp, "2027-03-28T06:00:00Z"), (Calendar::Anchor, "2027-03-31T06:00:00Z")]
    {
        let mut book = Book::create(calendar, &new(&plan), &[], "2027-01-31T06:00:00Z");
        book.run("2027-02-28T06:00:00Z");
        assert_eq!(book.next().cycle.charge_at, at(march), "{calendar:?}");
    }
}

#[test]
fn the_plans_trial_is_free_and_its_end_is_the_base() {
    let plan = Plan { trial_days: 14, ..plan() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], "2027-01-31T06:00:00Z");
        let trial = period("2027-01-31T06:00:00Z", "2027-02-14T06:00:00Z");
        assert_eq!(
            (book.held.trial, book.held.period, book.held.state),
            (Some(trial), trial, State::Trialing)
        );
        assert_eq!(book.paid, []);
        book.run("2027-02-14T06:00:00Z");
        assert_eq!(book.charges(), charges(&[("2027-02-14T06:00:00Z", 1_000)]));
        assert_eq!(book.standing(), standing(State::Active, "2027-03-14T06:00:00Z", 1_000));
    }
}

#[test]
fn a_given_trial_end_overrides_the_plans_and_now_cancels_it() {
    let plan = Plan { trial_days: 14, ..plan() };
    let until = |end| New { trial_end: Some(end), ..new(&plan) };
    for calendar in BOTH {
        let at_instant = until(TrialEnd::At(at("2027-01-31T07:23:20Z")));
        let book = Book::create(calendar, &at_instant, &[], "2027-01-31T06:00:00Z");
        assert_eq!(book.held.trial, Some(period("2027-01-31T06:00:00Z", "2027-01-31T07:23:20Z")));
        let book = Book::create(calendar, &until(TrialEnd::Now), &[], "2027-01-31T06:00:00Z");
        assert_eq!((book.held.state, book.held.trial, book.paid.len()), (State::Active, None, 1));
    }
}

#[test]
fn a_trial_end_is_after_now_and_at_most_five_years_ahead() {
    let plan = plan();
    let now = at("2027-01-31T06:00:00Z");
    for (end, is_valid) in [
        ("2027-01-31T05:59:59Z", false),
        ("2027-01-31T06:00:00Z", false),
        ("2027-01-31T06:00:01Z", true),
        ("2032-01-31T06:00:00Z", true),
        ("2032-01-31T06:00:01Z", false),
    ] {
        let asked = New { trial_end: Some(TrialEnd::At(at(end))), ..new(&plan) };
        let refused = create(&terms(Calendar::Anchor), &asked, now).err();
        assert_eq!(refused, (!is_valid).then_some(Refused::InvalidTrialEnd), "{end}");
    }
}

#[test]
fn with_a_billing_day_nothing_is_paid_until_it() {
    let plan = on_day(31);
    for (calendar, starts, charged, march) in [
        (Calendar::Payjp, "2027-02-28T00:00:00Z", "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"),
        (Calendar::Anchor, "2027-02-27T15:00:00Z", "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"),
    ] {
        let mut book = Book::create(calendar, &new(&plan), &[], "2027-02-10T03:00:00Z");
        assert_eq!((book.held.state, book.held.trial, book.paid.len()), (State::Active, None, 0));
        assert_eq!(book.held.period, period("2027-02-10T03:00:00Z", starts));
        assert_eq!(book.standing(), standing(State::Active, charged, 1_000));
        book.run(charged);
        assert_eq!(book.next().cycle.charge_at, at(march), "the 31st comes back in {calendar:?}");
    }
}

#[test]
fn on_the_very_boundary_of_the_billing_day_it_is_paid_now() {
    let plan = on_day(1);
    for (calendar, boundary) in
        [(Calendar::Payjp, "2027-03-01T00:00:00Z"), (Calendar::Anchor, "2027-02-28T15:00:00Z")]
    {
        let book = Book::create(calendar, &new(&plan), &[], boundary);
        assert_eq!(book.charges(), charges(&[(boundary, 1_000)]), "{calendar:?}");
        let mut after = at(boundary);
        after += jiff::SignedDuration::from_secs(1);
        let book = Book::create(calendar, &new(&plan), &[], &after.to_string());
        assert_eq!(book.paid, [], "{calendar:?}");
    }
}

#[test]
fn a_trial_with_a_billing_day_ends_on_it_unless_by_the_day() {
    let plan = on_day(15);
    let end = Some(TrialEnd::At(at("2027-02-20T03:00:00Z")));
    for (calendar, moved, charged) in [
        (Calendar::Payjp, "2027-03-15T00:00:00Z", "2027-03-15T00:00:00Z"),
        (Calendar::Anchor, "2027-03-14T15:00:00Z", "2027-03-15T00:00:00Z"),
    ] {
        let asked = New { trial_end: end, ..new(&plan) };
        let book = Book::create(calendar, &asked, &[], "2027-02-01T03:00:00Z");
        assert_eq!(book.held.trial, Some(period("2027-02-01T03:00:00Z", moved)), "{calendar:?}");
        assert_eq!(book.standing(), standing(State::Trialing, charged, 1_000));

        let asked = New { prorate: true, ..asked };
        let mut book = Book::create(calendar, &asked, &[], "2027-02-01T03:00:00Z");
        assert_eq!(book.held.trial, Some(period("2027-02-01T03:00:00Z", "2027-02-20T03:00:00Z")));
        book.run(charged);
        // From 02-20 to 03-15 are 23 of 28 days.
        assert_eq!(book.charges(), charges(&[("2027-02-20T03:00:00Z", 821), (charged, 1_000)]));
    }
}

#[test]
fn quantity_multiplies_the_price_and_the_set_up_fee_comes_once() {
    let plan = Plan { setup_fee: Money::yen(5_000), instalments: Some(3), ..plan() };
    for calendar in BOTH {
        let asked = New { quantity: 3, ..new(&plan) };
        let mut book = Book::create(calendar, &asked, &[], "2027-01-31T06:00:00Z");
        book.run("2028-01-01T00:00:00Z");
        let yen: Vec<_> = book.charges().into_iter().map(|charge| charge.1).collect();
        assert_eq!(yen, [8_000, 3_000, 3_000]);
        assert_eq!((book.held.remaining, book.scheduled), (Some(0), None));
    }
    let trial = Plan { trial_days: 7, ..plan };
    let mut book = Book::create(Calendar::Anchor, &new(&trial), &[], "2027-01-31T06:00:00Z");
    book.run("2027-04-01T00:00:00Z");
    let yen: Vec<_> = book.charges().into_iter().map(|charge| charge.1).collect();
    assert_eq!(yen, [6_000, 1_000]);
}

#[test]
fn quantity_has_a_range() {
    for (yen, most) in [
        (0, QUANTITY_MAX),
        (50, QUANTITY_MAX),
        (9_999, QUANTITY_MAX),
        (10_000, 9_999),
        (1_000_000, 99),
        (AMOUNT_MAX, 1),
    ] {
        let plan = Plan { amount: Money::yen(yen), ..plan() };
        let create = |quantity| {
            let asked = New { quantity, ..new(&plan) };
            create(&terms(Calendar::Anchor), &asked, at("2027-01-31T06:00:00Z"))
        };
        assert!(create(most).is_ok(), "{yen}");
        for found in [0, most + 1] {
            let refused = Refused::InvalidQuantity { plan: plan.id.clone(), most, found };
            assert_eq!(create(found), Err(refused), "{yen}");
        }
    }
}

#[test]
fn a_single_instalment_is_paid_and_has_completed() {
    let plan = Plan { instalments: Some(1), ..plan() };
    let step = create(&terms(Calendar::Anchor), &new(&plan), at("2027-01-31T06:00:00Z")).expect("created");
    assert!(matches!(step.due_now, DueNow::Bill(_)));
    assert_eq!((step.then.state, &step.then.upcoming), (COMPLETED, &Upcoming::Void));
    assert_eq!(step.then.ends_at, None);
}

#[test]
fn e29_a_free_plan_needs_no_payment() {
    let plan = Plan { amount: Money::yen(0), ..plan() };
    for calendar in BOTH {
        let step = create(&terms(calendar), &new(&plan), at("2027-01-31T06:00:00Z")).expect("created");
        assert_eq!((step.due_now, step.then.state), (DueNow::Nothing, State::Active));
    }
}

#[test]
fn a_first_charge_by_schedule_waits_for_the_charge_window() {
    let plan = Plan { first_charge: FirstCharge::Scheduled, ..plan() };
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], "2027-01-30T20:00:00Z");
    // 05:00 on the 31st in Japan: the day began at 15:00 UTC, the window is at 00:00 UTC.
    assert_eq!(book.held.period, period("2027-01-30T15:00:00Z", "2027-02-27T15:00:00Z"));
    assert_eq!(book.standing(), standing(State::Active, "2027-01-31T00:00:00Z", 1_000));
    book.run("2027-03-31T00:00:00Z");
    let expected =
        [("2027-01-31T00:00:00Z", 1_000), ("2027-02-28T00:00:00Z", 1_000), ("2027-03-31T00:00:00Z", 1_000)];
    assert_eq!(book.charges(), charges(&expected));
}

#[test]
fn a_trial_before_a_first_charge_by_schedule_is_counted_in_days() {
    let plan = Plan { first_charge: FirstCharge::Scheduled, trial_days: 14, ..plan() };
    let book = Book::create(Calendar::Anchor, &new(&plan), &[], "2027-01-31T06:00:00Z");
    assert_eq!(book.held.trial, Some(period("2027-01-31T06:00:00Z", "2027-02-13T15:00:00Z")));
    assert_eq!(book.standing(), standing(State::Trialing, "2027-02-14T00:00:00Z", 1_000));
    // A named end is never cut short: it is moved to the next midnight.
    let asked = New { trial_end: Some(TrialEnd::At(at("2027-02-14T06:00:00Z"))), ..new(&plan) };
    let book = Book::create(Calendar::Anchor, &asked, &[], "2027-01-31T06:00:00Z");
    assert_eq!(book.held.trial, Some(period("2027-01-31T06:00:00Z", "2027-02-14T15:00:00Z")));
    assert_eq!(book.next().cycle.charge_at, at("2027-02-15T00:00:00Z"));
}

#[test]
fn in_the_second_pass_of_a_fold_nothing_is_charged_before_its_time() {
    // 2027-11-07 01:30 comes twice in New York; the trial ends in the second pass.
    let account =
        AccountTerms { zone: Zone::try_new("America/New_York").expect("a known zone"), ..TOKYO.clone() };
    let plan = plan();
    let end = at("2027-11-07T06:30:00Z");
    let asked = New { trial_end: Some(TrialEnd::At(end)), ..new(&plan) };
    let terms = Terms { account: &account, calendar: Calendar::Anchor };
    let step = create(&terms, &asked, at("2027-10-01T00:00:00Z")).expect("created");
    assert_eq!(step.then.period.end, end);
    let Upcoming::Replaced(next) = step.then.upcoming else { panic!("an invoice is scheduled") };
    assert_eq!((next.cycle.period.start, next.cycle.charge_at), (end, end));
}
