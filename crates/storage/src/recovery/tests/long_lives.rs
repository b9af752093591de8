//! What wears a store out: many starts, many failures, a disk that stays full.
use super::*;
use crate::wal::FILES_OF_REQUESTS_MAX;

/// Fails the next sync, which is that of a commit.
fn commit_in_vain(world: &World, core: &StoreCore) {
    let log = world.disk.operations();
    world
        .disk
        .fail_between(log, log + 1, DiskFault::InputOutput);
    let result = send(core, &[("void", &[(key(1, 0), 1)])]).remove(0);
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn a_store_with_few_rows_opens_after_any_number_of_starts() {
    let world = World::new();
    for life in 0..1_100 {
        let (core, report) = world.open();
        assert_eq!(report.faults, vec![], "{life}");
        // As the thread does, before anything else.
        core.maintain().unwrap();
        send_one(&core, &format!("row {life} of"), key(1, 0), 1);
        assert!(core.status().wal_files <= 60, "{life}");
        core.close().unwrap();
    }
    let (core, _) = world.open();
    assert_eq!(rows(&core).len(), 1_100);
}

#[test]
fn a_log_of_too_many_files_refuses_requests_and_is_made_short() {
    let world = World::new();
    let (core, _) = world.open();
    let mut stored = 0;
    while core.status().wal_files < FILES_OF_REQUESTS_MAX {
        send_one(&core, "row", key(1, 0), 1);
        stored += 1;
        commit_in_vain(&world, &core);
    }
    let refused = send(&core, &[("more", &[(key(1, 0), 1)])]).remove(0);
    assert!(matches!(refused, Err(CommitError::Refusing { .. })));
    assert!(core.status().refusing.is_some());
    assert!(core.take_maintenance_call());
    drop(core);
    let (core, report) = world.crash().open();
    assert_eq!(report.faults, vec![]);
    core.maintain().unwrap();
    assert!(core.status().wal_files < 100);
    send_one(&core, "more", key(1, 0), 1);
    assert_eq!(core.status().refusing, None);
    assert_eq!(rows(&core).len(), stored + 1);
}
