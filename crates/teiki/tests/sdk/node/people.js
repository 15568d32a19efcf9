// Customers, their cards, and events.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const {
  MASTERCARD,
  VISA,
  charge,
  customer,
  good,
  ids,
  notFound,
  payjp,
  refused,
  subscription,
  token,
  unique,
} = require("./flow");

test("a customer is made without anything, changed and cleared", async () => {
  const made = await good(payjp.customers.create());
  assert.deepEqual([made.default_card, made.metadata, made.cards.data], [null, {}, []]);
  const changed = await good(
    payjp.customers.update(made.id, { description: "foo bar", email: "a@example.jp" }),
  );
  assert.deepEqual([changed.description, changed.email], ["foo bar", "a@example.jp"]);
  assert.equal((await good(payjp.customers.update(made.id, { description: "" }))).description, "");
  await refused(payjp.customers.update(made.id, { bogus: "x" }), 400, {
    code: "invalid_param_key",
    param: "bogus",
  });
});

test("a chosen id stays taken", async () => {
  const id = unique("cus_test");
  assert.equal((await good(payjp.customers.create({ id }))).id, id);
  await refused(payjp.customers.create({ id }), 400, { code: "already_exist_id", param: "id" });
  await good(payjp.customers.delete(id));
  await notFound(payjp.customers.retrieve(id));
  await refused(payjp.customers.create({ id }), 400, { code: "already_exist_id", param: "id" });
});

test("charges of a deleted customer stay", async () => {
  const payer = await customer();
  const paid = await charge(100, { customer: payer.id });
  await good(payjp.customers.delete(payer.id));
  assert.equal((await good(payjp.charges.retrieve(paid.id))).customer, payer.id);
});

test("cards are added, listed newest first, changed and deleted", async () => {
  const owner = await customer();
  const { cards } = payjp.customers;
  const second = await good(cards.create(owner.id, { card: (await token(VISA, { exp_month: 1 })).id }));
  const third = await good(cards.create(owner.id, { card: (await token(MASTERCARD)).id, default: true }));
  await refused(cards.create(owner.id, { card: (await token()).id }), 400, {
    code: "already_have_the_same_card",
  });
  const listed = await good(cards.list(owner.id));
  assert.deepEqual(ids(listed.data), [third.id, second.id, owner.default_card]);
  assert.equal(listed.url, `/v1/customers/${owner.id}/cards`);
  assert.equal((await good(payjp.customers.retrieve(owner.id))).default_card, third.id);
  const page = await good(cards.list(owner.id, { limit: 1, offset: 1 }));
  assert.deepEqual([ids(page.data), page.has_more], [[second.id], true]);

  const named = await good(cards.update(owner.id, second.id, { name: "Little Orc", metadata: { a: 1 } }));
  assert.deepEqual([named.name, named.metadata, named.customer], ["Little Orc", { a: "1" }, owner.id]);
  assert.deepEqual(await good(cards.retrieve(owner.id, second.id)), named);
  assert.equal((await good(cards.delete(owner.id, third.id))).deleted, true);
  await notFound(cards.retrieve(owner.id, third.id));
  assert.equal((await good(payjp.customers.retrieve(owner.id))).default_card, null);
  const chosen = await good(payjp.customers.update(owner.id, { default_card: second.id }));
  assert.equal(chosen.default_card, second.id);
});

test("subscriptions of a customer", async () => {
  const payer = await customer();
  const first = await subscription({ customer: payer.id });
  const second = await subscription({ customer: payer.id });
  const of = payjp.customers.subscriptions;
  assert.deepEqual(ids((await good(of.list(payer.id))).data), [second.id, first.id]);
  assert.deepEqual(ids((await good(of.list(payer.id, { plan: first.plan.id }))).data), [first.id]);
  assert.deepEqual(await good(of.retrieve(payer.id, first.id)), first);
  await notFound(of.retrieve((await customer()).id, first.id));
});

test("events say what happened, with the resource itself", async () => {
  const made = await customer();
  await good(payjp.customers.update(made.id, { description: "x" }));
  await good(payjp.customers.delete(made.id));
  const events = await good(payjp.events.list({ resource_id: made.id }));
  const types = events.data.map((event) => event.type);
  assert.equal(types[0], "customer.deleted");
  assert.equal(types.at(-1), "customer.created");
  const created = events.data.at(-1);
  assert.deepEqual([created.data.object, created.data.id], ["customer", made.id]);
  assert.deepEqual(events.data[0].data, { deleted: true, id: made.id, livemode: false });
  assert.deepEqual(await good(payjp.events.retrieve(created.id)), created);
  const updated = await good(
    payjp.events.list({ resource_id: made.id, type: "customer.updated", object: "customer" }),
  );
  assert.equal(updated.data[0].data.description, "x");
});
