-- 32 random bytes of the engine's own generator.
insert into installation (id, derivation_key) values (1, randomblob(32));
