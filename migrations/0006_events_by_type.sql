-- Who asks for the events of one type finds them without going through all others: a failed charge among a million paid ones.
create index events_by_type on events (account_id, mode, type, billing_at, recorded_at, number, id);
