//! Payments inside a request whose outcome is not known at first: the answer is the truth, or says that it is not known.

use std::time::{Duration, Instant};

use super::client::{Answer, Client};
use super::gateway::Gateway;
use super::payer::{Payer, What, plans};
use super::shop::{Merchant, account, id_of, must_be_well, soon};
use super::store::{abandon, keep_commits, lose_commits, open_charges, take_away};
use crate::installation::{Installation, on_both, on_postgres, on_sqlite};
use crate::place::with_client;
use crate::serve::Server;

/// All kinds, as many at once as may hang before the breaker opens.
const GROUPS: [&[What]; 2] =
    [&[What::Sale, What::First, What::Change, What::Resume], &[What::Finish, What::ResumePastDue, What::Pay]];
/// Executed, and the answer never comes.
const AFTER: &str = "sbx_timeout_after_1";
/// Never executed, and no answer comes.
const BEFORE: &str = "sbx_timeout_before_1";
/// Longer than this no request waits for its payment; with what a busy machine adds.
const WAIT_MAX: Duration = Duration::from_secs(28);

/// A merchant whose server charges through a sandbox of its own.
struct World<'a> {
    installation: &'a Installation,
    client: Client,
    server: Server,
    gateway: Gateway,
}

impl<'a> World<'a> {
    async fn begin(installation: &'a Installation, faults: &str) -> Self {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, faults);
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        plans(&client).await;
        Self { installation, client, server, gateway }
    }

    /// Payers of these kinds with cards of `rules`, and what each is answered when all pay at once.
    async fn all_at_once(
        &self,
        kinds: &[What],
        rules: &[&'static str],
    ) -> Vec<(&'static str, Payer, Answer)> {
        let payers = Payer::all(&self.client, kinds, rules).await;
        let started = Instant::now();
        let under_way: Vec<_> = payers.iter().map(|payer| payer.1.begin(&self.client)).collect();
        let mut answered = Vec::new();
        for ((rule, payer), answer) in payers.into_iter().zip(under_way) {
            answered.push((rule, payer, answer.await.unwrap().unwrap()));
        }
        assert!(started.elapsed() < WAIT_MAX, "{:?}", started.elapsed());
        answered
    }

    /// Everything is settled, the book has each success once, and the doctor finds nothing.
    async fn end(self, successes: usize) {
        let settled = async || (open_charges(&self.installation.db).await == 0).then_some(());
        soon("everything is settled", settled).await;
        let booked = self.gateway.successes();
        let hung: Vec<_> = booked.iter().filter(|(token, _)| token.starts_with("sbx_timeout_")).collect();
        assert_eq!(hung.len(), successes, "{booked:?}");
        assert!(booked.values().all(|count| *count == 1), "{booked:?}");
        assert_eq!(self.server.stop(), Some(0));
        must_be_well(&self.installation.place);
    }
}

#[tokio::test]
async fn where_a_key_is_remembered_a_request_that_hung_is_sent_again_and_paid_once() {
    for kinds in GROUPS {
        on_both(async |installation| {
            let world = World::begin(installation, "").await;
            for (rule, payer, answer) in world.all_at_once(kinds, &[AFTER, BEFORE]).await {
                let what = payer.what;
                answer.ok();
                assert_eq!(payer.outcome(&world.client).await.as_deref(), Some("paid"), "{what:?} {rule}");
                payer.must_stand(&world.client, true).await;
            }
            world.end(2 * kinds.len()).await;
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_never_executed_is_proven_unpaid_and_leaves_everything_as_it_was() {
    for kinds in GROUPS {
        on_both(async |installation| {
            let world = World::begin(installation, "idempotency=none").await;
            let mut again = 0;
            for (rule, payer, answer) in world.all_at_once(kinds, &[AFTER, BEFORE]).await {
                let is_paid = rule == AFTER;
                if is_paid {
                    answer.ok();
                } else {
                    must_be_unpaid(&world.client, answer).await;
                }
                payer.must_stand(&world.client, is_paid).await;
                // Nobody waits for it any more: what is asked again is paid.
                if !is_paid
                    && matches!(payer.what, What::Change | What::Resume | What::ResumePastDue | What::Pay)
                {
                    payer.begin(&world.client).await.unwrap().unwrap().ok();
                    payer.must_stand(&world.client, true).await;
                    again += 1;
                }
            }
            world.end(kinds.len() + again).await;
        })
        .await;
    }
}

async fn must_be_unpaid(client: &Client, answer: Answer) {
    let error = answer.refused(500, "pg_wrong");
    assert!(error["message"].as_str().unwrap().contains("Nothing was charged"), "{error}");
    let charge = client.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
    assert_eq!((&charge["paid"], &charge["state"]), (&false.into(), &"void".into()));
}

#[tokio::test]
async fn what_is_not_known_in_time_is_never_a_success_on_sqlite() {
    on_sqlite(not_known_in_time).await;
}

#[tokio::test]
async fn what_is_not_known_in_time_is_never_a_success_on_postgres() {
    on_postgres(not_known_in_time).await;
}

/// Nothing can be asked for longer than a request waits; then the truth comes.
async fn not_known_in_time(installation: &Installation) {
    let world = World::begin(installation, "idempotency=none,lookup-lag=27000").await;
    let client = &world.client;
    let mut payers = Vec::new();
    let mut repeats = Vec::new();
    for (_, payer, answer) in world.all_at_once(&What::ALL, &[AFTER]).await {
        // The same key answers the present state: nothing is known yet, or the truth has come while it waited.
        repeats.push(payer.begin(client));
        must_not_be_known(client, &payer, answer).await;
        payers.push(payer);
    }
    for repeat in repeats {
        let answer = repeat.await.unwrap().unwrap();
        if answer.status != 200 {
            answer.refused(500, "payment_unknown");
        }
    }
    for payer in payers {
        let known = async || (payer.outcome(client).await? == "paid").then_some(());
        soon("the truth", known).await;
        payer.must_stand(client, true).await;
        payer.begin(client).await.unwrap().unwrap().ok();
        payer.must_stand(client, true).await;
    }
    world.end(What::ALL.len()).await;
}

async fn must_not_be_known(client: &Client, payer: &Payer, answer: Answer) {
    let what = payer.what;
    let error = answer.refused(500, "payment_unknown");
    let charge = client.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
    assert_eq!((&charge["paid"], &charge["captured"]), (&false.into(), &false.into()), "{what:?}");
    assert!(charge["failure_code"].is_null(), "{charge}");
    let waiting = payer.subscription(client).await;
    match what {
        What::Sale | What::Finish => assert_eq!(waiting, None),
        What::First => assert_eq!(waiting.clone().unwrap().status, "past_due"),
        What::Change | What::Resume | What::ResumePastDue | What::Pay => assert_eq!(waiting, payer.before),
    }
    let Some(waiting) = waiting else { return };
    // Until it is known nothing else changes it, and nobody is charged a second time.
    for form in [("metadata[a]", "b"), ("plan", "plus")] {
        client.act(&waiting.id, "", &[form]).await.refused(409, "payment_in_progress");
    }
    for action in ["pause", "resume", "cancel"] {
        client.act(&waiting.id, action, &[]).await.refused(409, "payment_in_progress");
    }
    let path = format!("/v1/subscriptions/{}", waiting.id);
    client.delete(&path).await.refused(409, "payment_in_progress");
}

/// A database that fails says nothing of the payment: whoever takes that for a failure pays twice.
#[tokio::test]
async fn what_cannot_be_read_in_time_is_not_known() {
    on_both(async |installation| {
        let world = World::begin(installation, "").await;
        let client = &world.client;
        let payers = Payer::all(client, &What::ALL, &[AFTER]).await;
        let under_way: Vec<_> = payers.iter().map(|payer| payer.1.begin(client)).collect();
        soon("all hang", async || (world.gateway.hung() == payers.len()).then_some(())).await;
        take_away(&installation.db, "charges", true).await;
        let mut charges = Vec::new();
        for answer in under_way {
            let error = answer.await.unwrap().unwrap().refused(500, "payment_unknown");
            charges.push(error["charge"].as_str().unwrap().to_owned());
        }
        take_away(&installation.db, "charges", false).await;
        for ((_, payer), charge) in payers.iter().zip(charges) {
            let answer = soon("the answer", async || {
                let answer = payer.begin(client).await.unwrap().unwrap();
                (answer.status == 200).then_some(answer)
            });
            answer.await;
            assert_eq!(client.get(&format!("/v1/charges/{charge}")).await.ok()["paid"], true);
            payer.must_stand(client, true).await;
        }
        world.end(payers.len()).await;
    })
    .await;
}

#[tokio::test]
async fn what_can_be_read_again_in_time_is_answered_as_it_is() {
    on_both(async |installation| {
        let world = World::begin(installation, "").await;
        let payer = Payer::of(&world.client, What::Sale, AFTER).await;
        let under_way = payer.begin(&world.client);
        soon("it hangs", async || (world.gateway.hung() == 1).then_some(())).await;
        // Only looking needs them.
        take_away(&installation.db, "payment_methods", true).await;
        let is_told = async || Server::log(&installation.place).contains("could not be read").then_some(());
        soon("the failed look", is_told).await;
        take_away(&installation.db, "payment_methods", false).await;
        under_way.await.unwrap().unwrap().ok();
        world.end(1).await;
    })
    .await;
}

/// It is paid, and the repeat cannot show what was paid for.
#[tokio::test]
async fn a_payment_whose_object_cannot_be_shown_is_not_known() {
    on_both(async |installation| {
        let world = World::begin(installation, "").await;
        let client = &world.client;
        let payer = Payer::of(client, What::First, "sbx_ok").await;
        payer.begin(client).await.unwrap().unwrap().ok();
        // As if it had been killed before the answer was kept.
        abandon(&installation.db).await;
        take_away(&installation.db, "plans", true).await;
        let error = payer.begin(client).await.unwrap().unwrap().refused(500, "payment_unknown");
        take_away(&installation.db, "plans", false).await;
        let charge = client.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
        assert_eq!(charge["paid"], true);
        payer.begin(client).await.unwrap().unwrap().ok();
        world.end(0).await;
    })
    .await;
}

#[tokio::test]
async fn a_payment_whose_commit_is_lost_is_not_known_and_the_same_key_makes_it_once() {
    on_postgres(async |installation| {
        let world = World::begin(installation, "").await;
        let client = &world.client;
        let kinds = [What::Sale, What::First, What::Change, What::Resume, What::Pay];
        let payers = Payer::all(client, &kinds, &["sbx_ok"]).await;
        with_client(&installation.place.url, |client| lose_commits(client, "charges"));
        for (_, payer) in &payers {
            let error = payer.begin(client).await.unwrap().unwrap().refused(500, "payment_unknown");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("same Idempotency-Key") && !message.contains("try again"), "{message}");
        }
        with_client(&installation.place.url, |client| keep_commits(client, "charges"));
        for (_, payer) in &payers {
            payer.begin(client).await.unwrap().unwrap().ok();
            payer.must_stand(client, true).await;
        }
        world.end(0).await;
    })
    .await;
}

#[tokio::test]
async fn a_deletion_whose_commit_is_lost_says_how_to_learn_of_it() {
    on_postgres(async |installation| {
        let world = World::begin(installation, "").await;
        let client = &world.client;
        let payer = Payer::of(client, What::First, "sbx_ok").await;
        let path = format!("/v1/subscriptions/{}", id_of(&payer.begin(client).await.unwrap().unwrap().ok()));
        with_client(&installation.place.url, |client| lose_commits(client, "charge_actions"));
        let error = client.delete(&format!("{path}?prorate=true")).await.refused(500, "payment_unknown");
        with_client(&installation.place.url, |client| keep_commits(client, "charge_actions"));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("404") && message.contains("amount_refunded"), "{message}");
        // The commit was lost before it was one.
        assert_eq!(client.get(&path).await.ok()["status"], "active");
        client.delete(&path).await.ok();
        world.end(0).await;
    })
    .await;
}
