//! The many-row statements.

use db::{Column, Db, Error, OnConflict, Options, Value};

use crate::support::{add_parents, count, on_both, on_postgres, options, outside, parents};

const ROWS: &[(&str, i64)] = &[("a", 1), ("b", 2), ("c", 3)];

fn ids<'a>(ids: &[&'a str]) -> [(&'static str, Column<'a>); 2] {
    [("slot", Column::I64(vec![1; ids.len()])), ("id", Column::Text(ids.to_vec()))]
}

#[tokio::test]
async fn insert_many_writes_nulls_unicode_and_every_type() {
    on_both(async |db| {
        let written = db.write(|tx| {
            let columns = [
                ("slot", Column::I64(vec![1, 2])),
                ("id", Column::Text(vec!["定期", ""])),
                ("n", Column::OptI64(vec![None, Some(-1)])),
                ("name", Column::OptText(vec![Some("a'b"), None])),
                ("bytes", Column::Bytes(vec![b"\0", b""])),
                ("is_open", Column::Bool(vec![true, false])),
            ];
            tx.insert_many("parent", &columns, OnConflict::Fail)
        });
        assert_eq!(written.await.unwrap(), 2);
        db.read(|tx| {
            let rows = tx.query("select id, n, name, bytes, is_open from parent order by slot", &[])?;
            assert_eq!((rows[0].text(0)?, rows[0].opt_i64(1)?), ("定期".to_owned(), None));
            assert_eq!((rows[0].str(2)?, rows[0].bytes(3)?, rows[0].bool(4)?), ("a'b", vec![0], true));
            assert_eq!((rows[1].text(0)?, rows[1].opt_i64(1)?), (String::new(), Some(-1)));
            assert_eq!((rows[1].opt_str(2)?, rows[1].bytes(3)?, rows[1].bool(4)?), (None, vec![], false));
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_row_in_conflict_fails_all_or_is_left_out() {
    on_both(async |db| {
        add_parents(&db, &[("b", 2)]).await;
        let insert =
            |on_conflict| db.write(move |tx| tx.insert_many("parent", &ids(&["a", "b", "c"]), on_conflict));
        assert!(insert(OnConflict::Fail).await.unwrap_err().violates("parent_pkey"));
        assert_eq!(parents(&db).await.len(), 1);
        assert_eq!(insert(OnConflict::Nothing).await.unwrap(), 2);
        assert_eq!(parents(&db).await[1], ("b".to_owned(), Some(2)));
    })
    .await;
}

#[tokio::test]
async fn update_many_changes_the_rows_that_exist_and_pass_the_guard() {
    on_both(async |db| {
        add_parents(&db, ROWS).await;
        let changed = db.write(|tx| {
            let set = [
                ("n", Column::OptI64(vec![Some(10), None, Some(30), Some(40)])),
                ("name", Column::OptText(vec![None, Some("b"), None, None])),
            ];
            tx.update_many("parent", &ids(&["a", "b", "c", "none"]), &set, "n <> 3 or is_open = true")
        });
        assert_eq!(changed.await.unwrap(), 2);
        let expected = [("a", Some(10)), ("b", None), ("c", Some(3))];
        assert_eq!(parents(&db).await, expected.map(|(id, n)| (id.to_owned(), n)));
    })
    .await;
}

#[tokio::test]
async fn delete_many_deletes_the_rows_that_exist() {
    on_both(async |db| {
        add_parents(&db, ROWS).await;
        let deleted = db.write(|tx| tx.delete_many("parent", &ids(&["a", "none", "c"])));
        assert_eq!(deleted.await.unwrap(), 2);
        assert_eq!(parents(&db).await, [("b".to_owned(), Some(2))]);
    })
    .await;
}

#[tokio::test]
async fn select_many_and_lock_many_answer_with_the_index_of_the_key() {
    on_both(async |db| {
        add_parents(&db, ROWS).await;
        db.write(|tx| {
            let sql = "select t.id, t.n from parent t where t.slot = $1 and t.id = $2";
            let keys = [Column::I64(vec![1; 5]), Column::Text(vec!["c", "none", "a", "c", "b"])];
            for found in [tx.select_many(sql, &keys)?, tx.lock_many(sql, &keys)?] {
                let found: Vec<_> = found
                    .iter()
                    .map(|(key, row)| Ok((*key, row.text(0)?, row.i64(1)?)))
                    .collect::<Result<_, Error>>()?;
                let expected = [(0, "c", 3), (2, "a", 1), (3, "c", 3), (4, "b", 2)];
                assert_eq!(found, expected.map(|(key, id, n)| (key, id.to_owned(), n)));
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn select_many_gives_all_rows_of_a_key_in_their_order() {
    on_both(async |db| {
        add_parents(&db, ROWS).await;
        let found = db.read(|tx| {
            let sql = "select id from parent where slot = $1 and n >= $2 order by n desc limit 2";
            let found = tx.select_many(sql, &[Column::I64(vec![1, 9, 1]), Column::I64(vec![1, 1, 3])])?;
            found.iter().map(|(key, row)| Ok((*key, row.text(0)?))).collect::<Result<Vec<_>, Error>>()
        });
        let expected = [(0, "c"), (0, "b"), (2, "c")];
        assert_eq!(found.await.unwrap(), expected.map(|(key, id)| (key, id.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn an_empty_batch_does_nothing() {
    on_both(async |db| {
        let before = db.stats().round_trips;
        db.write(|tx| {
            let set = [("n", Column::I64(vec![]))];
            assert_eq!(tx.insert_many("parent", &ids(&[]), OnConflict::Fail)?, 0);
            assert_eq!(tx.update_many("parent", &ids(&[]), &set, "")?, 0);
            assert_eq!(tx.delete_many("parent", &ids(&[]))?, 0);
            assert!(tx.select_many("select 1 where $1 = 'a'", &[Column::Text(vec![])])?.is_empty());
            assert!(tx.lock_many("select 1 where $1 = 'a'", &[Column::Text(vec![])])?.is_empty());
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(db.stats().round_trips - before, 2);
    })
    .await;
}

#[tokio::test]
async fn columns_of_unequal_length_are_refused() {
    on_both(async |db| {
        let error = db.write(|tx| {
            let columns = [("slot", Column::I64(vec![1, 2])), ("id", Column::Text(vec!["a"]))];
            tx.insert_many("parent", &columns, OnConflict::Fail)
        });
        let text = error.await.unwrap_err().to_string();
        assert!(text.contains("the first has 2, number 2 has 1"), "{text}");
        let error = db.read(|tx| tx.select_many("select 1", &[])).await;
        assert!(matches!(error, Err(Error::Assertion(_))), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_rows_are_one_statement() {
    on_both(async |db| {
        insert_numbered(&db, 10_000).await;
        assert_eq!(count(&db, "select count(*) from parent").await, 10_000);
        let changed = db.write(|tx| {
            let names: Vec<String> = (0..10_000).map(|i| format!("p{i:05}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let set = [("is_open", Column::Bool(vec![true; names.len()]))];
            tx.update_many("parent", &ids(&names), &set, "")
        });
        assert_eq!(changed.await.unwrap(), 10_000);
    })
    .await;
}

/// A plan made while a table was empty is kept by the connection: it must not be a scan when the table has grown.
#[tokio::test]
async fn writers_find_rows_by_index_in_a_table_that_was_empty_when_the_plan_was_made() {
    on_postgres(async |database, _| {
        let db = Db::open(&database.url, &Options { writers: 1, ..options() }).await.unwrap();
        touch(&db).await;
        insert_numbered(&db, 20_000).await;
        assert_eq!(touch(&db).await, (0, true));
    })
    .await;
}

#[tokio::test]
async fn readers_find_rows_by_index_in_a_table_that_was_small_when_the_plan_was_made() {
    on_postgres(async |database, db| {
        insert_numbered(&db, 1).await;
        outside(&database.text, |client| client.batch_execute("analyze parent").unwrap());
        for _ in 0..10 {
            look_up(&db).await;
        }
        db.write(|tx| tx.execute("delete from parent", &[])).await.unwrap();
        insert_numbered(&db, 20_000).await;
        assert_eq!(look_up(&db).await, 0);
    })
    .await;
}

/// Looks a row up by its key, and answers with the scans of the table.
async fn look_up(db: &Db) -> i64 {
    db.read(|tx| {
        tx.query_one("select n from parent where slot = $1 and id = $2", &[1_i64.into(), "p00000".into()])?;
        let row =
            tx.query_one("select seq_scan from pg_stat_xact_user_tables where relname = 'parent'", &[])?;
        row.i64(0)
    })
    .await
    .unwrap()
}

/// Runs each many-row statement by key, and answers with the scans of the table and whether its index was used.
async fn touch(db: &Db) -> (i64, bool) {
    db.write(|tx| {
        let names = ["p00001", "p00777", "p19999"];
        let keys = || [Column::I64(vec![1; 3]), Column::Text(names.to_vec())];
        let one = "select t.n from parent t where t.slot = $1 and t.id = $2";
        tx.select_many(one, &keys())?;
        tx.lock_many(one, &keys())?;
        tx.update_many("parent", &ids(&names), &[("is_open", Column::Bool(vec![true; 3]))], "")?;
        tx.delete_many("parent", &ids(&["none"]))?;
        let row = tx.query_one(
            "select seq_scan, coalesce(idx_scan, 0) from pg_stat_xact_user_tables where relname = $1",
            &[Value::Text("parent")],
        )?;
        Ok::<_, Error>((row.i64(0)?, row.i64(1)? > 0))
    })
    .await
    .unwrap()
}

async fn insert_numbered(db: &Db, rows: usize) {
    db.write(move |tx| {
        let names: Vec<String> = (0..rows).map(|i| format!("p{i:05}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        tx.insert_many("parent", &ids(&names), OnConflict::Fail)
    })
    .await
    .unwrap();
}
