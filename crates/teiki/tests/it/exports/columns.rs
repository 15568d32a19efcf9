//! The columns that docs/exports.md promises.

/// (export, its header)
pub(super) const HEADERS: [(&str, &str); 17] = [
    (
        "accounts",
        "account_id,name,email,zone,charge_window,tax_rounding,calendar,renewal_failure,rate_limits,test_clock_id,created_at\n",
    ),
    (
        "customers",
        "customer_id,name,email,description,metadata,default_card_id,test_clock_id,created_at,deleted_at\n",
    ),
    ("cards", "card_id,customer_id,gateway,brand,last4,expires_on,details,metadata,created_at,deleted_at\n"),
    ("tokens", "token_id,card_id,created_at,made_at,used_at,confirmed_at\n"),
    (
        "three_d_secure_requests",
        "three_d_secure_request_id,card_id,status,created_at,made_at,started_at,finished_at\n",
    ),
    (
        "plans",
        "plan_id,name,amount,currency,tax_category,interval,interval_count,billing_day,trial_days,setup_fee,instalments,\
         first_charge,metadata,created_at,deleted_at\n",
    ),
    (
        "plan_switches",
        "plan_switch_id,plan_id,next_plan_id,effective_at,status,excluded,subscriptions,amount_before,amount_after,created_by,\
         undone_by,undone_at,created_at\n",
    ),
    (
        "subscriptions",
        "subscription_id,customer_id,name,email,plan_id,status,cancel_reason,billing_anchor,next_charge_on,remaining,\
         valid_until,parked_reason,payment_method_brand,payment_method_last4,payment_method_expires_on,started_at,\
         created_at,quantity,card_id,next_plan_id,next_plan_from,plan_switch_id,calendar,renewal_failure,prorate,period_start,\
         period_end,trial_start,trial_end,paused_at,canceled_at,resumed_at,metadata,test_clock_id,deleted_at\n",
    ),
    (
        "invoices",
        "invoice_id,customer_id,subscription_id,plan_id,cycle,obligation,status,amount,amount_paid,amount_credited,tax,\
         currency,due_on,due_at,period_start,period_end,next_action_at,opened_at,paid_at,created_at,\
         amount_paid_outside,memo,reason,lines,test_clock_id\n",
    ),
    (
        "charges",
        "charge_id,invoice_id,customer_id,subscription_id,plan_id,cycle,due_on,amount,currency,status,surplus,failure_code,\
         failure_class,gateway_charge_id,idempotency_key,billing_at,created_at,settled_at,number,card_id,gateway,actor,capture,\
         captured_at,expires_at,amount_refunded,refund_reason,description,metadata,three_d_secure_status,reserve_days,\
         confirmed_at,sent_at,resolved_by,test_clock_id\n",
    ),
    (
        "charge_actions",
        "charge_action_id,charge_id,number,kind,status,amount,currency,reason,expires_at,failure_code,refusal,gateway_action_id,\
         idempotency_key,actor,billing_at,created_at,sent_at,settled_at,test_clock_id\n",
    ),
    (
        "dunning_cases",
        "dunning_case_id,subscription_id,invoice_id,status,failure_code,failure_class,next_retry_at,opened_at,closed_at\n",
    ),
    (
        "ledger",
        "entry_id,posted_at,kind,invoice_id,charge_id,debit,credit,amount,currency,test_clock_id,test_clock_deleted_at\n",
    ),
    (
        "events",
        "event_id,history_id,number,type,object_id,data,billing_at,recorded_at,test_clock_id,test_clock_deleted_at\n",
    ),
    (
        "webhook_endpoints",
        "webhook_endpoint_id,url,description,enabled_events,status,disabled_reason,failing_since,former_secret_until,created_at,\
         deleted_at\n",
    ),
    (
        "webhook_deliveries",
        "webhook_delivery_id,webhook_endpoint_id,event_id,event_type,status,attempts,next_attempt_at,last_attempt_at,\
         last_status,last_error,last_duration_ms,created_at,finished_at\n",
    ),
    ("test_clocks", "test_clock_id,name,status,started_at,frozen_time,target_time,created_at,deleted_at\n"),
];
