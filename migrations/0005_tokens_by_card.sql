-- The token of a charge that was never executed is found by its card, and given back.
create index tokens_by_card on tokens (slot, payment_method_id);
