//! The contract of every adapter: what it must answer when its gateway does this or that.
//!
//! A new adapter is put under it by one function that stages a [`Scene`] and by the tokens of its test cards.
//! The judge is the gateway's own book, never what the adapter says. Order: the stage, the whole contract,
//! its clauses on charges; those on what is done to charges are in [`actions`]. It takes as long as a few time-outs.

mod actions;

use std::fmt::Debug;

use billing::Timestamp;
use billing::decline::DeclineClass;
use billing::id::ChargeId;
use billing::money::Money;
use billing::resolution::Idempotency;
use gateway::{Alarm, ChargeReply, ChargeRequest, Gateway, Lookup, Outcome, Refusal, Reply, Truth};

/// What the gateway does with every request that moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// All is well and keys are recognised.
    Honest,
    /// All is well, but keys are not looked at.
    Keyless,
    /// Executes so slowly that a second request can arrive meanwhile.
    Slow,
    /// Shows a charge to look-ups by reference only after more than a second.
    Lagging,
    /// The connection is reset, nothing is executed.
    DropsBefore,
    /// It is executed, then the connection is reset.
    DropsAfter,
    /// No answer, nothing is executed.
    HangsBefore,
    /// It is executed, no answer.
    HangsAfter,
    /// An error of the gateway, nothing is executed.
    FailsBefore,
    /// It is executed, then an error of the gateway.
    FailsAfter,
    /// It is executed, the answer breaks off.
    AnswersBroken,
    /// It is executed, the answer names another amount.
    AnswersWrongAmount,
    /// A page of a firewall in between; executed or not.
    Firewalled,
    /// Too many requests.
    Busy,
    /// The credentials are not accepted.
    Locked,
}

/// What has happened honestly before the scene begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Nothing,
    /// Charge 0 was made and took its money.
    Taken,
    /// Charge 0 was made and reserved its money.
    Reserved,
}

/// A card as the gateway's test tokens have it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Card {
    Good,
    Declining(&'static str),
}

/// One gateway that runs, and what is needed to judge its adapter.
pub(crate) struct Stage {
    pub(crate) gateway: Box<dyn Gateway>,
    /// What was given.
    pub(crate) given: Option<Truth>,
    pub(crate) token: fn(Card) -> String,
    /// The codes of [`Card::Declining`] that exist.
    pub(crate) decline_codes: &'static [&'static str],
    /// The references in the gateway's own book, in the order of execution.
    pub(crate) book: Box<dyn Fn() -> Vec<String>>,
}

/// Runs every clause against stages made by `stage`.
pub(crate) async fn check(stage: &impl AsyncFn(Scene, Given) -> Stage) {
    actions::check(stage).await;
    let stage = &async |scene| stage(scene, Given::Nothing).await;
    a_success_is_known_and_found(&stage(Scene::Honest).await).await;
    a_reservation_is_known_and_found(&stage(Scene::Honest).await).await;
    every_decline_is_known_and_found(&stage(Scene::Honest).await).await;
    what_never_was_is_absent(&stage(Scene::Honest).await).await;
    a_repeated_key_gives_the_same_truth(&stage(Scene::Honest).await).await;
    a_key_with_other_parameters_freezes(&stage(Scene::Honest).await).await;
    a_key_under_way_is_in_progress(&stage(Scene::Slow).await).await;
    what_was_executed_twice_is_found_twice(&stage(Scene::Keyless).await).await;
    a_lagging_look_up_is_absent_at_first(&stage(Scene::Lagging).await).await;
    refusals_say_that_nothing_was_done(stage).await;
    wrong_answers_are_unknown_with_an_alarm(stage).await;
    lost_answers_are_unknown_and_found_by_reference(stage).await;
}

/// Charge number `number` of a test.
pub(crate) fn request(stage: &Stage, card: Card, number: u32) -> ChargeRequest {
    charge((stage.token)(card), number)
}

/// Charge number `number` with this token.
pub(crate) fn charge(token: String, number: u32) -> ChargeRequest {
    ChargeRequest {
        reference: reference(number),
        idempotency_key: format!("{number:032x}"),
        token,
        capture: true,
        amount: Money::yen(1_200 + i64::from(number)),
        billing_time: Timestamp::UNIX_EPOCH,
    }
}

fn reference(number: u32) -> ChargeId {
    format!("ch_{number:029x}").parse().unwrap()
}

#[track_caller]
pub(crate) fn truth_of<T: Debug>(reply: Reply<T>) -> T {
    let Reply::Known(truth) = reply else {
        panic!("not known: {reply:?}");
    };
    truth
}

async fn a_success_is_known_and_found(stage: &Stage) {
    let request = request(stage, Card::Good, 1);
    let truth = truth_of(stage.gateway.charge(&request).await);
    assert_eq!(truth.reference, request.reference.as_str());
    assert_eq!(truth.amount, request.amount);
    assert_eq!(truth.outcome, Outcome::Succeeded);
    assert_eq!((stage.book)(), [request.reference.as_str()]);
    is_found(stage, &truth).await;
}

async fn a_reservation_is_known_and_found(stage: &Stage) {
    let request = ChargeRequest { capture: false, ..request(stage, Card::Good, 1) };
    let truth = truth_of(stage.gateway.charge(&request).await);
    assert_eq!((truth.amount, &truth.outcome), (request.amount, &Outcome::Authorized));
    is_found(stage, &truth).await;
    let declined =
        ChargeRequest { capture: false, ..self::request(stage, Card::Declining(stage.decline_codes[0]), 2) };
    let truth = truth_of(stage.gateway.charge(&declined).await);
    assert!(matches!(truth.outcome, Outcome::Declined { .. }), "{truth:?}");
}

async fn every_decline_is_known_and_found(stage: &Stage) {
    assert!(!stage.decline_codes.is_empty());
    for (number, code) in (0..).zip(stage.decline_codes) {
        let truth = truth_of(stage.gateway.charge(&request(stage, Card::Declining(code), number)).await);
        let expected = Outcome::Declined { code: (*code).to_owned(), class: DeclineClass::of(code) };
        assert_eq!(truth.outcome, expected);
        is_found(stage, &truth).await;
    }
}

async fn is_found(stage: &Stage, truth: &Truth) {
    assert_eq!(stage.gateway.find_by_id(&truth.gateway_charge_id).await, Lookup::Found(truth.clone()));
    if stage.gateway.capabilities().lookup_by_reference {
        assert_eq!(stage.gateway.find_by_reference(&truth.reference).await, Lookup::Found(truth.clone()));
    }
}

async fn what_never_was_is_absent(stage: &Stage) {
    let truth = truth_of(stage.gateway.charge(&request(stage, Card::Good, 1)).await);
    let other_id: String =
        truth.gateway_charge_id.chars().map(|char| if char == '1' { '9' } else { char }).collect();
    assert_eq!(stage.gateway.find_by_id(&other_id).await, Lookup::Absent);
    assert_eq!(stage.gateway.find_by_reference(reference(2).as_str()).await, Lookup::Absent);
    assert_eq!(stage.gateway.find_by_reference("a b&reference=ü/..").await, Lookup::Absent);
    for odd in ["", "..", "a/b", "a?b", "a b"] {
        let lookup = stage.gateway.find_by_id(odd).await;
        assert!(matches!(lookup, Lookup::Failed { .. } | Lookup::Absent), "{odd:?}: {lookup:?}");
    }
}

async fn a_repeated_key_gives_the_same_truth(stage: &Stage) {
    if !matches!(stage.gateway.capabilities().idempotency, Idempotency::Strong { .. }) {
        return;
    }
    let cards = [Card::Good, Card::Declining(stage.decline_codes[0])];
    for (number, card) in (0..).zip(cards) {
        let request = request(stage, card, number);
        let first = truth_of(stage.gateway.charge(&request).await);
        assert_eq!(truth_of(stage.gateway.charge(&request).await), first);
    }
    assert_eq!((stage.book)().len(), cards.len());
}

async fn a_key_with_other_parameters_freezes(stage: &Stage) {
    if !matches!(stage.gateway.capabilities().idempotency, Idempotency::Strong { .. }) {
        return;
    }
    let first = request(stage, Card::Good, 1);
    truth_of(stage.gateway.charge(&first).await);
    let dearer = ChargeRequest { amount: Money::yen(9_999), ..first.clone() };
    let other_charge = ChargeRequest { reference: reference(2), ..first.clone() };
    let only_reserved = ChargeRequest { capture: false, ..first.clone() };
    for other in [dearer, other_charge, only_reserved] {
        has_alarm(&stage.gateway.charge(&other).await, Some(Alarm::KeyMismatch));
    }
    assert_eq!((stage.book)(), [first.reference.as_str()]);
}

async fn a_key_under_way_is_in_progress(stage: &Stage) {
    let request = request(stage, Card::Good, 1);
    let replies = tokio::join!(stage.gateway.charge(&request), stage.gateway.charge(&request));
    let (first, second) = match replies {
        (ChargeReply::InProgress, known) | (known, ChargeReply::InProgress) => {
            (truth_of(known), truth_of(stage.gateway.charge(&request).await))
        }
        other => panic!("none is in progress: {other:?}"),
    };
    assert_eq!(first, second);
    assert_eq!((stage.book)().len(), 1);
}

async fn what_was_executed_twice_is_found_twice(stage: &Stage) {
    assert_eq!(stage.gateway.capabilities().idempotency, Idempotency::None);
    let request = request(stage, Card::Good, 1);
    let first = truth_of(stage.gateway.charge(&request).await);
    let second = truth_of(stage.gateway.charge(&request).await);
    let Lookup::Several(truths) = stage.gateway.find_by_reference(&first.reference).await else {
        panic!("not several");
    };
    assert!(truths.len() == 2 && truths.contains(&first) && truths.contains(&second), "{truths:?}");
}

async fn a_lagging_look_up_is_absent_at_first(stage: &Stage) {
    assert!(stage.gateway.capabilities().lookup_lag_ms > 1_000);
    let truth = truth_of(stage.gateway.charge(&request(stage, Card::Good, 1)).await);
    assert_eq!(stage.gateway.find_by_reference(&truth.reference).await, Lookup::Absent);
    assert_eq!(stage.gateway.find_by_id(&truth.gateway_charge_id).await, Lookup::Found(truth));
}

async fn refusals_say_that_nothing_was_done(stage: &impl AsyncFn(Scene) -> Stage) {
    for scene in [Scene::Busy, Scene::Locked] {
        let stage = stage(scene).await;
        let reply = stage.gateway.charge(&request(&stage, Card::Good, 1)).await;
        let ChargeReply::NotExecuted { refusal, .. } = reply else {
            panic!("{scene:?}: {reply:?}");
        };
        match refusal {
            Refusal::RateLimited { retry_after_ms } => {
                assert!(
                    scene == Scene::Busy && retry_after_ms.is_none_or(|ms| ms >= 0),
                    "{retry_after_ms:?}"
                );
            }
            Refusal::Unauthorized => assert_eq!(scene, Scene::Locked),
            Refusal::InvalidRequest { code } | Refusal::NotPossible { code, .. } => {
                panic!("{scene:?}: {code}")
            }
        }
        assert_eq!((stage.book)().len(), 0, "{scene:?}");
    }
}

async fn wrong_answers_are_unknown_with_an_alarm(stage: &impl AsyncFn(Scene) -> Stage) {
    for (scene, alarm) in
        [(Scene::AnswersBroken, Alarm::Malformed), (Scene::AnswersWrongAmount, Alarm::WrongAmount)]
    {
        let stage = stage(scene).await;
        let request = request(&stage, Card::Good, 1);
        has_alarm(&stage.gateway.charge(&request).await, Some(alarm));
        let Lookup::Found(truth) = stage.gateway.find_by_reference(request.reference.as_str()).await else {
            panic!("{scene:?}: not found");
        };
        assert_eq!((truth.amount, truth.outcome), (request.amount, Outcome::Succeeded), "{scene:?}");
    }
}

async fn lost_answers_are_unknown_and_found_by_reference(stage: &impl AsyncFn(Scene) -> Stage) {
    for (scene, executed) in [
        (Scene::DropsBefore, Some(0)),
        (Scene::DropsAfter, Some(1)),
        (Scene::HangsBefore, Some(0)),
        (Scene::HangsAfter, Some(1)),
        (Scene::FailsBefore, Some(0)),
        (Scene::FailsAfter, Some(1)),
        (Scene::Firewalled, None),
    ] {
        let stage = stage(scene).await;
        let request = request(&stage, Card::Good, 1);
        has_alarm(&stage.gateway.charge(&request).await, None);
        let count = (stage.book)().len();
        assert_eq!(count, executed.unwrap_or(count), "{scene:?}: the request was not sent exactly once");
        match stage.gateway.find_by_reference(request.reference.as_str()).await {
            Lookup::Found(truth) => assert_eq!((count, truth.amount), (1, request.amount), "{scene:?}"),
            Lookup::Absent => assert_eq!(count, 0, "{scene:?}"),
            other @ (Lookup::Several(_) | Lookup::Failed { .. }) => panic!("{scene:?}: {other:?}"),
        }
    }
}

#[track_caller]
fn has_alarm<T: Debug>(reply: &Reply<T>, expected: Option<Alarm>) {
    let Reply::Unknown { alarm, .. } = reply else {
        panic!("not unknown: {reply:?}");
    };
    assert_eq!(*alarm, expected, "{reply:?}");
}
