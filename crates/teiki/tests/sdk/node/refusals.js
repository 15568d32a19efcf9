// What is refused, and how the SDK says it.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const {
  LIVE_SECRET_KEY,
  OTHER_SECRET_KEY,
  PUBLIC_KEY,
  Payjp,
  URL,
  charge,
  notFound,
  payjp,
  refused,
  sdk,
} = require("./flow");

test("each status rejects with its body", async () => {
  await refused(payjp.charges.create({}), 400, {
    type: "client_error",
    code: "missing_param",
    param: "amount",
  });
  await refused(sdk("sk_test_nothing").charges.list(), 401, { type: "auth_error" });
  await notFound(payjp.charges.retrieve("invalid"));
  await refused(payjp.charges.list({ limit: 101 }), 400, { param: "limit" });
  await refused(payjp.charges.list({ metadata: { user: 1 } }), 400);
});

test("a method that is none of GET, POST and DELETE", async () => {
  const answer = payjp.charges.request("PUT", "charges", { amount: 100 });
  await refused(answer, 400, { type: "not_allowed_method_error" });
});

test("what belongs to another account or mode is not found", async () => {
  const { id } = await charge(100);
  for (const key of [OTHER_SECRET_KEY, LIVE_SECRET_KEY]) {
    await notFound(sdk(key).charges.retrieve(id));
    await notFound(sdk(key).charges.refund(id));
  }
});

test("the SDK itself refuses a public key", () => {
  assert.throws(() => Payjp(PUBLIC_KEY, { apibase: URL }));
});
