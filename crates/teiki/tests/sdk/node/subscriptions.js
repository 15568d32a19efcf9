// Subscriptions: a whole life, what is cleared, and what is given back.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const {
  DECLINED,
  SDK,
  customer,
  good,
  ids,
  notFound,
  now,
  payjp,
  plan,
  refused,
  subscription,
  unique,
} = require("./flow");

const DAY_S = 86_400;

test("the life of a subscription", async () => {
  const { subscriptions } = payjp;
  const made = await subscription({ metadata: { a: 1 } });
  assert.deepEqual([made.status, made.trial_end, made.next_cycle_plan], ["active", null, null]);
  assert.deepEqual([made.prorate, made.metadata], [false, { a: "1" }]);

  const next = await plan(700, { id: unique("next-plan-for-sdk-test") });
  const planned = await good(subscriptions.update(made.id, { next_cycle_plan: next.id }));
  assert.deepEqual(planned.next_cycle_plan, next);

  const paused = await good(subscriptions.pause(made.id));
  assert.equal(paused.status, "paused");
  assert.ok(paused.paused_at >= made.created);
  await refused(subscriptions.pause(made.id), 400, { code: "already_paused" });
  const resumed = await good(subscriptions.resume(made.id));
  assert.deepEqual([resumed.status, resumed.paused_at], ["active", null]);
  await refused(subscriptions.resume(made.id), 400, { code: "subscription_worked" });

  await good(subscriptions.pause(made.id));
  const trialEnd = made.created + 5000;
  const trial = await good(subscriptions.resume(made.id, { trial_end: trialEnd, prorate: false }));
  assert.deepEqual([trial.status, trial.trial_end], ["trial", trialEnd]);
  const canceled = await good(subscriptions.cancel(made.id));
  assert.equal(canceled.status, "canceled");
  assert.deepEqual(await good(subscriptions.retrieve(made.id)), canceled);

  const deleted = await good(subscriptions.delete(made.id));
  assert.deepEqual(deleted, { deleted: true, id: made.id, livemode: false });
  await notFound(subscriptions.retrieve(made.id));
  await good(payjp.plans.delete(next.id));
});

test("the next plan is cleared", async () => {
  const made = await subscription();
  const next = await plan(700);
  // Node 3 writes `null` as the word null, Node 2 as an empty value; an empty text is an empty value in both.
  for (const nothing of [null, ""]) {
    const planned = await good(payjp.subscriptions.update(made.id, { next_cycle_plan: next.id }));
    assert.equal(planned.next_cycle_plan.id, next.id);
    const cleared = await good(payjp.subscriptions.update(made.id, { next_cycle_plan: nothing }));
    assert.equal(cleared.next_cycle_plan, null, `${SDK} with ${JSON.stringify(nothing)}`);
  }
  await good(payjp.plans.delete(next.id));
});

test("a trial, and its end now", async () => {
  const made = await subscription({ plan: (await plan(800, { trial_days: 5 })).id });
  assert.equal(made.status, "trial");
  const charges = () => good(payjp.charges.list({ subscription: made.id }));
  assert.deepEqual((await charges()).data, []);
  const ended = await good(payjp.subscriptions.update(made.id, { trial_end: "now" }));
  assert.equal(ended.status, "active");
  assert.deepEqual(
    (await charges()).data.map((charge) => charge.amount),
    [800],
  );
  const later = now() + 10 * DAY_S;
  const again = await good(payjp.subscriptions.update(made.id, { trial_end: later }));
  assert.deepEqual([again.status, again.trial_end], ["trial", later]);
});

test("another plan is paid at once", async () => {
  const made = await subscription({ plan: (await plan(500)).id });
  const other = await plan(1200);
  const changed = await good(payjp.subscriptions.update(made.id, { plan: other.id, prorate: false }));
  assert.equal(changed.plan.id, other.id);
  const charges = await good(payjp.charges.list({ subscription: made.id }));
  assert.deepEqual(
    charges.data.map((charge) => charge.amount),
    [1200, 500],
  );
  await refused(payjp.subscriptions.update(made.id, { prorate: true }), 400, {
    code: "cannot_change_prorate_status",
  });
});

test("a deletion gives back what prorate in the query says", async () => {
  for (const [query, isRefunded] of [
    [{ prorate: true }, true],
    [{ prorate: false }, false],
    [{}, false],
  ]) {
    const made = await subscription({ plan: (await plan(310_000)).id });
    const [paid] = (await good(payjp.charges.list({ subscription: made.id }))).data;
    await good(payjp.subscriptions.delete(made.id, query));
    assert.equal((await good(payjp.charges.retrieve(paid.id))).refunded, isRefunded, JSON.stringify(query));
  }
});

test("a declined first payment leaves no subscription", async () => {
  const payer = await customer(DECLINED);
  const to = await plan();
  const error = await refused(payjp.subscriptions.create({ customer: payer.id, plan: to.id }), 402, {
    type: "card_error",
    code: "card_declined",
  });
  assert.equal((await good(payjp.charges.retrieve(error.charge))).paid, false);
  assert.deepEqual((await good(payjp.subscriptions.list({ customer: payer.id }))).data, []);
  assert.equal((await good(payjp.plans.delete(to.id))).deleted, true);
});

test("a customer has a plan once, and needs a card", async () => {
  const made = await subscription();
  await refused(payjp.subscriptions.create({ customer: made.customer, plan: made.plan.id }), 400, {
    code: "already_subscribed",
  });
  const bare = await good(payjp.customers.create());
  await refused(payjp.subscriptions.create({ customer: bare.id, plan: made.plan.id }), 400, {
    code: "doesnt_have_card",
  });
  await refused(payjp.plans.delete(made.plan.id), 400, { code: "exist_subscribers" });
});

test("lists of subscriptions", async () => {
  const made = await subscription();
  const paused = await subscription({ customer: made.customer });
  await good(payjp.subscriptions.pause(paused.id));
  const { list } = payjp.subscriptions;
  const listed = (query) => good(list.call(payjp.subscriptions, query)).then((page) => ids(page.data));
  assert.deepEqual(await listed({ limit: 1 }), [paused.id]);
  assert.deepEqual(await listed({ customer: made.customer }), [paused.id, made.id]);
  assert.deepEqual(await listed({ customer: made.customer, status: "active" }), [made.id]);
  assert.deepEqual(await listed({ plan: paused.plan.id, status: "paused", limit: 2 }), [paused.id]);
});
