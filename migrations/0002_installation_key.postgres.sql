-- 32 bytes out of three random UUIDs (366 random bits), which need no extension.
insert into installation (id, derivation_key)
select 1, sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));
