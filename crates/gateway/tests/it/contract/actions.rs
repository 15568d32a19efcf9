//! The clauses on what is done to a charge: captured, voided, reauthorized, refunded.
//!
//! Each action is asked of a charge that was made honestly before the scene began. Order: the clauses' list, the action
//! under test, the clauses.

use billing::resolution::Idempotency;
use gateway::{
    Action, ActionOutcome, ActionReply, ActionRequest, ActionTruth, Alarm, Lookup, Obstacle, Outcome, Refusal,
};

use super::*;

const ACTIONS: [Action; 4] = [Action::Capture, Action::Void, Action::Reauthorize, Action::Refund];

pub(super) async fn check(stage: &impl AsyncFn(Scene, Given) -> Stage) {
    for action in ACTIONS {
        let staged = async |scene| stage(scene, given(action)).await;
        it_is_known_and_found(&staged(Scene::Honest).await, action).await;
        a_repeated_key_gives_the_same_truth(&staged(Scene::Honest).await, action).await;
        a_key_with_other_parameters_freezes(&staged(Scene::Honest).await, action).await;
        a_key_under_way_is_in_progress(&staged(Scene::Slow).await, action).await;
        what_never_was_is_absent(&staged(Scene::Honest).await, action).await;
        a_lagging_look_up_is_absent_at_first(&staged(Scene::Lagging).await, action).await;
        refusals_say_that_nothing_was_done(&staged, action).await;
        wrong_answers_are_unknown_with_an_alarm(&staged, action).await;
        lost_answers_are_unknown_and_found_by_reference(&staged, action).await;
    }
    money_is_taken_and_given_back_in_parts(&stage(Scene::Honest, Given::Reserved).await).await;
    reserved_money_is_renewed_and_taken_whole(&stage(Scene::Honest, Given::Reserved).await).await;
    released_money_is_gone(&stage(Scene::Honest, Given::Reserved).await).await;
    money_that_was_not_taken_is_not_given_back(&stage(Scene::Honest, Given::Reserved).await).await;
    money_taken_at_once_was_never_reserved(&stage(Scene::Honest, Given::Taken).await).await;
    what_was_executed_twice_is_found_twice(&stage(Scene::Keyless, Given::Taken).await).await;
}

/// The charge that an action can be done to.
fn given(action: Action) -> Given {
    match action {
        Action::Capture | Action::Void | Action::Reauthorize => Given::Reserved,
        Action::Refund => Given::Taken,
    }
}

fn charge_of(stage: &Stage) -> &Truth {
    stage.given.as_ref().unwrap()
}

/// Action number `number` of a test, on all of the charge that was given.
fn request(stage: &Stage, action: Action, number: u32) -> ActionRequest {
    let charge = charge_of(stage);
    ActionRequest {
        gateway_charge_id: charge.gateway_charge_id.clone(),
        reference: format!("act_{number}"),
        idempotency_key: format!("act{number:029x}"),
        action,
        amount: charge.amount,
        billing_time: Timestamp::UNIX_EPOCH,
    }
}

fn of(yen: i64, request: ActionRequest) -> ActionRequest {
    ActionRequest { amount: Money::yen(yen), ..request }
}

/// The references in the book beside that of the charge that was given.
fn booked(stage: &Stage) -> Vec<String> {
    (stage.book)().split_off(1)
}

#[track_caller]
fn is_done(request: &ActionRequest, reply: ActionReply) -> ActionTruth {
    let truth = truth_of(reply);
    let expected = ActionTruth {
        gateway_action_id: truth.gateway_action_id.clone(),
        gateway_charge_id: request.gateway_charge_id.clone(),
        reference: request.reference.clone(),
        action: request.action,
        amount: request.amount,
        outcome: ActionOutcome::Done,
    };
    assert_eq!(truth, expected);
    truth
}

async fn do_it(stage: &Stage, request: &ActionRequest) -> ActionTruth {
    is_done(request, stage.gateway.act(request).await)
}

async fn find(stage: &Stage, request: &ActionRequest) -> Lookup<ActionTruth> {
    stage.gateway.find_action(&request.gateway_charge_id, &request.reference).await
}

async fn it_is_known_and_found(stage: &Stage, action: Action) {
    let request = request(stage, action, 1);
    let truth = do_it(stage, &request).await;
    assert_eq!(booked(stage), [request.reference.as_str()]);
    assert_ne!(truth.gateway_action_id, truth.gateway_charge_id);
    if stage.gateway.capabilities().lookup_by_reference {
        assert_eq!(find(stage, &request).await, Lookup::Found(truth));
    }
}

async fn a_repeated_key_gives_the_same_truth(stage: &Stage, action: Action) {
    if !matches!(stage.gateway.capabilities().idempotency, Idempotency::Strong { .. }) {
        return;
    }
    let request = request(stage, action, 1);
    let first = do_it(stage, &request).await;
    assert_eq!(do_it(stage, &request).await, first);
    assert_eq!(booked(stage).len(), 1);
}

async fn a_key_with_other_parameters_freezes(stage: &Stage, action: Action) {
    if !matches!(stage.gateway.capabilities().idempotency, Idempotency::Strong { .. }) {
        return;
    }
    let first = request(stage, action, 1);
    do_it(stage, &first).await;
    let renamed = ActionRequest { reference: "act_2".into(), ..first.clone() };
    let others = ACTIONS.into_iter().filter(|other| *other != action);
    let mut wrong: Vec<_> = others.map(|action| ActionRequest { action, ..first.clone() }).collect();
    wrong.push(renamed);
    if matches!(action, Action::Capture | Action::Refund) {
        wrong.push(of(1, first));
    }
    for request in wrong {
        has_alarm(&stage.gateway.act(&request).await, Some(Alarm::KeyMismatch));
    }
    let same_key = ChargeRequest {
        idempotency_key: request(stage, action, 1).idempotency_key,
        ..super::request(stage, Card::Good, 1)
    };
    has_alarm(&stage.gateway.charge(&same_key).await, Some(Alarm::KeyMismatch));
    assert_eq!(booked(stage).len(), 1);
}

async fn a_key_under_way_is_in_progress(stage: &Stage, action: Action) {
    let request = request(stage, action, 1);
    let replies = tokio::join!(stage.gateway.act(&request), stage.gateway.act(&request));
    let (first, second) = match replies {
        (ActionReply::InProgress, known) | (known, ActionReply::InProgress) => {
            (is_done(&request, known), do_it(stage, &request).await)
        }
        other => panic!("none is in progress: {other:?}"),
    };
    assert_eq!(first, second);
    assert_eq!(booked(stage).len(), 1);
}

async fn what_never_was_is_absent(stage: &Stage, action: Action) {
    let done = request(stage, action, 1);
    assert_eq!(find(stage, &done).await, Lookup::Absent);
    do_it(stage, &done).await;
    assert_eq!(find(stage, &request(stage, action, 2)).await, Lookup::Absent);
    let odd = stage.gateway.find_action(&done.gateway_charge_id, "a b&reference=ü/..").await;
    assert_eq!(odd, Lookup::Absent);
    let charge = &charge_of(stage).gateway_charge_id;
    let unknown: String = charge.chars().map(|char| if char == '1' { '9' } else { char }).collect();
    for id in [unknown.as_str(), &done.gateway_charge_id.replace('1', ""), "", "..", "a/b", "a?b", "a b"] {
        let lookup = stage.gateway.find_action(id, &done.reference).await;
        assert!(matches!(lookup, Lookup::Failed { .. }), "{id:?}: {lookup:?}");
        let elsewhere = ActionRequest { gateway_charge_id: id.into(), ..request(stage, action, 3) };
        let reply = stage.gateway.act(&elsewhere).await;
        let is_refused = matches!(
            &reply,
            ActionReply::NotSent { .. }
                | ActionReply::NotExecuted { refusal: Refusal::InvalidRequest { .. }, .. }
        );
        assert!(is_refused, "{id:?}: {reply:?}");
    }
    assert_eq!(booked(stage).len(), 1);
}

async fn a_lagging_look_up_is_absent_at_first(stage: &Stage, action: Action) {
    let request = request(stage, action, 1);
    do_it(stage, &request).await;
    assert_eq!(find(stage, &request).await, Lookup::Absent);
}

async fn refusals_say_that_nothing_was_done(stage: &impl AsyncFn(Scene) -> Stage, action: Action) {
    for scene in [Scene::Busy, Scene::Locked] {
        let stage = stage(scene).await;
        let reply = stage.gateway.act(&request(&stage, action, 1)).await;
        let ActionReply::NotExecuted { refusal, .. } = reply else {
            panic!("{scene:?}: {reply:?}");
        };
        match refusal {
            Refusal::RateLimited { .. } => assert_eq!(scene, Scene::Busy),
            Refusal::Unauthorized => assert_eq!(scene, Scene::Locked),
            Refusal::InvalidRequest { code } | Refusal::NotPossible { code, .. } => {
                panic!("{scene:?}: {code}")
            }
        }
        assert!(booked(&stage).is_empty(), "{scene:?}");
    }
}

async fn wrong_answers_are_unknown_with_an_alarm(stage: &impl AsyncFn(Scene) -> Stage, action: Action) {
    for (scene, alarm) in
        [(Scene::AnswersBroken, Alarm::Malformed), (Scene::AnswersWrongAmount, Alarm::WrongAmount)]
    {
        let stage = stage(scene).await;
        let request = request(&stage, action, 1);
        has_alarm(&stage.gateway.act(&request).await, Some(alarm));
        let Lookup::Found(truth) = find(&stage, &request).await else {
            panic!("{scene:?} {action:?}: not found");
        };
        assert_eq!((truth.amount, truth.action), (request.amount, action), "{scene:?}");
    }
}

async fn lost_answers_are_unknown_and_found_by_reference(
    stage: &impl AsyncFn(Scene) -> Stage,
    action: Action,
) {
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
        let request = request(&stage, action, 1);
        has_alarm(&stage.gateway.act(&request).await, None);
        let count = booked(&stage).len();
        assert_eq!(count, executed.unwrap_or(count), "{scene:?}: {action:?} was not sent exactly once");
        match find(&stage, &request).await {
            Lookup::Found(truth) => assert_eq!((count, truth.amount), (1, request.amount), "{scene:?}"),
            Lookup::Absent => assert_eq!(count, 0, "{scene:?}"),
            other @ (Lookup::Several(_) | Lookup::Failed { .. }) => panic!("{scene:?}: {other:?}"),
        }
    }
}

/// How the charge that was given stands now.
async fn outcome(stage: &Stage) -> Outcome {
    let charge = charge_of(stage);
    let Lookup::Found(truth) = stage.gateway.find_by_id(&charge.gateway_charge_id).await else {
        panic!("not found");
    };
    assert_eq!((&truth.reference, truth.amount), (&charge.reference, charge.amount));
    truth.outcome
}

async fn is_not_possible(stage: &Stage, request: &ActionRequest, expected: Obstacle) {
    let lines = booked(stage).len();
    let reply = stage.gateway.act(request).await;
    let ActionReply::NotExecuted { refusal: Refusal::NotPossible { obstacle, code }, .. } = &reply else {
        panic!("{request:?}: {reply:?}");
    };
    assert_eq!(*obstacle, expected, "{request:?}: {code}");
    assert_eq!(booked(stage).len(), lines);
}

async fn money_is_taken_and_given_back_in_parts(stage: &Stage) {
    let (capture, refund) = (request(stage, Action::Capture, 1), request(stage, Action::Refund, 2));
    assert_eq!(outcome(stage).await, Outcome::Authorized);
    let too_much = of(capture.amount.minor + 1, request(stage, Action::Capture, 3));
    is_not_possible(stage, &too_much, Obstacle::AmountTooLarge).await;
    do_it(stage, &of(800, capture.clone())).await;
    assert_eq!(outcome(stage).await, Outcome::PartlyCaptured { captured: Money::yen(800) });
    is_not_possible(stage, &of(1, request(stage, Action::Capture, 4)), Obstacle::AlreadyCaptured).await;
    is_not_possible(stage, &request(stage, Action::Void, 5), Obstacle::AlreadyCaptured).await;
    is_not_possible(stage, &request(stage, Action::Reauthorize, 6), Obstacle::AlreadyCaptured).await;
    is_not_possible(stage, &of(801, refund.clone()), Obstacle::AmountTooLarge).await;
    do_it(stage, &of(300, refund)).await;
    is_not_possible(stage, &of(501, request(stage, Action::Refund, 7)), Obstacle::AmountTooLarge).await;
    do_it(stage, &of(500, request(stage, Action::Refund, 8))).await;
    is_not_possible(stage, &of(1, request(stage, Action::Refund, 9)), Obstacle::AlreadyRefunded).await;
}

async fn reserved_money_is_renewed_and_taken_whole(stage: &Stage) {
    do_it(stage, &request(stage, Action::Reauthorize, 1)).await;
    do_it(stage, &request(stage, Action::Reauthorize, 2)).await;
    assert_eq!(outcome(stage).await, Outcome::Authorized);
    do_it(stage, &request(stage, Action::Capture, 3)).await;
    assert_eq!(outcome(stage).await, Outcome::Succeeded);
}

async fn released_money_is_gone(stage: &Stage) {
    do_it(stage, &request(stage, Action::Void, 1)).await;
    assert_eq!(outcome(stage).await, Outcome::Voided);
    for action in ACTIONS {
        is_not_possible(stage, &request(stage, action, 2), Obstacle::AlreadyVoided).await;
    }
}

async fn money_that_was_not_taken_is_not_given_back(stage: &Stage) {
    is_not_possible(stage, &request(stage, Action::Refund, 1), Obstacle::NothingTaken).await;
    let card = Card::Declining(stage.decline_codes[0]);
    let declined = truth_of(stage.gateway.charge(&super::request(stage, card, 1)).await);
    for (action, obstacle) in [
        (Action::Capture, Obstacle::NotAuthorized),
        (Action::Void, Obstacle::NotAuthorized),
        (Action::Reauthorize, Obstacle::NotAuthorized),
        (Action::Refund, Obstacle::NothingTaken),
    ] {
        let gateway_charge_id = declined.gateway_charge_id.clone();
        let request = ActionRequest { gateway_charge_id, ..of(1, request(stage, action, 2)) };
        is_not_possible(stage, &request, obstacle).await;
    }
}

async fn money_taken_at_once_was_never_reserved(stage: &Stage) {
    for action in [Action::Capture, Action::Void, Action::Reauthorize] {
        is_not_possible(stage, &request(stage, action, 1), Obstacle::AlreadyCaptured).await;
    }
    assert_eq!(outcome(stage).await, Outcome::Succeeded);
}

async fn what_was_executed_twice_is_found_twice(stage: &Stage) {
    assert_eq!(stage.gateway.capabilities().idempotency, Idempotency::None);
    let refund = of(100, request(stage, Action::Refund, 1));
    let first = do_it(stage, &refund).await;
    let second = do_it(stage, &refund).await;
    let Lookup::Several(truths) = find(stage, &refund).await else {
        panic!("not several");
    };
    assert!(truths.len() == 2 && truths.contains(&first) && truths.contains(&second), "{truths:?}");
}
