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
    zone TEXT not null,
    charge_window TEXT not null,
    tax_rounding TEXT not null,
    created_at BIGINT not null
);

create table api_keys ( -- catalogue
    id TEXT primary key,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    kind TEXT not null check (kind in ('secret', 'public')),
    hash BYTEA not null unique,
    last4 TEXT not null,
    created_at BIGINT not null,
    revoked_at BIGINT
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
    started_at BIGINT not null,
    frozen_time BIGINT not null,
    created_at BIGINT not null,
    unique (account_id)
);

create table plans ( -- catalogue
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    id TEXT not null,
    name TEXT not null,
    amount BIGINT not null check (amount >= 0),
    currency TEXT not null,
    tax_category TEXT not null,
    interval_unit TEXT not null,
    interval_count BIGINT not null check (interval_count >= 1),
    trial_days BIGINT not null check (trial_days >= 0),
    setup_fee BIGINT not null check (setup_fee >= 0),
    instalments BIGINT check (instalments >= 1),
    created_at BIGINT not null,
    primary key (account_id, mode, id)
);

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

create table customers (
    slot BIGINT not null,
    account_id TEXT not null references accounts (id),
    mode TEXT not null,
    id TEXT not null,
    name TEXT not null,
    email TEXT not null,
    clock_id TEXT not null,
    created_at BIGINT not null,
    primary key (slot, account_id, mode, id)
) /* clustered */;

create table payment_methods (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    customer_id TEXT not null,
    connection_id TEXT not null references gateway_connections (id),
    gateway_token TEXT not null,
    brand TEXT not null,
    last4 TEXT not null,
    expires_on TEXT,
    created_at BIGINT not null,
    primary key (slot, id),
    foreign key (slot, account_id, mode, customer_id) references customers (slot, account_id, mode, id)
) /* clustered */;

create table subscriptions (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    customer_id TEXT not null,
    plan_id TEXT not null,
    payment_method_id TEXT not null,
    status TEXT not null,
    cancel_reason TEXT,
    anchor_on TEXT not null,
    anchor_time TEXT,
    remaining BIGINT check (remaining >= 0),
    event_number BIGINT not null,
    parked_reason TEXT,
    valid_until TEXT,
    started_at BIGINT not null,
    created_at BIGINT not null,
    primary key (slot, id),
    foreign key (slot, account_id, mode, customer_id) references customers (slot, account_id, mode, id)
) /* clustered */;
create index subscriptions_by_account on subscriptions (account_id, mode, slot, id);
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
-- next retry of an open one, else null. clock_id is 'real' or a test clock.
create table invoices (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    customer_id TEXT not null,
    subscription_id TEXT not null,
    plan_id TEXT not null,
    obligation TEXT not null,
    cycle BIGINT not null,
    status TEXT not null,
    currency TEXT not null,
    amount BIGINT not null check (amount >= 0),
    amount_paid BIGINT not null check (amount_paid >= 0),
    amount_credited BIGINT not null check (amount_credited >= 0),
    lines TEXT not null,
    tax TEXT,
    due_on TEXT not null,
    due_at BIGINT not null,
    period_start BIGINT not null,
    period_end BIGINT not null,
    next_action_at BIGINT,
    charge_count BIGINT not null,
    opened_at BIGINT,
    paid_at BIGINT,
    created_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
create unique index invoices_obligation on invoices (slot, obligation);
create index invoices_due on invoices (account_id, mode, clock_id, next_action_at, slot, id)
    where next_action_at is not null;
create index invoices_open on invoices (slot, subscription_id) where status = 'open';

create table charges (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    clock_id TEXT not null,
    customer_id TEXT not null,
    subscription_id TEXT not null,
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
    created_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
-- At most one charge of an invoice is not final.
create unique index charges_open on charges (slot, invoice_id)
    where status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized');
-- At most one success of an invoice counts.
create unique index charges_success on charges (slot, invoice_id) where status = 'succeeded' and not surplus;
-- A gateway's charge settles one charge of ours. Across slots the reference it bears says the same: the id of our charge.
create unique index charges_gateway_id on charges (slot, connection_id, gateway_charge_id)
    where gateway_charge_id is not null;
-- What must be sent, looked after or found out, by operating time.
create index charges_check on charges (check_at, slot, id) where check_at is not null;

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

create table events (
    slot BIGINT not null,
    id TEXT not null,
    account_id TEXT not null,
    mode TEXT not null,
    subscription_id TEXT not null,
    number BIGINT not null,
    type TEXT not null,
    object_id TEXT not null,
    data TEXT not null,
    billing_at BIGINT not null,
    recorded_at BIGINT not null,
    primary key (slot, id)
) /* clustered */;
-- The number first: events of the same age lie together (decision 0008).
create unique index events_number on events (slot, number, subscription_id);

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
