-- As long as a table has no statistics, PostgreSQL thinks that every index which can be used at all costs the same, and takes
-- the one that was made last: a look-up by key then goes through a list of the whole account, and a first import or a first
-- run, which is over before autovacuum comes, takes the square of its time. So the keys are made last. A later migration that
-- makes an index on a table runs this again; a test of the plans says so.
do $$
declare
    made record;
    foreign_keys text[] := '{}';
begin
    for made in
        select conrelid::regclass as on_table, conname, pg_get_constraintdef(oid) as definition
        from pg_constraint where contype = 'f' and connamespace = current_schema()::regnamespace
    loop
        execute format('alter table %s drop constraint %I', made.on_table, made.conname);
        foreign_keys := foreign_keys
            || format('alter table %s add constraint %I %s', made.on_table, made.conname, made.definition);
    end loop;
    for made in
        select conrelid::regclass as on_table, conname, pg_get_constraintdef(oid) as definition
        from pg_constraint where contype = 'p' and connamespace = current_schema()::regnamespace
    loop
        execute format('alter table %s drop constraint %I', made.on_table, made.conname);
        execute format('alter table %s add constraint %I %s', made.on_table, made.conname, made.definition);
    end loop;
    for place in 1 .. coalesce(array_length(foreign_keys, 1), 0) loop
        execute foreign_keys[place];
    end loop;
end
$$;
