//! SQL of the tests of the charge line: a database that fails.

/// The first commit that changes a charge loses its connection; on PostgreSQL.
pub(super) fn lose_first_commit(client: &mut postgres::Client) {
    let made = client.batch_execute(
        "create sequence commits;
         create function lose() returns trigger language plpgsql as
         $$ begin if nextval('commits') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if; return null; end $$;
         create constraint trigger loses after update on charges deferrable initially deferred
         for each row execute function lose()",
    );
    made.expect("the trigger is made");
}
