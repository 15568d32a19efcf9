-- When a renewal first opened an invoice with the next plan, in billing time: from then on a switch cannot be undone. Whom it
-- has switched may have left it since.
alter table plan_switches add column begun_at BIGINT;

-- A last instalment of zero ended its subscription without the reason for which it ended.
update subscriptions set cancel_reason = 'completed' where status = 'canceled' and cancel_reason is null and remaining = 0;
