//! Leases: what a new holder knows of the former ones.

use teiki::leases::{self, Former};

use crate::installation::{Installation, on_postgres};

/// Takes the lease and gives it back; its number and what was known of former holders.
async fn take(installation: &Installation) -> (i64, Former) {
    let lease = leases::take(&installation.db, "clock:x").await.expect("nobody else wants it");
    let fence = lease.expect("PostgreSQL has leases").fence;
    (fence.number, fence.former)
}

#[tokio::test]
async fn a_holder_elsewhere_is_reckoned_with_also_by_those_who_come_later() {
    on_postgres(async |installation| {
        assert_eq!(take(installation).await, (1, Former::Gone), "nobody had it");
        assert_eq!(take(installation).await, (2, Former::Gone), "this very process had it");
        let change = async |column, value| {
            installation.change("leases", vec![("name", "clock:x".into())], vec![(column, value)]).await;
        };
        change("holder", "00000000-0000/pid:[1]/7/1".into()).await;
        assert_eq!(take(installation).await, (3, Former::MaySend));
        assert_eq!(take(installation).await, (4, Former::MaySend), "the one before the last may live");
        change("others_until", 0.into()).await;
        assert_eq!(take(installation).await, (5, Former::Gone));
    })
    .await;
}
