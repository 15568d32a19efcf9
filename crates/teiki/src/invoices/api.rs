//! Invoices over HTTP.

use std::sync::Arc;

use super::view;
use crate::charges::request;
use crate::subscriptions::requests::{self, Context, Prepared};
use crate::web::{Access, Answer, ApiError, Call, Operation};

/// GET /v1/invoices/{invoice}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "invoice",
    summary: "Shows an invoice with its lines, its tax per rate and its charges.",
    params: &[],
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0).to_owned();
    shown(call, id).await
}

async fn shown(call: Call, id: String) -> Result<Answer, ApiError> {
    let (side, key) = (call.side(), call.site.app.key.clone());
    Answer::json(&call.site.app.db.read(move |tx| view::get(tx, &key, side, &id)).await?)
}

/// POST /v1/invoices/{invoice}/pay
pub static PAY: Operation = Operation {
    access: Access::Write,
    object: "invoice",
    summary: "Pays an open invoice now with the customer's default card; the oldest of a subscription comes first.",
    params: &[],
    run: |call| Box::pin(pay(call)),
};

async fn pay(call: Call) -> Result<Answer, ApiError> {
    let side = request::side_of(&call.site, call.caller.account).await?;
    let (owner, now, key, id) = (call.side(), call.now, call.site.app.key.clone(), call.id(0).to_owned());
    let (charging, asked) = (Arc::clone(&side), id.clone());
    let prepared = call.site.app.db.write(move |tx| {
        let context =
            Context { key: &key, line: &charging.line, account: &charging.account, side: owner, now };
        requests::pay(tx, &context, &asked)
    });
    if let Prepared::Charge(_, outgoing, billing) = prepared.await? {
        request::collect(&call.site, &side, (owner, billing), *outgoing).await?;
    }
    shown(call, id).await
}
