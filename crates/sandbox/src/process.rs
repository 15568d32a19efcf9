//! One `POST`, from acceptance to reply.
//!
//! The order is the same for charges and for what is done to them: what stops it → key → delay → execution → what spoils the answer. It
//! runs in a task of its own, so the client may leave at any time. Decides nothing about money (`desk` does).

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio::sync::oneshot;

use crate::book::{BookLine, Kind};
use crate::desk::{Admission, Execution, KeyState};
use crate::faults::{After, Before, Plan};
use crate::order::Order;
use crate::reply::{self, Reply};
use crate::server::Sandbox;
use crate::token::Token;

/// Executes the order, or not, as the faults and its token say, and replies. The reply may come before the execution.
pub(crate) async fn process(sandbox: Arc<Sandbox>, order: Order, reply_to: oneshot::Sender<Reply>) {
    let plan = sandbox.next_plan();
    let reply_to = ReplyTo(reply_to);
    if let Some(reply) = stopped_before(&sandbox, &order, plan).await {
        return reply_to.send(reply);
    }
    let (token, rule) = (order.token().to_owned(), order.rule());
    let admission = match sandbox.desk.admit(order, plan.is_unprotected, sandbox.now()) {
        Ok(admission) => admission,
        Err(_) => return reply_to.send(Reply::Answer(reply::internal())),
    };
    let (line, idempotency) = match admission {
        Admission::Conflict => return reply_to.send(Reply::Answer(reply::conflict())),
        Admission::InProgress => return reply_to.send(Reply::Answer(reply::in_progress())),
        Admission::Replay(line) => (line, "replayed"),
        Admission::Execute(execution) if plan.is_late => {
            reply_to.send(Reply::Cut);
            // Nobody is left to hear what came of it; the book does.
            let _ = execute(&sandbox, execution, plan).await;
            return;
        }
        Admission::Execute(execution) => {
            let word = key_word(execution.key);
            match execute(&sandbox, execution, plan).await {
                Ok(line) => (line, word),
                Err(answer) => return reply_to.send(Reply::Answer(answer)),
            }
        }
    };
    let is_hanging = match rule {
        Token::HangAfter(limit) => sandbox.desk.take_hang(&token, limit).await.unwrap_or(true),
        Token::Ok | Token::Decline { .. } | Token::HangBefore(_) => false,
    };
    reply_to.send(if is_hanging { Reply::Hang } else { spoiled(&sandbox, line, idempotency, plan.after) });
}

/// Carries the reply to the handler, if its client is still there.
struct ReplyTo(oneshot::Sender<Reply>);

impl ReplyTo {
    fn send(self, reply: Reply) {
        // The handler is gone when its client is; that changes nothing here.
        let _ = self.0.send(reply);
    }
}

async fn stopped_before(sandbox: &Sandbox, order: &Order, plan: Plan) -> Option<Reply> {
    if let Some(before) = plan.before {
        return Some(match before {
            Before::Unauthorized => Reply::Answer(reply::unauthorized()),
            Before::TooMany => Reply::Answer(reply::too_many()),
            Before::Drop => Reply::Cut,
            Before::Hang => Reply::Hang,
            Before::Error => Reply::Answer(reply::internal()),
            Before::Html => Reply::Answer(reply::html()),
        });
    }
    let Token::HangBefore(limit) = order.rule() else {
        return None;
    };
    let is_hanging = sandbox.desk.take_hang(order.token(), limit).await;
    is_hanging.unwrap_or(true).then_some(Reply::Hang)
}

/// Waits as planned and executes; a refusal comes back as its answer.
async fn execute(sandbox: &Sandbox, execution: Execution, plan: Plan) -> Result<BookLine, Response> {
    if plan.delay_ms > 0 {
        sandbox.sleep_unless_stopping(Duration::from_millis(plan.delay_ms)).await;
    }
    sandbox.desk.execute(execution, sandbox.now()).await.map_err(reply::not_executed)
}

fn spoiled(sandbox: &Sandbox, mut line: BookLine, idempotency: &'static str, after: Option<After>) -> Reply {
    match after {
        Some(After::Drop) => return Reply::Cut,
        Some(After::Hang) => return Reply::Hang,
        Some(After::Error) => return Reply::Answer(reply::internal()),
        Some(After::Malformed) => return Reply::Answer(reply::malformed()),
        Some(After::Html) => return Reply::Answer(reply::html()),
        Some(After::WrongAmount) => line.amount += 1,
        None => {}
    }
    Reply::Answer(executed(sandbox, line, idempotency))
}

/// The answer to a request that moved money, or had moved it before. A charge is shown as it stands now.
fn executed(sandbox: &Sandbox, line: BookLine, idempotency: &'static str) -> Response {
    match line.kind() {
        Kind::Charge => match sandbox.desk.found(line) {
            Ok(found) => reply::charged(&found, idempotency),
            Err(_) => reply::internal(),
        },
        Kind::Action(action) => reply::acted(action, &line, idempotency),
    }
}

fn key_word(key: KeyState) -> &'static str {
    match key {
        KeyState::None => "none",
        KeyState::Stored => "stored",
        KeyState::Error => "error",
    }
}
