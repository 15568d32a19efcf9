//! Test clocks over HTTP.

use billing::id::{ClockId, Slot};
use billing::mode::Mode;
use jiff::Timestamp;

use super::deletion;
use super::objects::{self, ClockRow, ClockView, Status};
use crate::charges::request::must_charge;
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Deleted, Operation, Shape, deleted};

/// The years in which a test clock may stand.
const FIRST_SECOND: i64 = 946_684_800;
const LAST_SECOND: i64 = 4_133_980_799;

const FROZEN_TIME: Param = Param::int(
    "frozen_time",
    (FIRST_SECOND, LAST_SECOND),
    "invalid_timestamp",
    "A time in seconds, 2000 to 2100.",
)
.required();

/// POST /v1/test_clocks
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "test_clock",
    summary: "Makes a test clock. Customers made with it live in its time.",
    params: &[FROZEN_TIME, Param::text("name", 255, "What it is called.")],
    answer: Shape::one::<ClockView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    must_be_test(&call)?;
    let at = instant(&call)?;
    let row = ClockRow {
        id: ClockId::random(Slot(0), call.now, &call.random),
        account: call.caller.account,
        name: call.params.text("name").map(str::to_owned),
        started_at: at,
        frozen_time: at,
        status: Status::Ready,
        way: None,
        event_number: 0,
        created_at: call.now.as_microsecond(),
    };
    let (key, now) = (call.site.app.key.clone(), call.now);
    call.change(move |tx| objects::create(tx, &key, row.clone(), now)).await
}

fn must_be_test(call: &Call) -> Result<(), ApiError> {
    match call.caller.mode {
        Mode::Test => Ok(()),
        Mode::Live => {
            Err(ApiError::client("test_mode_only", "Live customers live in real time; use a test key."))
        }
    }
}

fn instant(call: &Call) -> Result<Timestamp, ApiError> {
    let seconds = call.params.int("frozen_time").unwrap_or_default();
    Timestamp::from_second(seconds).map_err(|error| ApiError::inside(error.to_string()))
}

/// GET /v1/test_clocks/{test_clock}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "test_clock",
    summary: "Shows a test clock, and how far it has come.",
    params: &[],
    answer: Shape::one::<ClockView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    must_be_test(&call).map_err(|_| ApiError::not_found("test clock", call.id(0)))?;
    let (account, id) = (call.caller.account, call.id(0).to_owned());
    let shown = call.site.app.db.read(move |tx| {
        let row = objects::get(tx, account, &id)?;
        Ok::<_, ApiError>(objects::views(tx, &[row])?)
    });
    match shown.await?.pop() {
        Some(view) => Answer::json(&view),
        None => Err(ApiError::inside("a clock has one view")),
    }
}

/// GET /v1/test_clocks
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "test_clock",
    summary: "Lists test clocks, newest first.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<ClockView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    const URL: &str = "/v1/test_clocks";
    let (account, page) = (call.caller.account, Page::of(&call.params)?);
    if call.caller.mode == Mode::Live {
        return Answer::json(&List::<()>::empty(URL));
    }
    let asked = page.clone();
    let views = call.site.app.db.read(move |tx| {
        let rows = objects::list(tx, account, &asked)?;
        Ok::<_, ApiError>(objects::views(tx, &rows)?)
    });
    Answer::json(&List::new(&page, views.await?, URL))
}

/// POST /v1/test_clocks/{test_clock}/advance
pub static ADVANCE: Operation = Operation {
    access: Access::Write,
    object: "test_clock",
    summary: "Moves a test clock forward, by any distance. Everything due on the way is billed; read the clock until it is ready.",
    params: &[FROZEN_TIME],
    answer: Shape::one::<ClockView>(),
    run: |call| Box::pin(advance(call)),
};

async fn advance(call: Call) -> Result<Answer, ApiError> {
    must_be_test(&call).map_err(|_| ApiError::not_found("test clock", call.id(0)))?;
    must_charge(call.site.app.mode, Mode::Test)?;
    let (owner, to) = ((call.caller.account, call.id(0).to_owned()), instant(&call)?);
    let (key, now) = (call.site.app.key.clone(), call.now);
    let answer = call.change(move |tx| objects::set_out(tx, &key, (owner.0, &owner.1), to, now)).await?;
    call.site.clock_bell.notify_one();
    Ok(answer)
}

/// DELETE /v1/test_clocks/{test_clock}
pub static DELETE: Operation = Operation {
    access: Access::Write,
    object: "test_clock",
    summary: "Deletes a test clock with its customers. Ledger and events stay.",
    params: &[],
    answer: Shape::one::<Deleted>(),
    run: |call| Box::pin(delete(call)),
};

async fn delete(call: Call) -> Result<Answer, ApiError> {
    must_be_test(&call).map_err(|_| ApiError::not_found("test clock", call.id(0)))?;
    let (account, id, now) = (call.caller.account, call.id(0).to_owned(), call.now);
    let (key, answer) = (call.site.app.key.clone(), deleted(call.caller.mode, &id));
    call.site.app.db.write(move |tx| deletion::delete(tx, &key, (account, &id), now)).await?;
    Ok(Answer::Json(answer))
}
