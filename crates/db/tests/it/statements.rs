//! One statement at a time: values, parameters, rows, errors.

use db::{Error, Value};

use crate::support::{add_parents, count, execute, on_both, parents, text};

#[tokio::test]
async fn every_value_comes_back_as_it_went_in() {
    on_both(async |db| {
        let name = "定期購入 🗓 ' \" $1 \\ \n";
        db.write(move |tx| {
            let sql =
                "insert into parent (slot, id, n, name, bytes, is_open) values ($1, $2, $3, $4, $5, $6)";
            let full = [1.into(), "a".into(), (-5).into(), name.into(), Value::Bytes(b"\0\xff"), true.into()];
            assert_eq!(tx.execute(sql, &full)?, 1);
            let empty = [
                i64::MIN.into(),
                text(""),
                None::<i64>.into(),
                None::<&str>.into(),
                Value::Null,
                false.into(),
            ];
            tx.execute(sql, &empty)
        })
        .await
        .unwrap();
        db.read(move |tx| {
            let sql = "select slot, id, n, name, bytes, is_open from parent where slot = $1";
            let row = tx.query_one(sql, &[1.into()])?;
            assert_eq!((row.len(), row.i64(0)?, row.text(1)?, row.i64(2)?), (6, 1, "a".to_owned(), -5));
            assert_eq!((row.str(3)?, row.bytes(4)?, row.bool(5)?), (name, b"\0\xff".to_vec(), true));
            let row = tx.query_one(sql, &[i64::MIN.into()])?;
            assert_eq!((row.i64(0)?, row.text(1)?, row.opt_i64(2)?), (i64::MIN, String::new(), None));
            assert_eq!((row.opt_text(3)?, row.opt_bytes(4)?, row.opt_bool(5)?), (None, None, Some(false)));
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn parameters_are_numbered_and_may_repeat() {
    on_both(async |db| {
        add_parents(&db, &[("a", 1), ("b", 2)]).await;
        let found = db.read(|tx| {
            let sql = "select id, '$3' /* $4 */ from parent where n = $2 and slot = $1 and slot <> $2 -- $5";
            let row = tx.query_one(sql, &[1.into(), 2.into()])?;
            Ok::<_, Error>((row.text(0)?, row.text(1)?))
        });
        assert_eq!(found.await.unwrap(), ("b".to_owned(), "$3".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_number_of_values_is_refused() {
    on_both(async |db| {
        for params in [vec![], vec![Value::I64(1); 2]] {
            let error = db.read(move |tx| tx.query("select n from parent where slot = $1", &params.clone()));
            assert!(matches!(error.await, Err(Error::Assertion(_))));
        }
    })
    .await;
}

#[tokio::test]
async fn more_or_fewer_rows_than_asked_are_errors() {
    on_both(async |db| {
        add_parents(&db, &[("a", 1), ("b", 2)]).await;
        db.read(|tx| {
            let all = "select id from parent order by id";
            assert!(matches!(tx.query_opt(all, &[]), Err(Error::Rows { found: 2, .. })));
            assert!(matches!(tx.query_one(all, &[]), Err(Error::Rows { found: 2, .. })));
            let none = "select id from parent where slot = 9";
            assert!(tx.query_opt(none, &[])?.is_none());
            assert!(matches!(tx.query_one(none, &[]), Err(Error::Rows { found: 0, .. })));
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn decoding_errors_name_the_column_and_what_was_found() {
    on_both(async |db| {
        add_parents(&db, &[("a", 1)]).await;
        let texts = db.read(|tx| {
            let row = tx.query_one("select id, name, bytes from parent", &[])?;
            let errors =
                [row.i64(0).map(drop), row.text(1).map(drop), row.bool(0).map(drop), row.bytes(7).map(drop)];
            Ok::<_, Error>(errors.map(|result| result.unwrap_err().to_string()))
        });
        let [number, null, bool, missing] = texts.await.unwrap();
        assert_eq!(number, "column 0 `id` is not a BIGINT but text");
        assert_eq!(null, "column 1 `name` is not TEXT but null");
        assert_eq!(bool, "column 0 `id` is not a BOOLEAN but text");
        assert_eq!(missing, "column 7 is not BYTEA but missing: the row has 3 columns");
    })
    .await;
}

#[tokio::test]
async fn a_unique_violation_has_the_same_name_on_both_engines() {
    on_both(async |db| {
        add_parents(&db, &[("a", 1)]).await;
        execute(&db, "update parent set name = 'x'").await.unwrap();
        let table = [
            ("insert into parent (slot, id) values (1, 'a')", "parent_pkey"),
            ("insert into parent (slot, id, n) values (1, 'b', 1)", "parent_slot_n_key"),
            ("insert into parent (slot, id, name) values (1, 'b', 'x')", "parent_name"),
        ];
        for (sql, name) in table {
            let error = execute(&db, sql).await.unwrap_err();
            assert!(error.violates(name), "{error}");
            assert!(!error.violates("parent"), "{error}");
            assert!(error.to_string().contains("in `insert into parent"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_unique_indexes_on_the_same_columns_are_both_possible() {
    on_both(async |db| {
        execute(&db, "create unique index child_a on child (slot, label) where parent = 'a'").await.unwrap();
        execute(&db, "create unique index child_b on child (slot, label) where parent = 'b'").await.unwrap();
        add_parents(&db, &[("b", 1)]).await;
        execute(&db, "insert into child (slot, id, parent, label) values (1, '1', 'b', 'x')").await.unwrap();
        let error =
            execute(&db, "insert into child (slot, id, parent, label) values (1, '2', 'b', 'x')").await;
        assert!(error.unwrap_err().violates("child_b"));
    })
    .await;
}

#[tokio::test]
async fn other_constraints_are_told_apart() {
    on_both(async |db| {
        let error =
            execute(&db, "insert into child (slot, id, parent, label) values (1, 'c', 'none', '')").await;
        assert!(matches!(error, Err(Error::ForeignKey { .. })), "{error:?}");
        let error = execute(&db, "insert into parent (slot, id, n) values (1, 'a', 1000000)").await;
        assert!(
            matches!(&error, Err(Error::Check { constraint, .. }) if constraint == "n_is_small"),
            "{error:?}"
        );
        let error = execute(&db, "insert into child (slot, id, parent) values (1, 'c', 'none')").await;
        assert!(
            matches!(&error, Err(Error::Check { constraint, .. }) if constraint == "child.label is null"),
            "{error:?}"
        );
        let error = execute(&db, "select nothing from nowhere").await.unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn errors_never_show_values() {
    on_both(async |db| {
        let insert = |n: i64| {
            db.write(move |tx| {
                let sql = "insert into parent (slot, id, name, n) values (1, $1, $2, $3)";
                tx.execute(sql, &["secret-id".into(), "secret-name".into(), n.into()])
            })
        };
        insert(1).await.unwrap();
        for n in [1, 1_000_000] {
            let error = insert(n).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_cannot_write_and_sees_one_snapshot() {
    on_both(async |db| {
        add_parents(&db, &[("a", 1)]).await;
        let error = db.read(|tx| tx.execute("delete from parent", &[])).await;
        assert!(matches!(error, Err(Error::Internal { .. })), "{error:?}");
        let (began, begin) = std::sync::mpsc::channel();
        let (changed, change) = std::sync::mpsc::channel();
        let change = std::sync::Mutex::new(change);
        let read = db.read(move |tx| {
            let sql = "select n from parent where slot = 1 and id = 'a'";
            let before = tx.query_one(sql, &[])?.i64(0)?;
            began.send(()).unwrap();
            change.lock().unwrap().recv().unwrap();
            Ok::<_, Error>((before, tx.query_one(sql, &[])?.i64(0)?))
        });
        let write = async {
            tokio::task::spawn_blocking(move || begin.recv().unwrap()).await.unwrap();
            execute(&db, "update parent set n = 2").await.unwrap();
            changed.send(()).unwrap();
        };
        let (seen, ()) = tokio::join!(read, write);
        assert_eq!(seen.unwrap(), (1, 1));
        assert_eq!(parents(&db).await, [("a".to_owned(), Some(2))]);
    })
    .await;
}

#[tokio::test]
async fn the_databases_clock_goes_forward() {
    on_both(async |db| {
        let (first, second) =
            db.write(|tx| Ok::<_, Error>((tx.database_now()?, tx.database_now()?))).await.unwrap();
        let year_2020 = 1_577_836_800_000_000;
        assert!(first > year_2020 && second >= first, "{first} {second}");
    })
    .await;
}

#[tokio::test]
async fn what_was_done_is_counted() {
    on_both(async |db| {
        let before = db.stats();
        add_parents(&db, &[("a", 1), ("b", 2)]).await;
        db.write(|tx| tx.query("update parent set n = 3 where id = 'a' returning n", &[])).await.unwrap();
        count(&db, "select count(*) from parent").await;
        let after = db.stats();
        assert_eq!(after.transactions - before.transactions, 3);
        assert_eq!(after.rows_written - before.rows_written, 3);
        assert_eq!(after.syncs - before.syncs, 2);
        // Begin, one statement, commit; on PostgreSQL each text is prepared once more.
        let prepared = if db.engine() == db::Engine::Sqlite { 0 } else { 3 };
        assert_eq!(after.round_trips - before.round_trips, 9 + prepared);
    })
    .await;
}

#[tokio::test]
async fn writes_beside_each_other_lose_nothing() {
    on_both(async |db| {
        add_parents(&db, &[("a", 0)]).await;
        let writes: Vec<_> = (0..60)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move { execute(&db, "update parent set n = n + 1").await.unwrap() })
            })
            .collect();
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(parents(&db).await, [("a".to_owned(), Some(60))]);
    })
    .await;
}
