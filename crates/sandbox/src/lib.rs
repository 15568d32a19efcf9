//! A stand-in payment gateway: an HTTP server with its own append-only book and every fault that gateways document.
//!
//! It lets a billing system be tried, tested and audited without a merchant account, and shows what happens when a gateway
//! answers late, wrongly, twice or not at all. It knows nothing of the system that calls it and uses none of its code, so
//! its book is a second opinion: *what was charged* is what this book says. It takes no card numbers and moves no money.
//!
//! # Protocol
//!
//! JSON over HTTP/1.1, bodies up to 64 KiB. Instants are RFC 3339, amounts are whole minor units (yen).
//!
//! | request | body or query | answer |
//! |---|---|---|
//! | `POST /charges` | `token`, `amount` ≥ 1, `currency` (3 letters), `reference`; optional `capture` (true; false only reserves the money), `idempotency_key`, `billing_time` | 200 charge; 402 declined |
//! | `GET /charges/{id}` | | 200 charge; 404 |
//! | `GET /charges?reference=…` | | 200 `{"data":[charge…],"has_more":false}`, only charges older than the look-up lag |
//! | `GET /charges?limit=&after=` | `limit` 1–1000, 100 if absent; `after` a charge id | 200 list in the order of the book |
//! | `POST /charges/{id}/capture` | optional `amount` (all that is authorized; the rest is released), and as below | 200 capture |
//! | `POST /charges/{id}/void` | as below | 200 void: all that is authorized is released |
//! | `POST /charges/{id}/reauth` | as below | 200 reauth: the authorization is renewed; 402 declined: it stays as it was |
//! | `POST /charges/{id}/refund` | optional `amount` (all that is left), `reference`, `idempotency_key`, `billing_time` | 200 refund |
//! | `GET /charges/{id}/actions?reference=…` | `reference` optional | 200 `{"data":[capture, void, reauth, refund…],"has_more":false}`, up to 1000, only those older than the look-up lag |
//! | `GET /capabilities` | | 200, below |
//! | `GET /healthz` | | 200 `ok` |
//!
//! ```json
//! {"object":"charge","id":"sch_000000000001","status":"succeeded","amount":1200,"captured_amount":1200,
//!  "amount_refunded":0,"currency":"jpy","token":"sbx_ok.c1","reference":"ch_1","code":null,"created_at":"2026-03-31T00:00:01Z",
//!  "billing_time":"2026-03-31T00:00:00Z","idempotency":"stored"}
//! {"object":"refund","id":"srf_000000000002","charge":"sch_000000000001","status":"succeeded","amount":200,
//!  "currency":"jpy","reference":null,"code":null,"created_at":"…","billing_time":"…","idempotency":"none"}
//! {"error":{"type":"card_error","code":"insufficient_funds","message":"…"},"charge":{"status":"declined","…":"…"}}
//! {"error":{"type":"card_error","code":"expired_card","message":"…"},"action":{"object":"reauth","status":"declined","…":"…"}}
//! {"error":{"type":"invalid_request_error","code":"missing_param","message":"…","param":"amount"}}
//! {"idempotency":"strong","idempotency_window_ms":86400000,"lookup_by_reference":true,"lookup_lag_ms":0,
//!  "max_processing_ms":1000,"rate_per_second":null,"too_many_requests_is_not_executed":true}
//! ```
//!
//! The status of a charge is `succeeded`, `declined`, `authorized` (reserved), `captured` (reserved, then taken) or `voided`
//! (reserved, then released); `captured_amount` is what was taken, at once or later. What may be done to it and what not:
//!
//! | charge | capture, void, reauth | refund |
//! |---|---|---|
//! | succeeded, captured | `already_captured` | up to what was taken and not given back: else `refund_exceeds_charge`, `already_refunded` |
//! | declined | `charge_not_authorized` | `charge_not_refundable` |
//! | authorized | yes, a capture up to the amount: else `capture_exceeds_authorization` | `charge_not_refundable` |
//! | voided | `already_voided` | `already_voided` |
//!
//! `billing_time` is the caller's clock: the book's `at`, and what `_until_` tokens look at. Without it the real time
//! counts. All delays, lags and windows are real time. `idempotency` (in answers to `POST` only) says what the key did:
//! `stored`, `replayed`, `none` (no key, or a gateway without keys), `error` (executed without protection).
//!
//! | status | `type` | `code` |
//! |---|---|---|
//! | 400 | `invalid_request_error` | `invalid_json`, `missing_param`, `invalid_amount`, `invalid_currency`, `invalid_length`, `invalid_billing_time`, `unknown_token`, `invalid_query`, `charge_not_authorized`, `already_captured`, `already_voided`, `capture_exceeds_authorization`, `charge_not_refundable`, `already_refunded`, `refund_exceeds_charge`, `body_unreadable` |
//! | 401, 404, 405, 413 | `invalid_request_error` | `unauthorized`, `not_found`, `method_not_allowed`, `body_too_large` |
//! | 402 | `card_error` | one of the decline codes |
//! | 409 | `idempotency_error` | `idempotency_conflict` (other parameters), `idempotency_in_progress` |
//! | 429 | `rate_limit_error` | `too_many_requests`, with `Retry-After`; never executed |
//! | 500 | `api_error` | `internal_error`; perhaps executed |
//!
//! All requests share their keys. Compared are the address and all parameters but the billing time. A charge that is
//! replayed is shown as it stands now.
//!
//! # Tokens
//!
//! The token decides the outcome. Anything after a dot makes it unique: `sbx_ok.c1-000123`. Counters belong to the whole
//! token, with that part.
//!
//! | token | outcome |
//! |---|---|
//! | `sbx_ok` | succeeds |
//! | `sbx_decline_<code>` | is declined |
//! | `sbx_decline_<code>_times_<n>` | the first *n* charges are declined, later ones succeed |
//! | `sbx_decline_<code>_until_<YYYYMMDD>` | declined while the billing time is before 00:00 of that day in Tokyo |
//! | `sbx_decline_<code>_over_<yen>` | declined when the amount is greater |
//! | `sbx_timeout_before_<n>` | the first *n* requests hang until the client leaves and are not executed |
//! | `sbx_timeout_after_<n>` | the first *n* requests are executed (or replayed), then hang until the client leaves |
//!
//! A reauth follows the rule of its charge's token; captures, voids and refunds are never declined, and only charges hang.
//!
//! Codes: `insufficient_funds`, `card_declined`, `do_not_honor`, `expired_card`, `incorrect_card_data`, `stolen_card`,
//! `lost_card`, `processing_error`, `limit_exceeded`, `authentication_required`.
//!
//! # Faults
//!
//! Comma-separated `name=value`, such as `idempotency=24h,latency=20-80,drop-after=0.05`. `P` is a probability from 0 to 1.
//! Each decision comes from the seed, the number of the request and the name of the fault, so a run repeats. They hit
//! every `POST`; look-ups know only the rate and the lag. At most one fault before and one after the execution
//! hits a request, the first in this order.
//!
//! | name | value | what happens | executed |
//! |---|---|---|---|
//! | `idempotency` | `none`, `best-effort`, `24h` (any time: `6h`, `500ms`), `forever` | how long a key is recognised, from when it was first seen. `best-effort`: 24 h, but one request in five is executed unprotected and says `error`. Default `forever` | |
//! | `latency` | `MIN-MAX` ms | every execution waits that long first | yes |
//! | `lookup-lag` | ms | look-ups by reference, and lists of actions, show a line only after that time | |
//! | `max-processing` | ms | what the capabilities say, true or not | |
//! | `rate` | per second | 429 above it; a bucket that holds one second | no |
//! | `401`, `429` | P | that status | no |
//! | `drop-before` | P | connection reset | no |
//! | `timeout-before` | P | hangs until the client leaves | no |
//! | `500-before` | P | 500 | no |
//! | `html` | P | 403 with a web page, as from a firewall in between | every other time |
//! | `late` with `late-ms` | P, `MIN-MAX` ms | connection reset at once | yes, that much later |
//! | `slow` with `slow-ms` | P, `MIN-MAX` ms | the answer comes that much later | yes, just before it |
//! | `drop-after` | P | connection reset | yes |
//! | `timeout-after` | P | hangs until the client leaves | yes |
//! | `500-after` | P | 500, the same as before execution | yes |
//! | `malformed` | P | 200 with JSON that breaks off | yes |
//! | `wrong-amount` | P | the answer says one more than was charged | yes |
//!
//! # Book
//!
//! JSON Lines; one line for each charge executed (succeeded, declined or authorized) and each thing done to one (captured,
//! voided, authorized again or declined, refunded), see [`BookLine`]. The money taken is the sum of succeeded and captured
//! less refunded. What was refused, dropped or lost before execution leaves none, a recognised repeat neither. A line is on disk before it is
//! answered or shown; lines that wait at the same time share one sync. **Execution never depends on the connection**: a
//! request that has arrived whole is executed even when its client has left. After a restart everything goes on from the
//! book: ids, counters, keys (their age then counts from the line). `<book>.state` beside it holds the one thing that the
//! book cannot show: how often each `timeout` token has hung. A last line that a crash cut off is removed with a warning;
//! any other damage is an error. Two sandboxes cannot share a book.
//!
//! # Limits
//!
//! 960 connections, 65 536 orders at a time (429 above), 10 s to send a request, 255 bytes for a token, reference or key,
//! about 80 bytes of memory for a charge. Keys that `best-effort` did not protect are recognised after a restart, as the
//! book does not tell them apart. Fault decisions after a restart count on from the number of lines.
//!
//! # Code
//!
//! `routes` → `order` (what is asked) → `process` (delays, lost answers) → `desk` (keys) → `execution` (outcomes) → `writer`
//! (disk). `token`, `faults`, `book`, `reply` hold the four text forms; `standing` is where a charge stands and what may be
//! done to it; `index` is the memory; `connection` cuts connections.
mod book;
mod connection;
mod desk;
mod execution;
mod faults;
mod index;
mod order;
mod process;
mod reply;
mod routes;
mod server;
mod standing;
mod token;
mod writer;

pub use book::{BookError, BookLine, Outcome, read_book};
pub use faults::{Faults, FaultsError};
pub use server::{Config, Server, StartError, start};
pub use token::is_token;
