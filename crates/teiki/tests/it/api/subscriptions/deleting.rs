//! Deleting with `prorate=true`: the rest of the period that was paid is given back (6.8).

use super::super::client::{Client, Form};
use super::super::gateway::Gateway;
use super::super::life::Life;
use super::super::shop::{GOOD, Merchant, Subscription, account, in_a_shop, must_be_well, soon};
use crate::installation::on_both;
use crate::serve::Server;

const START: &str = "2027-01-15T06:00:00Z";

/// A customer's charges, oldest first: amount, and how much of it was given back.
async fn given_back(client: &Client, customer: &str) -> Vec<(i64, i64)> {
    let charges = client.list(&format!("/v1/charges?customer={customer}")).await;
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    charges.iter().map(|charge| (number(&charge["amount"]), number(&charge["amount_refunded"]))).collect()
}

async fn delete(client: &Client, subscription: &Subscription) {
    let path = format!("/v1/subscriptions/{}", subscription.id);
    let deleted = client.delete(&format!("{path}?prorate=true")).await.ok();
    assert_eq!((&deleted["deleted"], &deleted["id"]), (&true.into(), &subscription.id.as_str().into()));
    client.get(&path).await.refused(404, "invalid_id");
}

#[tokio::test]
async fn the_days_after_today_are_given_back_on_the_last_payment() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 3_100, &[]).await;
            let life = Life::begin(client, START).await;
            let (one, other) = (life.customer(GOOD).await, life.customer(GOOD).await);
            let simple = client.subscribe(&one, "basic", &[]).await;
            let changing = client.subscribe(&other, "basic", &[]).await;
            life.advance("2027-01-25T06:00:00Z").await;
            delete(client, &simple).await;
            // 20 of 31 days.
            assert_eq!(given_back(client, &one).await, [(1_000, 645)]);
            client.act(&changing.id, "", &[("plan", "plus")]).await.ok();
            life.advance("2027-02-04T06:00:00Z").await;
            delete(client, &changing).await;
            assert_eq!(given_back(client, &other).await, [(1_000, 0), (3_100, 2_000)]);
            life.advance("2027-05-01T00:00:00Z").await;
            assert_eq!((client.charges(&one).await.len(), client.charges(&other).await.len()), (1, 2));
        }
    })
    .await;
}

/// Two payments for periods that begin at one instant: which one is the later is no accident.
#[tokio::test]
async fn of_two_payments_of_one_instant_the_later_is_given_back() {
    const AT: &str = "2027-01-01T06:00:00Z";
    // When it changes to which plan, when it is deleted, and what was charged and given back by then.
    type Row = (&'static str, Form<'static>, &'static str, &'static [(i64, i64)]);
    const TABLE: [Row; 2] = [
        // 14 days of 31 are paid anew, and 11 of those 14 are left.
        (AT, &[("plan", "middle"), ("prorate", "true")], "2027-01-03T06:00:00Z", &[(1_000, 0), (451, 354)]),
        // The renewal and the change are for the same month: 27 of 28 days are left.
        (
            "2027-02-01T06:00:00Z",
            &[("plan", "plus")],
            "2027-02-01T06:00:00Z",
            &[(1_000, 0), (1_000, 0), (1_500, 1_446)],
        ),
    ];
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 1_500, &[]).await;
            client.plan("middle", 1_000, &[("billing_day", "15")]).await;
            for (changed, form, deleted, expected) in TABLE {
                let life = Life::begin(client, AT).await;
                // The ids of charges are hashes: of eight subscriptions some would have them the wrong way round.
                let mut made = Vec::new();
                for _ in 0..8 {
                    let customer = life.customer(GOOD).await;
                    made.push((client.subscribe(&customer, "basic", &[]).await, customer));
                }
                if changed != AT {
                    life.advance(changed).await;
                }
                for (subscription, _) in &made {
                    client.act(&subscription.id, "", form).await.ok();
                }
                if deleted != changed {
                    life.advance(deleted).await;
                }
                for (subscription, customer) in &made {
                    delete(client, subscription).await;
                    assert_eq!(given_back(client, customer).await, expected);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_set_up_fee_is_not_given_back_by_the_day() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("course", 1_000, &[("setup_fee", "500")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let subscription = client.subscribe(&customer, "course", &[]).await;
            life.advance("2027-01-25T06:00:00Z").await;
            let preview = "/v1/invoices/preview?change=delete&prorate=true&subscription=";
            let preview = client.get(&format!("{preview}{}", subscription.id)).await.ok();
            assert_eq!(preview["refund"]["amount"], 645);
            delete(client, &subscription).await;
            // 20 of 31 days of 1,000.
            assert_eq!(given_back(client, &customer).await, [(1_500, 645)]);
        }
    })
    .await;
}

#[tokio::test]
async fn while_a_renewal_is_not_known_nothing_is_deleted_with_a_refund() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        // The renewal is executed; its answer never comes, and looking it up finds nothing for a while.
        let gateway = Gateway::start(&installation.place, "idempotency=none,lookup-lag=10000");
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        client.plan("basic", 1_000, &[]).await;
        // They live in real time: while a clock advances, nothing of its customers is changed.
        let mut renewing = Vec::new();
        for _ in 0..2 {
            let customer = client.customer("sbx_timeout_after_1").await;
            let made = client.get(&format!("/v1/customers/{customer}")).await.ok()["created"].as_i64();
            let end = (made.unwrap() + 5).to_string();
            renewing.push((client.subscribe(&customer, "basic", &[("trial_end", &end)]).await, customer));
        }
        let stands = async |customer: &str, how: &str| {
            let charges = client.charges(customer).await;
            charges.first().is_some_and(|charge| charge.2 == how).then_some(())
        };
        for (subscription, customer) in &renewing {
            soon("the renewal", async || stands(customer, "open").await).await;
            let path = format!("/v1/subscriptions/{}?prorate=true", subscription.id);
            client.delete(&path).await.refused(409, "payment_in_progress");
            let preview = "/v1/invoices/preview?change=delete&prorate=true&subscription=";
            let preview = client.get(&format!("{preview}{}", subscription.id)).await;
            preview.refused(409, "payment_in_progress");
        }
        // Without a refund it is deleted all the same; what arrives late is still written down.
        client.delete(&format!("/v1/subscriptions/{}", renewing[1].0.id)).await.ok();
        for (_, customer) in &renewing {
            soon("the truth", async || stands(customer, "paid").await).await;
        }
        delete(&client, &renewing[0].0).await;
        let [first, second] = [&renewing[0].1, &renewing[1].1];
        let (first, second) = (given_back(&client, first).await, given_back(&client, second).await);
        assert!(matches!(first[..], [(1_000, 900..)]), "{first:?}");
        assert_eq!(second, [(1_000, 0)]);
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn never_more_than_was_paid_and_not_given_back_yet() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("tried", 1_000, &[("trial_days", "7")]).await;
            let life = Life::begin(client, START).await;
            let (one, other) = (life.customer(GOOD).await, life.customer(GOOD).await);
            let paid = client.subscribe(&one, "basic", &[]).await;
            let charge = client.list(&format!("/v1/charges?customer={one}")).await.remove(0);
            let refund = format!("/v1/charges/{}/refund", charge["id"].as_str().unwrap());
            client.post(&refund, &[("amount", "500")]).await.ok();
            delete(client, &paid).await;
            assert_eq!(given_back(client, &one).await, [(1_000, 1_000)]);
            let tried = client.subscribe(&other, "tried", &[]).await;
            delete(client, &tried).await;
            assert_eq!(given_back(client, &other).await, []);
        }
    })
    .await;
}

#[tokio::test]
async fn after_180_days_it_is_refused_and_nothing_is_deleted() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("yearly", 12_000, &[("interval", "year")]).await;
            let life = Life::begin(client, START).await;
            let customers = [life.customer(GOOD).await, life.customer(GOOD).await];
            let at = client.subscribe(&customers[0], "yearly", &[]).await;
            let after = client.subscribe(&customers[1], "yearly", &[]).await;
            life.advance("2027-07-14T06:00:00Z").await;
            delete(client, &at).await;
            // 184 of 365 days.
            assert_eq!(given_back(client, &customers[0]).await, [(12_000, 6_049)]);
            life.advance("2027-07-14T06:00:01Z").await;
            let path = format!("/v1/subscriptions/{}", after.id);
            let code = "cannot_prorated_refund_of_subscription";
            client.delete(&format!("{path}?prorate=true")).await.refused(400, code);
            assert_eq!(client.subscription(&after.id).await, after);
            client.delete(&path).await.ok();
            assert_eq!(given_back(client, &customers[1]).await, [(12_000, 0)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_leaves_it_deleted_and_says_so() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let book = installation.file("book.jsonl");
        let sandbox = async |faults: &str| {
            let faults = faults.parse().unwrap();
            let config =
                sandbox::Config { listen: ([127, 0, 0, 1], 0).into(), book: book.clone(), faults, seed: 7 };
            sandbox::start(config).await.unwrap()
        };
        let well = sandbox("").await;
        let server = Server::start(&installation.place, &["--sandbox", &well.url()]);
        let client = Merchant::new(&created, &server.url()).test;
        client.plan("basic", 1_000, &[]).await;
        let customers = [client.customer(GOOD).await, client.customer(GOOD).await];
        let first = client.subscribe(&customers[0], "basic", &[]).await;
        let second = client.subscribe(&customers[1], "basic", &[]).await;
        assert_eq!(server.stop(), Some(0));
        well.stop().await;

        // Never executed, which two look-ups prove.
        let deaf = sandbox("idempotency=none,drop-before=1,max-processing=100").await;
        let server = Server::start(&installation.place, &["--sandbox", &deaf.url()]);
        let client = Merchant::new(&created, &server.url()).test;
        let path = format!("/v1/subscriptions/{}", first.id);
        let error = client.delete(&format!("{path}?prorate=true")).await.refused(500, "pg_wrong");
        assert!(error["message"].as_str().unwrap().starts_with("The subscription is deleted"));
        client.get(&path).await.refused(404, "invalid_id");
        assert_eq!(given_back(&client, &customers[0]).await, [(1_000, 0)]);
        assert_eq!(server.stop(), Some(0));
        deaf.stop().await;

        // Executed, and found by its reference.
        let lossy = sandbox("idempotency=none,drop-after=1").await;
        let server = Server::start(&installation.place, &["--sandbox", &lossy.url()]);
        let client = Merchant::new(&created, &server.url()).test;
        delete(&client, &second).await;
        let rest = given_back(&client, &customers[1]).await;
        assert!(rest[0].1 > 900, "{rest:?}");
        assert_eq!(server.stop(), Some(0));
        lossy.stop().await;
        let book = std::fs::read_to_string(&book).unwrap();
        assert_eq!(book.matches("\"refunded\"").count(), 1, "{book}");
        must_be_well(&installation.place);
    })
    .await;
}
