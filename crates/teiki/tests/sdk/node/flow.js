// What the flows share: the SDK pointed at teiki, what most of them need to begin with, and how a refusal is asserted.
"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { check, checkError } = require("./shapes");

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run ./test, or see tests/sdk/README.md`);
  return value;
}

/** `payjp3` or `payjp2`: the two versions take the same calls, and write some of them differently. */
const SDK = setting("TEIKI_NODE_SDK");
const Payjp = require(SDK);

const URL = `${setting("TEIKI_URL")}/v1`;
const SECRET_KEY = setting("TEIKI_SECRET_KEY");
const PUBLIC_KEY = setting("TEIKI_PUBLIC_KEY");
const LIVE_SECRET_KEY = setting("TEIKI_LIVE_SECRET_KEY");
const OTHER_SECRET_KEY = setting("TEIKI_OTHER_SECRET_KEY");

/** The SDK with a key, which is as a rule that of the account of the flows. */
function sdk(key = SECRET_KEY, options = {}) {
  return Payjp(key, { apibase: URL, ...options });
}

const payjp = sdk();

const VISA = "4242424242424242";
const MASTERCARD = "5555555555554444";
const DECLINED = "4000000000080319";
const DIRECT = { "X-Payjp-Direct-Token-Generate": "true" };

/** The answer, which has its shape. */
async function good(answer) {
  const body = await answer;
  check(body);
  assert.notDeepEqual(body, {}, "an answer is never empty");
  return body;
}

function card(number = VISA, more = {}) {
  return { number, exp_month: 12, exp_year: new Date().getFullYear() + 3, cvc: "123", ...more };
}

function token(number, more) {
  return good(payjp.tokens.create({ card: card(number, more) }, DIRECT));
}

async function customer(number, more = {}) {
  return good(payjp.customers.create({ card: (await token(number)).id, ...more }));
}

function plan(amount = 500, more = {}) {
  return good(payjp.plans.create({ amount, currency: "jpy", interval: "month", ...more }));
}

async function subscription(more = {}) {
  const of = more.customer ?? (await customer()).id;
  const to = more.plan ?? (await plan()).id;
  return good(payjp.subscriptions.create({ ...more, customer: of, plan: to }));
}

async function charge(amount = 1000, more = {}) {
  const source = more.customer || more.card ? {} : { card: (await token()).id };
  return good(payjp.charges.create({ amount, currency: "jpy", ...source, ...more }));
}

/** The error of a call that must be refused with this status, and with what `expected` says. */
async function refused(answer, status, expected = {}) {
  const thrown = await answer.then(
    (body) => assert.fail(`was not refused: ${JSON.stringify(body)}`),
    (error) => error,
  );
  assert.equal(thrown.status, status, thrown.response ? JSON.stringify(thrown.response.body) : thrown.stack);
  assert.equal(thrown.response.status, status);
  const error = checkError(thrown.response.body, status);
  for (const [key, value] of Object.entries(expected)) {
    const values = Array.isArray(value) ? value : [value];
    assert.ok(values.includes(error[key]), `error.${key} of ${JSON.stringify(error)} is one of ${values}`);
  }
  return error;
}

function notFound(answer) {
  return refused(answer, 404, { type: "client_error", code: "invalid_id", param: "id" });
}

/** An id that no other flow has chosen. */
function unique(prefix) {
  return `${prefix}-${crypto.randomBytes(6).toString("hex")}`;
}

function now() {
  return Math.floor(Date.now() / 1000);
}

function ids(items) {
  return items.map((item) => item.id);
}

module.exports = {
  DECLINED,
  DIRECT,
  LIVE_SECRET_KEY,
  MASTERCARD,
  OTHER_SECRET_KEY,
  PUBLIC_KEY,
  Payjp,
  SDK,
  SECRET_KEY,
  URL,
  VISA,
  card,
  charge,
  customer,
  good,
  ids,
  notFound,
  now,
  payjp,
  plan,
  refused,
  sdk,
  subscription,
  token,
  unique,
};
