// The example that comes with the SDK: account, customer, list, plan, charges, delete.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const { good, ids, payjp } = require("./flow");

test("the SDK's own example", async () => {
  const account = await good(payjp.accounts.retrieve());
  assert.match(account.id, /^acct_/);
  assert.equal(account.merchant.default_currency, "jpy");

  const created = await good(
    payjp.customers.create({ email: "test@example.jp", description: "Test customer with spaces & signs" }),
  );
  assert.equal(created.email, "test@example.jp");
  assert.equal(created.description, "Test customer with spaces & signs");
  assert.deepEqual(await good(payjp.customers.retrieve(created.id)), created);

  const customers = await good(payjp.customers.list({ limit: 3 }));
  assert.equal(customers.data[0].id, created.id);
  assert.ok(customers.data.length <= 3);
  assert.equal(customers.url, "/v1/customers");

  const plan = await good(
    payjp.plans.create({ amount: 500, currency: "jpy", interval: "month", name: "テスト プラン" }),
  );
  assert.deepEqual([plan.amount, plan.interval, plan.name], [500, "month", "テスト プラン"]);
  const charges = await good(payjp.charges.list({ limit: 3 }));
  assert.ok(charges.data.length <= 3);

  const deleted = { deleted: true, livemode: false };
  assert.deepEqual(await good(payjp.plans.delete(plan.id)), { ...deleted, id: plan.id });
  assert.deepEqual(await good(payjp.customers.delete(created.id)), { ...deleted, id: created.id });
  assert.ok(!ids((await good(payjp.customers.list({ limit: 100 }))).data).includes(created.id));
});
