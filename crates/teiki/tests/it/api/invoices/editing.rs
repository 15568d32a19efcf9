//! What a person does to an invoice without a charge: moving, repricing, skipping, marking as paid.

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, charged, in_a_shop, seconds};
use super::*;

/// A customer of `plan` at [`START`].
async fn subscribed(life: &Life<'_>, plan: &str) -> (String, String) {
    let customer = life.customer(GOOD).await;
    let id = life.client.subscribe(&customer, plan, &[]).await.id;
    (customer, id)
}

/// One who owes since February.
async fn past_due(life: &Life<'_>, plan: &str) -> (String, String, String) {
    let (customer, id) = subscribed(life, plan).await;
    life.client.pay_with(&customer, DECLINED).await;
    life.advance(FEBRUARY).await;
    let open = of(life.client, &id).await.into_iter().find(|invoice| invoice["status"] == "open").unwrap();
    assert_eq!((&open["next_attempt_at"], &open["amount_paid"]), (&Value::Null, &json!(0)));
    (customer, id, open["id"].as_str().unwrap().to_owned())
}

const REASON: (&str, &str) = ("reason", "入金を銀行で確認");

#[tokio::test]
async fn a_scheduled_invoice_is_moved_and_repriced_and_the_next_cycle_stays() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let (customer, id) = subscribed(&life, "basic").await;
        let invoice = scheduled(client, &id).await;
        let before = shown(client, &invoice).await;
        let (at, moved) = (seconds("2027-02-20T01:00:00Z"), "2027-02-20T01:00:00Z");
        let form = [("due_at", &*at.to_string()), ("amount", "800"), ("memo", "値引き")];
        let edited = act(client, &invoice, "", &form).await.ok();
        let adjustment = json!({"kind": "adjustment", "plan": "basic", "quantity": 1, "amount": -200,
                                "tax_category": "standard", "days": null, "of_days": null});
        assert_eq!(edited["lines"], json!([before["lines"][0], adjustment]));
        for (name, value) in [("due_at", json!(at)), ("next_attempt_at", json!(at)), ("amount", json!(800))] {
            assert_eq!(edited[name], value, "{name}");
        }
        for same in ["id", "status", "period_start", "period_end", "plan", "amount_paid"] {
            assert_eq!(edited[same], before[same], "{same}");
        }
        assert_eq!(edited["memo"], "値引き");
        life.advance("2027-02-20T00:59:59Z").await;
        assert_eq!(client.charges(&customer).await.len(), 1, "not before its time");
        life.advance("2027-03-20T00:00:00Z").await;
        let expected = charged(&[(START, 1_000, "paid"), (moved, 800, "paid"), (MARCH, 1_000, "paid")]);
        assert_eq!(client.charges(&customer).await, expected);
        let paid = shown(client, &invoice).await;
        assert_eq!(paid["tax"], json!([{"percent": 10, "amount": 800, "tax": 72}]));
        act(client, &invoice, "", &[("amount", "700")]).await.refused(400, "invoice_not_scheduled");
    })
    .await;
}

#[tokio::test]
async fn an_edit_stays_within_its_cycle_and_its_bounds() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let (customer, id) = subscribed(&life, "basic").await;
            let invoice = scheduled(client, &id).await;
            let before = shown(client, &invoice).await;
            // Its last day ends at midnight in Tokyo: the next cycle is charged on the day after it.
            for at in ["2027-02-15T05:59:59Z", "2027-03-14T15:00:00Z", MARCH, "2031-01-01T00:00:00Z"] {
                let error = act(client, &invoice, "", &[("due_at", &seconds(at).to_string())])
                    .await
                    .refused(400, "invalid_due_at");
                assert_eq!(error["param"], "due_at");
                assert!(error["message"].as_str().unwrap().contains(FEBRUARY), "{error}");
            }
            for amount in ["1", "49", "-1", "100000000", "x"] {
                let error = act(client, &invoice, "", &[("amount", amount)]).await;
                assert_eq!(error.refused(400, "invalid_amount")["param"], "amount", "{amount}");
            }
            act(client, &invoice, "", &[("memo", &"x".repeat(501))])
                .await
                .refused(400, "invalid_string_length");
            act(client, &invoice, "", &[("status", "paid")]).await.refused(400, "invalid_param_key");
            act(client, "in_none", "", &[]).await.refused(404, "invalid_id");
            assert_eq!(shown(client, &invoice).await, before);
            // To the last second of its cycle, and nothing at all: it is paid without a charge.
            let last = seconds("2027-03-14T14:59:59Z").to_string();
            act(client, &invoice, "", &[("due_at", &last), ("amount", "0"), ("memo", "x")]).await.ok();
            let cleared = act(client, &invoice, "", &[("memo", "")]).await.ok();
            assert_eq!((&cleared["memo"], &cleared["amount"]), (&Value::Null, &json!(0)));
            life.advance(APRIL).await;
            let free = shown(client, &invoice).await;
            assert_eq!((&free["status"], &free["charges"]), (&json!("paid"), &json!([])));
            let expected = charged(&[(START, 1_000, "paid"), (MARCH, 1_000, "paid"), (APRIL, 1_000, "paid")]);
            assert_eq!(client.charges(&customer).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_skipped_invoice_is_not_charged_and_the_cycle_after_it_is() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[("setup_fee", "300"), ("trial_days", "7")]).await;
            let life = Life::begin(client, START).await;
            let (customer, id) = subscribed(&life, "basic").await;
            let (end, after) = ("2027-01-22T06:00:00Z", "2027-02-22T06:00:00Z");
            client.subscription(&id).await.stands("trial", "basic", (START, end));
            let first = scheduled(client, &id).await;
            act(client, &first, "skip", &[]).await.refused(400, "missing_param");
            let skipped = act(client, &first, "skip", &[REASON]).await.ok();
            let due = (&skipped["status"], &skipped["next_attempt_at"], &skipped["reason"]);
            assert_eq!(due, (&json!("void"), &Value::Null, &json!(REASON.1)));
            act(client, &first, "skip", &[REASON]).await.refused(400, "invoice_not_open");
            let next = shown(client, &scheduled(client, &id).await).await;
            // The set-up fee is owed with the first one that is paid.
            assert_eq!((&next["due_at"], &next["amount"]), (&json!(seconds(after)), &json!(1_300)));
            let extended = client.subscription(&id).await;
            extended.stands("trial", "basic", (START, after));
            assert_eq!(extended.trial_end, Some(seconds(after)));
            life.advance("2027-02-22T06:00:00Z").await;
            act(client, &scheduled(client, &id).await, "skip", &[REASON]).await.ok();
            life.advance("2027-04-30T00:00:00Z").await;
            let expected = charged(&[(after, 1_300, "paid"), ("2027-04-22T06:00:00Z", 1_000, "paid")]);
            assert_eq!(client.charges(&customer).await, expected);
            client.act(&id, "pause", &[]).await.ok();
            let off = scheduled(client, &id).await;
            act(client, &off, "skip", &[REASON]).await.refused(400, "already_paused");
            act(client, &off, "", &[("due_at", &seconds("2027-05-25T00:00:00Z").to_string())])
                .await
                .refused(400, "already_paused");
        }
    })
    .await;
}

#[tokio::test]
async fn an_open_invoice_is_skipped_or_marked_as_paid_and_the_subscription_goes_on() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        for (action, status, outside) in [("skip", "void", 0), ("mark_paid", "paid", 1_000)] {
            let life = Life::begin(client, START).await;
            let (customer, id, invoice) = past_due(&life, "basic").await;
            assert_eq!(client.subscription(&id).await.status, "past_due");
            act(client, &invoice, action, &[("reason", "")]).await.refused(400, "missing_param");
            let closed = act(client, &invoice, action, &[REASON]).await.ok();
            assert_eq!((&closed["status"], &closed["reason"]), (&json!(status), &json!(REASON.1)));
            assert_eq!(closed["amount_paid"], outside);
            assert_eq!(closed["amount_paid_outside"], outside);
            let paid_at = if outside > 0 { json!(seconds(FEBRUARY)) } else { Value::Null };
            assert_eq!(closed["paid_at"], paid_at);
            client.subscription(&id).await.stands("active", "basic", (FEBRUARY, MARCH));
            for again in ["skip", "mark_paid"] {
                act(client, &invoice, again, &[REASON]).await.refused(400, "invoice_not_open");
            }
            act(client, &invoice, "pay", &[]).await.refused(400, "invoice_not_open");
            client.pay_with(&customer, ALSO_GOOD).await;
            life.advance(MARCH).await;
            let how: Vec<String> =
                client.charges(&customer).await.into_iter().map(|charge| charge.2).collect();
            assert_eq!(how, ["paid", "card_declined", "paid"], "{action}");
        }
        let status = shop.installation.place.run(&["status", "--json"]).json();
        assert!(!status.to_string().contains("\"recovering\":1"), "{status}");
    })
    .await;
}

#[tokio::test]
async fn the_time_of_a_payment_outside_may_be_earlier_and_the_last_instalment_completes() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("twice", 1_000, &[("instalments", "2")]).await;
        let life = Life::begin(client, START).await;
        let (_, id, invoice) = past_due(&life, "twice").await;
        let future = (seconds(FEBRUARY) + 1).to_string();
        let error = act(client, &invoice, "mark_paid", &[REASON, ("paid_at", &future)]).await;
        assert_eq!(error.refused(400, "invalid_paid_at")["param"], "paid_at");
        let earlier = (seconds(FEBRUARY) - 60).to_string();
        let paid = act(client, &invoice, "mark_paid", &[REASON, ("paid_at", &earlier)]).await.ok();
        assert_eq!(paid["paid_at"].to_string(), earlier);
        assert_eq!(client.subscription(&id).await.status, "canceled");
    })
    .await;
}

#[tokio::test]
async fn a_last_instalment_of_zero_completes_its_subscription_and_everything_can_be_read() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("twice", 1_000, &[("instalments", "2")]).await;
            let life = Life::begin(client, START).await;
            let (customer, id) = subscribed(&life, "twice").await;
            act(client, &scheduled(client, &id).await, "", &[("amount", "0")]).await.ok();
            life.advance(FEBRUARY).await;
            let ended = client.subscription(&id).await;
            ended.stands("canceled", "twice", (FEBRUARY, MARCH));
            assert_eq!(ended.remaining_instalments, Some(0));
            let states: Vec<Value> =
                of(client, &id).await.iter().map(|invoice| invoice["status"].clone()).collect();
            assert_eq!(states, ["paid", "paid"]);
            client.get("/v1/subscriptions?plan=twice").await.ok();
            client.get(&format!("/v1/events?resource_id={id}")).await.ok();
            client.get(&format!("/v1/customers/{customer}")).await.ok();
            client.delete(&format!("/v1/customers/{customer}")).await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn a_debt_that_was_given_up_with_its_subscription_is_marked_as_paid_when_it_comes_after_all() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        for with_customer in [false, true] {
            let life = Life::begin(client, START).await;
            let (customer, id, invoice) = past_due(&life, "basic").await;
            let path = if with_customer {
                format!("/v1/customers/{customer}")
            } else {
                format!("/v1/subscriptions/{id}")
            };
            client.delete(&path).await.ok();
            assert_eq!(shown(client, &invoice).await["status"], "uncollectible");
            let future = (seconds(FEBRUARY) + 1).to_string();
            act(client, &invoice, "mark_paid", &[REASON, ("paid_at", &future)])
                .await
                .refused(400, "invalid_paid_at");
            act(client, &invoice, "skip", &[REASON]).await.refused(400, "invoice_not_open");
            let paid = act(client, &invoice, "mark_paid", &[REASON]).await.ok();
            assert_eq!(
                (&paid["status"], &paid["amount_paid"], &paid["amount_paid_outside"]),
                (&json!("paid"), &json!(1_000), &json!(1_000))
            );
            act(client, &invoice, "mark_paid", &[REASON]).await.refused(400, "invoice_not_open");
            client.get(&format!("/v1/subscriptions/{id}")).await.refused(404, "invalid_id");
            let told = client.list(&format!("/v1/events?resource_id={invoice}&type=invoice.paid")).await;
            assert_eq!(told.len(), 1);
        }
    })
    .await;
}

/// The plan of the day holds the account where more is charged than it has: what requests put on a day must be in it.
#[tokio::test]
async fn no_change_of_a_subscription_trips_the_guard_of_the_day() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        client.plan("weekly", 300, &[("interval", "week")]).await;
        let life = Life::begin(client, START).await;
        subscribed(&life, "basic").await;
        let moved = subscribed(&life, "basic").await;
        life.advance("2027-01-15T08:00:00Z").await;
        let (more, paused) = (subscribed(&life, "basic").await, subscribed(&life, "basic").await);
        client.act(&paused.1, "pause", &[]).await.ok();
        // A day of the month that is not one of the week which takes its place.
        let day = seconds("2027-03-10T00:00:00Z").to_string();
        act(client, &scheduled(client, &moved.1).await, "", &[("due_at", &day)]).await.ok();
        client.act(&moved.1, "", &[("next_cycle_plan", "weekly")]).await.ok();
        life.advance(FEBRUARY).await;
        // The day has its plan now.
        client.act(&more.1, "", &[("quantity", "10")]).await.ok();
        client.act(&paused.1, "resume", &[]).await.ok();
        life.advance("2027-03-10T00:00:00Z").await;
        let at = "2027-02-15T08:00:00Z";
        assert_eq!(client.charges(&more.0).await[1..], charged(&[(at, 10_000, "paid")]));
        assert_eq!(client.charges(&paused.0).await[1..], charged(&[(at, 1_000, "paid")]));
        let weeks = [FEBRUARY, "2027-02-22T06:00:00Z", "2027-03-01T06:00:00Z", "2027-03-08T06:00:00Z"];
        assert_eq!(client.charges(&moved.0).await[1..], charged(&weeks.map(|at| (at, 300, "paid"))));
        assert_eq!(
            shop.installation.place.run(&["hold"]).text(),
            "Nothing is held: charging runs for every account.\n"
        );
    })
    .await;
}

#[tokio::test]
async fn a_billing_day_that_begins_within_the_day_of_a_renewal_is_not_a_second_charge_on_it() {
    in_a_shop(async |shop| {
        let client = &shop.payjp.test;
        client.plan("basic", 980, &[]).await;
        client.plan("on_28", 980, &[("billing_day", "28")]).await;
        // 08:59:59 in Tokyo; PAY.JP's day begins at 09:00.
        let life = Life::begin(client, "2027-01-27T23:59:59Z").await;
        let (customer, id) = subscribed(&life, "basic").await;
        client.act(&id, "", &[("next_cycle_plan", "on_28")]).await.ok();
        life.advance("2027-03-28T00:00:00Z").await;
        let expected = [("2027-02-27T23:59:59Z", 980, "paid"), ("2027-03-28T00:00:00Z", 980, "paid")];
        assert_eq!(client.charges(&customer).await[1..], charged(&expected));
    })
    .await;
}

#[tokio::test]
async fn an_invoice_whose_charge_is_under_way_is_not_closed() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let (_, _, invoice) = past_due(&life, "basic").await;
        let charge = shown(client, &invoice).await["charges"][0]["id"].as_str().unwrap().to_owned();
        let slot = i64::from_str_radix(&charge[3..5], 16).unwrap();
        let set = async |status: &str| {
            let keys = vec![("slot", slot.into()), ("id", charge.as_str().into())];
            shop.installation.change("charges", keys, vec![("status", status.into())]).await;
        };
        set("unknown").await;
        for action in ["skip", "mark_paid"] {
            act(client, &invoice, action, &[REASON]).await.refused(409, "payment_in_progress");
        }
        set("failed").await;
        act(client, &invoice, "skip", &[REASON]).await.ok();
    })
    .await;
}

/// Whoever comes first decides; an invoice is paid once or given up, never both.
#[tokio::test]
async fn of_paying_skipping_and_marking_at_once_one_wins() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        for _ in 0..3 {
            let life = Life::begin(client, START).await;
            let (customer, _, invoice) = past_due(&life, "basic").await;
            client.pay_with(&customer, ALSO_GOOD).await;
            let actions = ["pay", "skip", "mark_paid", "pay", "mark_paid", "skip"];
            let open = &invoice;
            let at_once = actions.map(|action| async move {
                let form: Form<'_> = if action == "pay" { &[] } else { &[REASON] };
                act(client, open, action, form).await
            });
            let answers = futures_util::future::join_all(at_once).await;
            assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
            let invoice = shown(client, &invoice).await;
            let charges = client.charges(&customer).await;
            let paid = charges.iter().filter(|charge| charge.2 == "paid").count();
            let by_charge = invoice["status"] == "paid" && invoice["amount_paid_outside"] == 0;
            assert_eq!(paid, 1 + usize::from(by_charge), "{invoice}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_plan_redraws_what_a_person_had_priced_and_keeps_its_day() {
    in_a_shop(async |shop| {
        let client: &Client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let (customer, id) = subscribed(&life, "basic").await;
        let invoice = scheduled(client, &id).await;
        let moved = "2027-02-18T00:00:00Z";
        act(client, &invoice, "", &[("due_at", &seconds(moved).to_string()), ("amount", "100")]).await.ok();
        client.act(&id, "", &[("quantity", "3")]).await.ok();
        let redrawn = shown(client, &invoice).await;
        assert_eq!((&redrawn["amount"], &redrawn["due_at"]), (&json!(3_000), &json!(seconds(moved))));
        life.advance(MARCH).await;
        let expected = charged(&[(START, 1_000, "paid"), (moved, 3_000, "paid"), (MARCH, 3_000, "paid")]);
        assert_eq!(client.charges(&customer).await, expected);
    })
    .await;
}
