//! A plan reserved for a day: specs/billing-cases.md E25, E30.

use super::*;

/// A month later renewals are dearer: 2019-10-01 00:00 in Tokyo.
const TAX_CHANGE: &str = "2019-09-30T15:00:00Z";

/// What is paid from the day of the change on, of one that was made on `start`.
fn switched<'a>(calendar: Calendar, basic: &'a Plan, next: &'a Plan, start: &str) -> Book<'a> {
    let mut book = Book::create(calendar, &new(basic), &[next], start);
    book.reserve(Some((next, TAX_CHANGE)));
    book
}

#[test]
fn e30_the_last_renewal_before_the_instant_keeps_the_old_price_and_the_first_at_it_has_the_new_one() {
    let (basic, plus) = (plan(), plus());
    for (start, expected) in [
        // Renews at 23:59:59 of the last day, at midnight, and a second later.
        ("2019-08-30T14:59:59Z", [("2019-09-30T14:59:59Z", 1_000), ("2019-10-30T14:59:59Z", 1_500)]),
        ("2019-08-31T15:00:00Z", [("2019-09-30T15:00:00Z", 1_500), ("2019-10-31T15:00:00Z", 1_500)]),
        ("2019-08-31T15:00:01Z", [("2019-09-30T15:00:01Z", 1_500), ("2019-10-31T15:00:01Z", 1_500)]),
    ] {
        let mut book = switched(Calendar::Anchor, &basic, &plus, start);
        book.run("2019-11-05T00:00:00Z");
        assert_eq!(book.charges()[1..], charges(&expected), "{start}");
        assert_eq!((book.held.plan.id.as_str(), book.held.next_plan), ("plus", None));
    }
}

#[test]
fn the_scheduled_invoice_bears_the_price_of_its_period_at_once() {
    let (basic, plus) = (plan(), plus());
    let near = switched(Calendar::Anchor, &basic, &plus, "2019-08-31T15:00:00Z");
    assert_eq!(near.next().amount.minor, 1_500);
    let mut far = switched(Calendar::Anchor, &basic, &plus, "2019-08-10T00:00:00Z");
    assert_eq!(far.next().amount.minor, 1_000);
    far.run("2019-09-10T00:00:00Z");
    assert_eq!((far.next().amount.minor, far.next().plan()), (1_500, "plus"));
    let seen = preview(&far.terms, &far.held, far.next().clone(), 2).expect("previewed");
    assert_eq!(seen.iter().map(|next| next.amount.minor).collect::<Vec<_>>(), [1_500, 1_500]);
    // Taken back, it is as if it had never been.
    far.reserve(None);
    assert_eq!((far.next().amount.minor, far.next().plan()), (1_000, "basic"));
    assert_eq!((far.held.next_plan, far.held.next_plan_from), (None, None));
}

#[test]
fn a_preview_shows_the_switch_where_it_comes() {
    let basic = Plan { instalments: Some(9), ..plan() };
    let annual = Plan { interval: every(Unit::Year, 1), instalments: Some(2), ..plus() };
    for calendar in BOTH {
        for next in [&plus(), &annual] {
            let mut book = switched(calendar, &basic, next, "2019-07-10T00:00:00Z");
            let seen = preview(&book.terms, &book.held, book.next().clone(), 5).expect("previewed");
            book.run("2026-01-01T00:00:00Z");
            let paid: Vec<_> = book.paid[1..].iter().take(5).copied().collect();
            let seen: Vec<_> = seen
                .iter()
                .map(|next| (next.cycle.charge_at, next.cycle.period, next.amount.minor))
                .collect();
            assert_eq!(seen, paid, "{calendar:?} {}", next.id);
        }
    }
}

#[test]
fn e25_the_later_reservation_replaces_the_former_and_an_immediate_change_cancels_it() {
    let (basic, plus) = (plan(), plus());
    let third = Plan { id: "third".into(), amount: Money::yen(2_000), ..plan() };
    let book = || switched(Calendar::Anchor, &basic, &plus, "2019-08-31T15:00:00Z");
    let now = "2019-09-10T00:00:00Z";
    let mut replaced = book();
    replaced.plans.push(&third);
    replaced.reserve(Some((&third, TAX_CHANGE)));
    assert_eq!(replaced.next().amount.minor, 2_000);
    let by_request = Change { next_plan: Some(Some(&plus)), ..Change::default() };
    replaced.update(&by_request, now).expect("changed");
    assert_eq!((replaced.held.next_plan_from, replaced.next().amount.minor), (None, 1_500));
    let mut changed = book();
    changed.plans.push(&third);
    changed.update(&Change { plan: Some(&third), ..Change::default() }, now).expect("changed");
    assert_eq!((changed.held.next_plan, changed.held.next_plan_from), (None, None));
}

#[test]
fn hours_before_a_billing_day_that_is_the_same_day_here_are_not_charged_by_themselves() {
    // 08:59:59 in Tokyo; the billing day begins at 09:00, which is midnight in UTC.
    let (basic, day) = (plan(), on_day(28));
    let mut book = switched(Calendar::Payjp, &basic, &day, "2019-09-27T23:59:59Z");
    book.run("2019-12-01T00:00:00Z");
    let boundary = ("2019-10-27T23:59:59Z", 1_000);
    assert_eq!(book.charges()[1..], charges(&[boundary, ("2019-11-28T00:00:00Z", 1_000)]));
    assert_eq!(book.paid[1].1, period("2019-10-27T23:59:59Z", "2019-11-28T00:00:00Z"));
    // Nor are they a part of a quarter: it has its three months.
    let quarterly = Plan { interval: every(Unit::Month, 3), ..day.clone() };
    let mut book = switched(Calendar::Payjp, &basic, &quarterly, "2019-09-27T23:59:59Z");
    book.run("2020-02-01T00:00:00Z");
    assert_eq!(book.charges()[1..], charges(&[boundary, ("2020-01-28T00:00:00Z", 1_000)]));
    // A day earlier they are.
    let mut book = switched(Calendar::Payjp, &basic, &day, "2019-09-26T23:59:59Z");
    book.run("2019-11-01T00:00:00Z");
    assert_eq!(
        book.charges()[1..],
        charges(&[("2019-10-26T23:59:59Z", 1_000), ("2019-10-28T00:00:00Z", 1_000)])
    );
}

#[test]
fn a_switch_of_instalments_counts_what_was_paid_before_it() {
    let (basic, plus) = (Plan { instalments: Some(4), ..plan() }, Plan { instalments: Some(4), ..plus() });
    let mut book = switched(Calendar::Anchor, &basic, &plus, "2019-08-20T00:00:00Z");
    let seen = preview(&book.terms, &book.held, book.next().clone(), 9).expect("previewed");
    assert_eq!(seen.iter().map(|next| next.amount.minor).collect::<Vec<_>>(), [1_000, 1_500, 1_500]);
    book.run("2021-01-01T00:00:00Z");
    let paid: Vec<i64> = book.paid.iter().map(|paid| paid.2).collect();
    assert_eq!(paid, [1_000, 1_000, 1_500, 1_500], "four in all");
    // After the last one there is nothing to switch.
    let reserve = Change { next_plan: Some(Some(&basic)), ..Change::default() };
    let held = Agreement { state: State::PastDue, open_invoices: 1, ..book.held };
    let refused = update(&book.terms, &held, &reserve, at("2021-01-01T00:00:00Z"));
    assert_eq!(refused, Err(Refused::NothingScheduled));
}

#[test]
fn who_is_paused_meanwhile_pays_the_new_price_from_the_day_on_when_resumed() {
    let (basic, plus) = (plan(), plus());
    for (now, yen) in [("2019-09-30T14:59:59Z", 1_000), ("2019-10-01T00:00:00Z", 1_500)] {
        let mut book = switched(Calendar::Anchor, &basic, &plus, "2019-07-20T00:00:00Z");
        book.pause();
        book.resume(&Resumption::default(), now).expect("resumed");
        assert_eq!(book.paid.last().map(|paid| paid.2), Some(yen), "{now}");
        assert_eq!(book.next().amount.minor, 1_500, "the renewal after it");
    }
}

#[test]
fn one_that_ends_keeps_the_reservation_for_the_case_that_its_end_is_undone() {
    let (basic, plus) = (plan(), plus());
    let mut book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], "2019-08-31T15:00:00Z");
    book.cancel();
    book.reserve(Some((&plus, TAX_CHANGE)));
    book.resume(&Resumption::default(), "2019-09-20T00:00:00Z").expect("resumed");
    book.run("2019-10-05T00:00:00Z");
    assert_eq!(book.paid.last().map(|paid| paid.2), Some(1_500));
}
