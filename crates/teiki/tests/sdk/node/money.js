// Tokens and charges.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const CARDS = require("../cards.json");
const {
  DECLINED,
  DIRECT,
  MASTERCARD,
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
  token,
} = require("./flow");

test("a token is made, read and used once", async () => {
  const made = await token(VISA, { exp_month: "05", name: "TARO YAMADA", address_city: "渋谷区" });
  assert.deepEqual([made.used, made.livemode, made.card.customer], [false, false, null]);
  assert.deepEqual([made.card.brand, made.card.last4, made.card.exp_month], ["Visa", "4242", 5]);
  assert.deepEqual([made.card.name, made.card.address_city], ["TARO YAMADA", "渋谷区"]);
  assert.deepEqual(await good(payjp.tokens.retrieve(made.id)), made);
  await charge(100, { card: made.id });
  assert.equal((await good(payjp.tokens.retrieve(made.id))).used, true);
  await refused(charge(100, { card: made.id }), 400, { code: "token_already_used" });
});

test("test mode asks for no special header", async () => {
  await good(payjp.tokens.create({ card: card() }));
});

test("a token may stand for one of the sandbox", async () => {
  const ok = await good(payjp.tokens.create({ sandbox_token: "sbx_ok" }));
  assert.equal((await charge(100, { card: ok.id })).paid, true);
  const declined = await good(payjp.tokens.create({ sandbox_token: "sbx_decline_insufficient_funds" }));
  await refused(charge(100, { card: declined.id }), 402, { type: "card_error", code: "card_declined" });
});

test("cards that fail when the token is made", async () => {
  for (const [number, code] of CARDS.refused_at_token) {
    const answer = payjp.tokens.create({ card: card(number) }, DIRECT);
    await refused(answer, 402, { type: "card_error", code });
  }
});

test("cards that fail when they are charged", async () => {
  for (const [number, code] of CARDS.refused_at_charge) {
    const error = await refused(charge(1000, { card: (await token(number)).id }), 402, { code });
    const failed = await good(payjp.charges.retrieve(error.charge));
    assert.deepEqual([failed.paid, failed.failure_code], [false, code]);
  }
});

test("a card that fails above 10,000 yen", async () => {
  const payer = await customer(CARDS.refused_above_10000);
  assert.equal((await charge(10_000, { customer: payer.id })).paid, true);
  await refused(charge(10_001, { customer: payer.id }), 402, { code: "card_declined" });
});

test("a charge is held, captured in part and refunded", async () => {
  const held = await charge(500, { capture: false, expiry_days: 10, description: "a b+c" });
  assert.deepEqual([held.paid, held.captured, held.captured_at], [true, false, null]);
  assert.equal(held.description, "a b+c");
  assert.ok(held.expired_at > now());
  const again = await good(payjp.charges.reauth(held.id, { expiry_days: 30 }));
  assert.ok(again.expired_at > held.expired_at);
  const captured = await good(payjp.charges.capture(held.id, { amount: 400 }));
  assert.deepEqual([captured.captured, captured.amount, captured.amount_refunded], [true, 500, 100]);
  await refused(payjp.charges.capture(held.id), 400, { code: "already_captured" });
  await refused(payjp.charges.refund((await charge(100, { capture: false })).id, { amount: 50 }), 400, {
    code: "invalid_amount_to_not_captured",
  });
});

test("a charge is refunded in part and then the rest", async () => {
  const paid = await charge(100);
  const part = await good(payjp.charges.refund(paid.id, { amount: 50, refund_reason: "foo bar 1" }));
  assert.deepEqual([part.refunded, part.amount_refunded, part.refund_reason], [true, 50, "foo bar 1"]);
  const rest = await good(payjp.charges.refund(paid.id));
  assert.deepEqual([rest.refunded, rest.amount_refunded], [true, 100]);
  await refused(payjp.charges.refund(paid.id), 400, { code: "already_refunded" });
});

test("a charge is of a customer's default card, or of one that is named", async () => {
  const payer = await customer();
  const second = await good(payjp.customers.cards.create(payer.id, { card: (await token(MASTERCARD)).id }));
  assert.equal((await charge(100, { customer: payer.id })).card.id, payer.default_card);
  assert.equal((await charge(100, { customer: payer.id, card: second.id })).card.id, second.id);
  await refused(payjp.charges.create({ amount: 100, currency: "jpy" }), 400, { code: "no_payment_method" });
});

test("description and metadata of a charge", async () => {
  const made = await charge(100, { metadata: { number: 121899, text: "x" } });
  assert.deepEqual(made.metadata, { number: "121899", text: "x" });
  const changed = await good(
    payjp.charges.update(made.id, { description: "foo bar", metadata: { text: "", more: "y" } }),
  );
  assert.deepEqual([changed.description, changed.metadata], ["foo bar", { number: "121899", more: "y" }]);
  assert.ok(
    ["", null].includes((await good(payjp.charges.update(made.id, { description: "" }))).description),
  );
});

test("pages of charges", async () => {
  const payer = await customer();
  const made = [];
  for (const amount of [101, 102, 103]) made.unshift(await charge(amount, { customer: payer.id }));
  const first = await good(payjp.charges.list({ customer: payer.id, limit: 2 }));
  assert.deepEqual([ids(first.data), first.count, first.has_more], [ids(made.slice(0, 2)), 2, true]);
  const rest = await good(payjp.charges.list({ customer: payer.id, limit: 2, offset: 2 }));
  assert.deepEqual([ids(rest.data), rest.count, rest.has_more], [ids(made.slice(2)), 1, false]);
  const since = await good(payjp.charges.list({ customer: payer.id, since: now() + 100 }));
  assert.deepEqual([since.data, since.count, since.has_more], [[], 0, false]);
});

test("plans are made, renamed and deleted", async () => {
  const made = await plan(9_999_999, { trial_days: 3, billing_day: 31, name: "Gold" });
  assert.deepEqual([made.amount, made.trial_days, made.billing_day], [9_999_999, 3, 31]);
  const renamed = await good(payjp.plans.update(made.id, { name: "Silver", metadata: { a: "1" } }));
  assert.deepEqual([renamed.name, renamed.metadata], ["Silver", { a: "1" }]);
  assert.deepEqual(await good(payjp.plans.retrieve(made.id)), renamed);
  assert.equal((await good(payjp.plans.list({ limit: 1 }))).data[0].id, made.id);
  await refused(payjp.plans.update(made.id, { amount: 600 }), 400, { param: "amount" });
  await good(payjp.plans.delete(made.id));
  await notFound(payjp.plans.retrieve(made.id));
});

test("a declined charge is in the list of its customer", async () => {
  const payer = await customer(DECLINED);
  const error = await refused(charge(100, { customer: payer.id }), 402, { code: "card_declined" });
  assert.deepEqual(ids((await good(payjp.charges.list({ customer: payer.id }))).data), [error.charge]);
});
