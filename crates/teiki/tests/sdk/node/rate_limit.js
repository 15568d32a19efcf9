// The rate limit, and the SDK's own answer to it: node rate_limit.js
// It needs a server of its own, with the limits of PAY.JP's test mode: TEIKI_LIMITED_URL.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");

const LIMITED_URL = process.env.TEIKI_LIMITED_URL;
if (LIMITED_URL) process.env.TEIKI_URL = LIMITED_URL;
const { SECRET_KEY, URL, refused, good, sdk } = require("./flow");
const { checkError } = require("./shapes");

const AT_ONCE = 12;
const skip = LIMITED_URL ? false : "TEIKI_LIMITED_URL is not set: there is no server with a rate limit";

test("a 429 is an error of its shape and says when to come again", { skip }, async () => {
  const authorization = `Basic ${Buffer.from(`${SECRET_KEY}:`).toString("base64")}`;
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, () => fetch(`${URL}/plans?limit=1`, { headers: { authorization } })),
  );
  const refusals = answers.filter((answer) => answer.status === 429);
  assert.ok(refusals.length > 0, "some of them are too many");
  for (const refusal of refusals) {
    const error = checkError(await refusal.json(), 429);
    assert.deepEqual([error.type, error.code], ["client_error", "over_capacity"]);
    assert.match(refusal.headers.get("retry-after") ?? "", /^[1-9][0-9]*$/);
    assert.ok(refusal.headers.get("request-id"));
  }
});

test("the SDK does not retry unless told to", { skip }, async () => {
  const payjp = sdk();
  const results = await Promise.allSettled(
    Array.from({ length: AT_ONCE }, () => payjp.plans.list({ limit: 1 })),
  );
  const refusal = results.find((result) => result.status === "rejected");
  assert.ok(refusal, "some of them are too many");
  await refused(Promise.reject(refusal.reason), 429, { code: "over_capacity" });
});

test("the SDK retries until it is served", { skip }, async () => {
  const payjp = sdk(SECRET_KEY, { maxRetry: 20, retryInitialDelay: 300, retryMaxDelay: 2000 });
  const pages = await Promise.all(Array.from({ length: 4 }, () => good(payjp.plans.list({ limit: 1 }))));
  assert.equal(pages.length, 4);
});
