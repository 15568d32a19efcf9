-- The core of teiki. One text for both engines: columns are BIGINT, TEXT, BYTEA, BOOLEAN only; instants are
-- BIGINT microseconds UTC, civil dates TEXT (2027-01-31). Customer-owned tables begin their primary key with
-- slot (design.md 5); tables of the catalogue are marked and have none. Truth is in the unique constraints.
-- Tables that every renewal writes have no foreign keys: each would cost a look-up per row, and their parents are read
-- in the same transaction and never deleted. Named unique constraints are indexes, so that both engines report the name.

-- The key that ids and idempotency keys are derived from; filled by 0002.
create table installation ( -- catalogue
    id BIGINT primary key check (id = 1),
    derivation_key BYTEA not null
);

create table accounts ( -- catalogue
    id TEXT primary key,
    name TEXT not null,
    email TEXT,
    zone TEXT not null,
    charge_window TEXT not null,
    tax_rounding TEXT not null,
    -- How new subscriptions are billed and what a failed renewal does to them; both are copied to the subscription.
    calendar TEXT not null,
    renewal_failure TEXT not null,
    rate_limits TEXT not null,
    -- The clock that imported and new test customers follow; null is real time.
    test_clock_id TEXT,
    created_at BIGINT not null
);

create table api_keys ( -- catalogue
    id TEXT primary key,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    kind TEXT not null check (kind in ('secret', 'public', 'restricted')),
    hash BYTEA not null unique,
    last4 TEXT not null,
    name TEXT,
    created_at BIGINT not null,
    -- To the hour.
    last_used_at BIGINT,
    -- Of a key that was rolled: it works until then.
    expires_at BIGINT,
    revoked_at BIGINT
);
create index api_keys_by_time on api_keys (account_id, mode, created_at, id);

-- The master key that secrets are encrypted under, by its id; the key itself is in a file.
create table secret_keys ( -- catalogue
    id TEXT primary key,
    created_at BIGINT not null
);

-- A row is a stop: scope is 'all' or an account's id. Read inside every prepare.
create table holds ( -- catalogue
    scope TEXT primary key,
    reason TEXT not null,
    actor TEXT not null,
    placed_at BIGINT not null
);

create table gateway_connections ( -- catalogue
    id TEXT primary key,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    gateway TEXT not null,
    created_at BIGINT not null,
    unique (account_id, mode, gateway)
);

create table test_clocks ( -- catalogue
    id TEXT primary key,
    account_id TEXT not null references accounts (id),
    name TEXT,
    started_at BIGINT not null,
    frozen_time BIGINT not null,
    status TEXT not null,
    -- Where it is going, and where it set out from; null while it stands.
    target_time BIGINT,
    from_time BIGINT,
    event_number BIGINT not null default 0,
    created_at BIGINT not null,
    deleted_at BIGINT
);
create index test_clocks_by_account on test_clocks (account_id, created_at, id);
create index test_clocks_advancing on test_clocks (id) where target_time is not null;

create table plans ( -- catalogue
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    id TEXT not null,
    name TEXT,
    amount BIGINT not null check (amount >= 0),
    currency TEXT not null,
    tax_category TEXT not null,
    interval_unit TEXT not null,
    interval_count BIGINT not null check (interval_count >= 1),
    billing_day BIGINT check (billing_day between 1 and 31),
    trial_days BIGINT not null check (trial_days >= 0),
    setup_fee BIGINT not null check (setup_fee >= 0),
    instalments BIGINT check (instalments >= 1),
    first_charge TEXT not null default 'now',
    metadata TEXT not null default '{}',
    event_number BIGINT not null default 0,
    created_at BIGINT not null,
    deleted_at BIGINT,
    primary key (account_id, mode, id)
);
create index plans_by_time on plans (account_id, mode, created_at, id);

-- All subscriptions of a plan are switched to another from an instant on. They are reserved, and undone, batch by batch:
-- place is that of the last one looked at, passed_over how many of this round were busy. sequence: who was there before it.
create table plan_switches ( -- catalogue
    id TEXT primary key,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    plan_id TEXT not null,
    next_plan_id TEXT not null,
    effective_at BIGINT not null,
    status TEXT not null,
    excluded TEXT not null,
    place TEXT,
    passed_over BIGINT not null default 0,
    member_count BIGINT not null default 0,
    amount_before BIGINT not null default 0,
    amount_after BIGINT not null default 0,
    event_number BIGINT not null default 0,
    actor TEXT not null,
    undone_by TEXT,
    undone_at BIGINT,
    created_at BIGINT not null
);
create index plan_switches_by_account on plan_switches (account_id, mode, created_at, id);
create index plan_switches_at_work on plan_switches (created_at, id) where status in ('reserving', 'undoing');

-- Who may prepare a part of the work now; fence grows with each change of hands. Until others_until a former holder that
-- is not known to be dead may still send what it had prepared.
create table leases ( -- catalogue
    name TEXT primary key,
    holder TEXT not null,
    fence BIGINT not null,
    taken_at BIGINT not null,
    others_until BIGINT not null
);

-- The plan of the day, computed from the schedule before the first charge of the day.
create table day_plans ( -- catalogue
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    clock_id TEXT not null,
    day TEXT not null,
    planned_count BIGINT not null,
    planned_amount BIGINT not null,
    primary key (account_id, mode, clock_id, day)
);

-- What each lane has opened of it; a lane has its own row, so that lanes do not wait for each other.
create table day_runs ( -- catalogue
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    clock_id TEXT not null,
    day TEXT not null,
    lane BIGINT not null,
    opened_count BIGINT not null,
    opened_amount BIGINT not null,
    primary key (account_id, mode, clock_id, day, lane)
);

-- A deleted customer keeps its row: its id stays taken, and charges and invoices go on naming it. sequence orders rows
-- whose created_at is the same, as under a clock that stands still.
create table customers (
    slot BIGINT not null,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    id TEXT not null,
    name TEXT,
    email TEXT,
    description TEXT,
    metadata TEXT not null default '{}',
    default_payment_method_id TEXT,
    clock_id TEXT not null,
    event_number BIGINT not null default 0,
    created_at BIGINT not null,
    sequence BIGINT not null,
    deleted_at BIGINT,
    primary key (slot, account_id, mode, id)
) /* clustered */;
create index customers_by_time on customers (account_id, mode, created_at, sequence, id);
create index customers_by_clock on customers (account_id, clock_id) where clock_id <> 'real';
create index customers_by_email on customers (account_id, mode, email, created_at, sequence, id) where email is not null;

-- A card of a token that no customer has yet belongs to none. details: what a card shows besides, as JSON; never a number.
create table payment_methods (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    customer_id TEXT,
    connection_id TEXT not null references gateway_connections (id),
    gateway_token TEXT not null,
    brand TEXT not null,
    last4 TEXT not null,
    expires_on TEXT,
    fingerprint TEXT,
    details TEXT not null default '{}',
    metadata TEXT not null default '{}',
    created_at BIGINT not null,
    sequence BIGINT not null,
    deleted_at BIGINT,
    primary key (slot, id),
    foreign key (slot, account_id, mode, customer_id) references customers (slot, account_id, mode, id)
) /* clustered */;
create index payment_methods_by_customer on payment_methods (slot, account_id, mode, customer_id, created_at, sequence, id)
    where customer_id is not null and deleted_at is null;

-- Stands for a card until it is used, once.
create table tokens (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    payment_method_id TEXT not null,
    created_at BIGINT not null,
    -- Real time, by which it expires.
    made_at BIGINT not null,
    used_at BIGINT,
    -- With 3-D Secure: when the merchant finished it; before that it cannot be used.
    confirmed_at BIGINT,
    primary key (slot, id)
) /* clustered */;
create index tokens_by_card on tokens (slot, payment_method_id);

-- The card holder of a stored card is to be asked by 3-D Secure. started_at and finished_at are billing time, made_at is
-- real and bounds the way.
create table three_d_secure_requests (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    payment_method_id TEXT not null,
    status TEXT not null,
    created_at BIGINT not null,
    made_at BIGINT not null,
    started_at BIGINT,
    finished_at BIGINT,
    primary key (slot, id)
) /* clustered */;
create index three_d_secure_requests_by_time on three_d_secure_requests (account_id, mode, created_at, made_at, id);
create index three_d_secure_requests_by_card on three_d_secure_requests (slot, payment_method_id, created_at, made_at, id);

-- anchor_cycle is the number of the cycle that begins at the anchor, next_cycle the first that no invoice has had (the
-- scheduled invoice has the one before), billed whether any bill was issued, here or before an import. While pending_invoice_id is set, a payment that a
-- request made decides what becomes of the subscription: nothing else may change it. trial_end is the end of the last
-- trial. A deleted subscription keeps its row.
create table subscriptions (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    customer_id TEXT not null,
    plan_id TEXT not null,
    next_plan_id TEXT,
    -- The first start of a period that the next plan may have; null is the next renewal.
    next_plan_from BIGINT,
    -- The plan switch that reserved the next plan, or that the plan came from; switch_former is what it replaced, as JSON.
    plan_switch_id TEXT,
    switch_former TEXT,
    quantity BIGINT not null default 1 check (quantity >= 1),
    payment_method_id TEXT,
    status TEXT not null,
    cancel_reason TEXT,
    calendar TEXT not null,
    renewal_failure TEXT not null,
    anchor_on TEXT not null,
    anchor_time TEXT,
    anchor_cycle BIGINT not null default 0,
    next_cycle BIGINT not null,
    billed BOOLEAN not null default false,
    period_start BIGINT not null,
    period_end BIGINT not null,
    remaining BIGINT check (remaining >= 0),
    prorate BOOLEAN not null,
    trial_start BIGINT,
    trial_end BIGINT,
    paused_at BIGINT,
    canceled_at BIGINT,
    resumed_at BIGINT,
    pending_invoice_id TEXT,
    change_count BIGINT not null default 0,
    event_number BIGINT not null,
    parked_reason TEXT,
    valid_until TEXT,
    metadata TEXT not null default '{}',
    started_at BIGINT not null,
    created_at BIGINT not null,
    sequence BIGINT not null,
    deleted_at BIGINT,
    primary key (slot, id),
    foreign key (slot, account_id, mode, customer_id) references customers (slot, account_id, mode, id)
) /* clustered */;
create index subscriptions_by_account on subscriptions (account_id, mode, slot, id);
create index subscriptions_by_time on subscriptions (account_id, mode, created_at, sequence, id) where deleted_at is null;
create index subscriptions_by_plan on subscriptions (account_id, mode, plan_id, created_at, sequence, id)
    where deleted_at is null;
create index subscriptions_by_next_plan on subscriptions (account_id, mode, next_plan_id)
    where next_plan_id is not null and deleted_at is null;
create index subscriptions_by_switch on subscriptions (account_id, mode, plan_switch_id, created_at, sequence, id)
    where plan_switch_id is not null;
create index subscriptions_by_status on subscriptions (account_id, mode, status, created_at, sequence, id)
    where deleted_at is null;
create index subscriptions_by_customer on subscriptions (slot, account_id, mode, customer_id, created_at, sequence, id);
create index subscriptions_parked on subscriptions (account_id, mode, slot, id) where parked_reason is not null;

-- Import rows as they were, so that the same file again changes nothing and a changed row is seen.
create table imported_rows (
    slot BIGINT not null,
    account_id TEXT not null,
    mode TEXT not null,
    customer_id TEXT not null,
    plan_id TEXT not null,
    billing_anchor TEXT not null,
    fields TEXT not null,
    imported_at BIGINT not null,
    primary key (slot, account_id, mode, customer_id, plan_id, billing_anchor)
) /* clustered */;

-- The bill and the debt; also the work list: next_action_at is the charge time of a scheduled invoice, the
-- next retry of an open one, else null. clock_id is 'real' or a test clock. amount_outside is the part of amount_paid that no
-- gateway collected; memo is the merchant's note, reason why a person skipped it or marked it as paid.
create table invoices (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    customer_id TEXT,
    subscription_id TEXT,
    plan_id TEXT,
    obligation TEXT not null,
    cycle BIGINT not null,
    status TEXT not null,
    currency TEXT not null,
    amount BIGINT not null check (amount >= 0),
    amount_paid BIGINT not null check (amount_paid >= 0),
    amount_credited BIGINT not null check (amount_credited >= 0),
    amount_outside BIGINT not null default 0 check (amount_outside >= 0),
    lines TEXT not null,
    tax TEXT,
    due_on TEXT not null,
    due_at BIGINT not null,
    period_start BIGINT not null,
    period_end BIGINT not null,
    next_action_at BIGINT,
    charge_count BIGINT not null,
    -- Made inside a request: a decline voids it. on_paid is what its payment then does to the subscription, as JSON.
    in_request BOOLEAN not null default false,
    on_paid TEXT,
    memo TEXT,
    reason TEXT,
    -- Numbers the history of a sale, which has no subscription to do so.
    event_number BIGINT not null default 0,
    opened_at BIGINT,
    paid_at BIGINT,
    created_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
create unique index invoices_obligation on invoices (slot, obligation);
create index invoices_due on invoices (account_id, mode, clock_id, next_action_at, slot, id)
    where next_action_at is not null;
-- Lists: of a status by time, all of them by merging these; and of a plan (decision 0009).
create index invoices_by_status on invoices (account_id, mode, status, due_at, id);
create index invoices_by_plan on invoices (account_id, mode, plan_id, due_at, id) where plan_id is not null;
create index invoices_open on invoices (slot, subscription_id) where status = 'open';

create table charges (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    customer_id TEXT,
    subscription_id TEXT,
    invoice_id TEXT not null,
    payment_method_id TEXT not null,
    connection_id TEXT not null,
    number BIGINT not null,
    status TEXT not null,
    amount BIGINT not null check (amount > 0),
    currency TEXT not null,
    idempotency_key TEXT not null,
    actor TEXT not null,
    surplus BOOLEAN not null,
    frozen BOOLEAN not null,
    gateway_charge_id TEXT,
    failure_code TEXT,
    failure_class TEXT,
    note TEXT,
    billing_at BIGINT not null,
    sent_at BIGINT,
    last_sent_at BIGINT,
    absent_at BIGINT,
    tries BIGINT not null,
    check_at BIGINT,
    settled_at BIGINT,
    -- How an outcome that was not known was found out: 'replay' (the same key again) or 'lookup'; else null.
    resolved_by TEXT,
    -- Whether the money is taken at once; else it is reserved until expires_at and captured later.
    capture BOOLEAN not null default true,
    captured_at BIGINT,
    amount_refunded BIGINT not null default 0 check (amount_refunded >= 0),
    refund_reason TEXT,
    expires_at BIGINT,
    description TEXT,
    metadata TEXT,
    -- How many things have been done to it; numbers its charge_actions.
    action_count BIGINT not null default 0,
    -- With 3-D Secure: how it stands with the card holder, the days for which the money is then reserved (null takes it at
    -- once), and the billing time at which the merchant finished it. Before that it was never sent, and has no check_at.
    three_d_secure_status TEXT,
    reserve_days BIGINT,
    confirmed_at BIGINT,
    created_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
create index charges_by_time on charges (account_id, mode, billing_at, created_at, id);
-- Charges of a subscription are found through its invoices, whose ids derive from it.
create index charges_of_sales on charges (slot, account_id, mode, customer_id, billing_at, created_at, id)
    where subscription_id is null and customer_id is not null;
-- At most one charge of an invoice is not final.
create unique index charges_open on charges (slot, invoice_id)
    where status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized');
-- At most one success of an invoice counts.
create unique index charges_success on charges (slot, invoice_id) where status = 'succeeded' and not surplus;
-- A gateway's charge settles one charge of ours. Across slots the reference it bears says the same: the id of our charge.
create unique index charges_gateway_id on charges (slot, connection_id, gateway_charge_id)
    where gateway_charge_id is not null;
-- What must be sent, looked after or found out, by operating time.
create index charges_check on charges (account_id, mode, clock_id, check_at, slot, id) where check_at is not null;
-- What waits for its card holder before it is sent, and is given up after a while.
create index charges_waiting on charges (account_id, mode, created_at, slot, id)
    where status = 'requires_customer' and sent_at is null;

-- What is done to a charge after it was made: captured, voided, refunded, authorised again. Sent and found out like the
-- charge itself, under its own key.
create table charge_actions (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    charge_id TEXT not null,
    number BIGINT not null,
    kind TEXT not null,
    status TEXT not null,
    amount BIGINT not null check (amount > 0),
    currency TEXT not null,
    idempotency_key TEXT not null,
    actor TEXT not null,
    reason TEXT,
    expires_at BIGINT,
    gateway_action_id TEXT,
    -- The gateway's code of its refusal, and what stood in the way if it said so. On an action that is not final: of the
    -- refusal to repeat it, which proves nothing of the first request.
    failure_code TEXT,
    refusal TEXT,
    note TEXT,
    frozen BOOLEAN not null,
    billing_at BIGINT not null,
    sent_at BIGINT,
    last_sent_at BIGINT,
    absent_at BIGINT,
    tries BIGINT not null,
    check_at BIGINT,
    settled_at BIGINT,
    created_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
create unique index charge_actions_number on charge_actions (slot, charge_id, number);
-- One at a time for a charge.
create unique index charge_actions_open on charge_actions (slot, charge_id)
    where status in ('prepared', 'sending', 'unknown', 'pending');
create index charge_actions_check on charge_actions (check_at, slot, id) where check_at is not null;

create table dunning_cases (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    subscription_id TEXT not null,
    invoice_id TEXT not null,
    status TEXT not null,
    failure_code TEXT not null,
    failure_class TEXT not null,
    next_retry_at BIGINT,
    opened_at BIGINT not null,
    closed_at BIGINT,
    primary key (slot, id)
) /* clustered */;
create unique index dunning_cases_invoice on dunning_cases (slot, invoice_id);

create table ledger_entries (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    kind TEXT not null,
    invoice_id TEXT not null,
    charge_id TEXT,
    debit TEXT not null,
    credit TEXT not null,
    amount BIGINT not null check (amount > 0),
    currency TEXT not null,
    posted_at BIGINT not null,
    primary key (slot, id),
    check (debit <> credit)
) /* clustered */;

-- history_id: whose history it is, a subscription's, a customer's, a plan's, a sale's invoice, a token's.
create table events (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    history_id TEXT not null,
    number BIGINT not null,
    type TEXT not null,
    object_id TEXT not null,
    data TEXT not null,
    billing_at BIGINT not null,
    recorded_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
-- The number first: events of the same age lie together (decision 0008).
create unique index events_number on events (slot, number, history_id);
create index events_by_time on events (account_id, mode, billing_at, recorded_at, number, id);

-- What a request with an Idempotency-Key has come to, kept for 30 real days. Neither the key nor the request is stored, only
-- their keyed hashes. seed: what the ids of what it makes derive from. holder: the process that works on it, since held_at;
-- null when none does. done: what its transaction has committed, as JSON; a repeat goes on from there. answer: the body of the
-- last word, once there is one, without secrets.
create table idempotency_keys (
    slot BIGINT not null,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    key_hash BYTEA not null,
    request_hash BYTEA not null,
    seed BYTEA not null,
    holder TEXT,
    held_at BIGINT,
    done TEXT,
    status BIGINT,
    answer TEXT,
    created_at BIGINT not null,
    primary key (slot, account_id, mode, key_hash)
) /* clustered */;
create index idempotency_keys_by_time on idempotency_keys (created_at, slot);

-- What must still be delivered. A row goes when its delivery is confirmed.
create table outbox (
    slot BIGINT not null,
    event_id TEXT not null,
    sink TEXT not null,
    deliver_at BIGINT not null,
    attempts BIGINT not null,
    primary key (slot, event_id, sink)
) /* clustered */;
create index outbox_deliver on outbox (deliver_at, slot, event_id);

-- Where events are sent. secret and token are encrypted (src/secrets); a former secret signs as well until former_until.
-- enabled_events: a JSON list, null for the types that PAY.JP has. failing_since: since when nothing has been delivered,
-- failed_at: the last attempt of that time. All instants are real time.
create table webhook_endpoints ( -- catalogue
    id TEXT primary key,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    url TEXT not null,
    description TEXT,
    enabled_events TEXT,
    status TEXT not null,
    disabled_reason TEXT,
    secret BYTEA not null,
    former_secret BYTEA,
    former_until BIGINT,
    token BYTEA not null,
    failing_since BIGINT,
    failed_at BIGINT,
    event_number BIGINT not null default 0,
    created_at BIGINT not null,
    deleted_at BIGINT
);
create index webhook_endpoints_by_account on webhook_endpoints (account_id, mode, created_at, id) where deleted_at is null;

-- An event on its way to an endpoint, and the log of it. history_id and number put those of one endpoint in order; a delivery
-- that was asked for stands alone, with its own id. While it waits it has next_attempt_at, afterwards finished_at. claims counts
-- those who took it and have not said what came of it: one while it is sent, more if processes ended over it.
create table webhook_deliveries (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    endpoint_id TEXT not null,
    event_id TEXT not null,
    event_type TEXT not null,
    history_id TEXT not null,
    number BIGINT not null,
    status TEXT not null,
    attempts BIGINT not null,
    claims BIGINT not null default 0,
    next_attempt_at BIGINT,
    last_attempt_at BIGINT,
    last_status BIGINT,
    last_error TEXT,
    last_duration_ms BIGINT,
    created_at BIGINT not null,
    finished_at BIGINT,
    primary key (slot, id)
) /* clustered */;
-- What waits, by endpoint, so that one that does not answer keeps none of the others waiting; in order within a history; by
-- event, to count who has not got it yet (with all that the count asks for, so that SQLite takes it and not the slot).
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_attempt_at, slot, id)
    where next_attempt_at is not null;
create index webhook_deliveries_order on webhook_deliveries (slot, endpoint_id, history_id, number)
    where next_attempt_at is not null;
create index webhook_deliveries_pending on webhook_deliveries (slot, event_id, next_attempt_at)
    where next_attempt_at is not null;
create index webhook_deliveries_by_time on webhook_deliveries (endpoint_id, created_at, id);
create index webhook_deliveries_by_status on webhook_deliveries (endpoint_id, status, created_at, id);
create index webhook_deliveries_finished on webhook_deliveries (finished_at, slot, id) where finished_at is not null;

-- What an operator must look at.
create table alarms (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    kind TEXT not null,
    subject TEXT not null,
    message TEXT not null,
    raised_at BIGINT not null,
    closed_at BIGINT,
    primary key (slot, id)
) /* clustered */;
create index alarms_open on alarms (account_id, mode, slot, id) where closed_at is null;
