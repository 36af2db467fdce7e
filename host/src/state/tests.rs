//! Both stores, held against each other and against the rules of the key encoding.

use super::*;
use crate::view::StateView;
use cotenant_submodules::Namespace;
use near_account_id::AccountId;
use proptest::prelude::*;
use std::fs;

fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![Just("ab"), Just("abc"), Just("ab.c"), Just("a-b"), Just("alice.near")]
        .prop_map(|text| text.parse().unwrap())
}

fn namespace() -> impl Strategy<Value = Namespace> {
    prop_oneof![Just(""), Just("a"), Just("ab"), Just("abc"), Just("b"), Just("x_y")]
        .prop_map(|text| text.parse().unwrap())
}

fn storage_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..6), prop::collection::vec(b'a'..b'd', 0..6)]
}

type Change = (Vec<u8>, Option<Vec<u8>>);

fn change() -> impl Strategy<Value = Change> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..8));
    (prop::collection::vec(0u8..3, 0..4), value)
}

fn batch(changes: Vec<Change>) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    batch
}

fn all(snapshot: &dyn Snapshot, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    };
    snapshot.scan(prefix, &mut visit).unwrap();
    found
}

proptest! {
    #[test]
    fn no_two_places_of_contract_storage_have_one_key(
        a in (account(), namespace(), storage_key()),
        b in (account(), namespace(), storage_key()),
    ) {
        let (left, right) = (keys::storage(&a.0, &a.1, &a.2), keys::storage(&b.0, &b.1, &b.2));
        prop_assert_eq!(left == right, a == b);
    }

    #[test]
    fn the_keys_of_a_namespace_are_those_of_no_other(
        a in (account(), namespace()),
        b in (account(), namespace(), storage_key()),
    ) {
        let inside = keys::storage(&b.0, &b.1, &b.2).starts_with(&keys::storage_prefix(&a.0, &a.1));
        prop_assert_eq!(inside, a == (b.0.clone(), b.1.clone()));
        let of_account = keys::storage(&b.0, &b.1, &b.2).starts_with(&keys::storage_of_account(&a.0));
        prop_assert_eq!(of_account, a.0 == b.0);
    }

    #[test]
    fn iteration_of_one_namespace_sees_no_other(
        places in prop::collection::btree_set((account(), namespace(), storage_key()), 0..20),
        of in (account(), namespace()),
    ) {
        let store = MemoryStore::new(88).unwrap();
        let mut state = WorkingState::of(&store).unwrap();
        for (account, namespace, key) in &places {
            state.put(keys::storage(account, namespace, key), key.clone());
        }
        let expected: Vec<_> = places
            .iter()
            .filter(|(account, namespace, _)| (account, namespace) == (&of.0, &of.1))
            .map(|(_, _, key)| (key.clone(), key.clone()))
            .collect();
        prop_assert_eq!(state.values(&of.0, &of.1, &[], usize::MAX).unwrap(), expected);
    }

    #[test]
    fn uncommitted_changes_look_like_committed_ones(
        before in prop::collection::vec(change(), 0..12),
        after in prop::collection::vec(change(), 0..12),
        prefix in prop::collection::vec(0u8..3, 0..2),
        stop in 0usize..6,
    ) {
        let store = MemoryStore::new(88).unwrap();
        store.commit(&batch(before)).unwrap();
        let mut state = WorkingState::of(&store).unwrap();
        for (key, value) in after.clone() {
            match value {
                Some(value) => state.put(key, value),
                None => state.delete(key),
            }
        }
        let mut seen = Vec::new();
        state.scan(&prefix, |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            let stop = seen.len() == stop;
            Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }).unwrap();
        store.commit(&state.into_batch()).unwrap();
        let mut expected = all(&*store.snapshot().unwrap(), &prefix);
        if stop > 0 {
            expected.truncate(stop);
        }
        prop_assert_eq!(seen, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn memory_and_disk_have_one_digest_after_every_batch(
        batches in prop::collection::vec(prop::collection::vec(change(), 0..6), 1..6),
    ) {
        let home = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new(88).unwrap();
        let disk = DiskStore::open(home.path(), None).unwrap();
        for changes in batches {
            let batch = batch(changes);
            memory.commit(&batch).unwrap();
            disk.commit(&batch).unwrap();
            prop_assert_eq!(digest(&memory).unwrap(), digest(&disk).unwrap());
        }
        let before = digest(&disk).unwrap();
        drop(disk);
        let disk = DiskStore::open(home.path(), Some(88)).unwrap();
        prop_assert_eq!(digest(&disk).unwrap(), before);
    }
}

#[test]
fn what_was_not_committed_is_gone_after_reopening() {
    let home = tempfile::tempdir().unwrap();
    let before = {
        let disk = DiskStore::open(home.path(), None).unwrap();
        disk.commit(&batch(vec![(vec![9], Some(vec![1]))])).unwrap();
        let mut state = WorkingState::of(&disk).unwrap();
        state.put(vec![9], vec![2]);
        state.put(vec![9, 1], vec![3]);
        digest(&disk).unwrap()
    };
    let disk = DiskStore::open(home.path(), None).unwrap();
    assert_eq!(digest(&disk).unwrap(), before);
    assert_eq!(disk.snapshot().unwrap().get(&[9]).unwrap(), Some(vec![1]));
}

#[test]
fn a_snapshot_does_not_move() {
    let home = tempfile::tempdir().unwrap();
    let stores: [Box<dyn Store>; 2] = [
        Box::new(MemoryStore::new(88).unwrap()),
        Box::new(DiskStore::open(home.path(), None).unwrap()),
    ];
    for store in stores {
        let snapshot = store.snapshot().unwrap();
        store.commit(&batch(vec![(vec![9], Some(vec![1]))])).unwrap();
        assert_eq!(snapshot.get(&[9]).unwrap(), None);
        assert_eq!(store.snapshot().unwrap().get(&[9]).unwrap(), Some(vec![1]));
    }
}

#[test]
fn a_view_sees_the_changes_before_it_and_none_after() {
    let (alice, namespace): (AccountId, Namespace) =
        ("alice.near".parse().unwrap(), Namespace::DEFAULT);
    let store = MemoryStore::new(88).unwrap();
    let mut state = WorkingState::of(&store).unwrap();
    state.put(keys::storage(&alice, &namespace, b"k"), b"1".to_vec());
    let view = state.view();
    let checkpoint = state.checkpoint();
    state.put(keys::storage(&alice, &namespace, b"k"), b"2".to_vec());
    assert_eq!(view.value(&alice, &namespace, b"k").unwrap(), Some(b"1".to_vec()));
    assert_eq!(state.value(&alice, &namespace, b"k").unwrap(), Some(b"2".to_vec()));
    state.roll_back(checkpoint);
    assert_eq!(state.value(&alice, &namespace, b"k").unwrap(), Some(b"1".to_vec()));
}

#[test]
fn code_is_kept_while_a_module_has_it() {
    let store = MemoryStore::new(88).unwrap();
    let mut state = WorkingState::of(&store).unwrap();
    let hash = CryptoHash::hash_bytes(b"code");
    state.use_code(&hash, b"code").unwrap();
    state.use_code(&hash, b"code").unwrap();
    state.release_code(&hash).unwrap();
    assert_eq!(state.code(&hash).unwrap(), Some(b"code".to_vec()));
    state.release_code(&hash).unwrap();
    assert_eq!(state.code(&hash).unwrap(), None);
}

#[test]
fn a_home_fixes_its_protocol() {
    let home = tempfile::tempdir().unwrap();
    drop(DiskStore::open(home.path(), Some(63)).unwrap());
    let store = DiskStore::open(home.path(), None).unwrap();
    assert_eq!(protocol(&store).unwrap(), 63);
    drop(store);
    let error = DiskStore::open(home.path(), Some(88)).unwrap_err();
    assert!(matches!(error, OpenError::ProtocolFixed { fixed: 63, asked: 88, .. }), "{error}");
    let other = home.path().join("other");
    let error = DiskStore::open(&other, Some(64)).unwrap_err();
    assert!(matches!(error, OpenError::UnknownProtocol(_)), "{error}");
    assert!(!other.exists());
}

#[test]
fn a_newer_format_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = DiskStore::open(home.path(), None).unwrap();
    store.commit(&batch(vec![(keys::format(), Some(records::encode(&7u32).unwrap()))])).unwrap();
    drop(store);
    let error = DiskStore::open(home.path(), None).unwrap_err();
    assert!(
        matches!(error, OpenError::NewerFormat { found: 7, known: FORMAT_VERSION, .. }),
        "{error}"
    );
}

#[test]
fn a_home_is_open_once() {
    let home = tempfile::tempdir().unwrap();
    let _store = DiskStore::open(home.path(), None).unwrap();
    let error = DiskStore::open(home.path(), None).unwrap_err();
    assert!(matches!(error, OpenError::AlreadyOpen { .. }), "{error}");
}

#[test]
fn garbage_is_no_state_and_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(STATE_FILE);
    fs::write(&path, b"not a state at all").unwrap();
    let error = DiskStore::open(home.path(), None).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"not a state at all");
}

#[test]
fn what_a_killed_creation_left_behind_is_no_hindrance() {
    let home = tempfile::tempdir().unwrap();
    let left = home.path().join(format!("{STATE_FILE}.{}.new", std::process::id()));
    fs::write(&left, b"half").unwrap();
    let store = DiskStore::open(home.path(), None).unwrap();
    assert_eq!(protocol(&store).unwrap(), 88);
    assert!(!left.exists());
}

#[test]
fn a_snapshot_in_memory_stays_as_it_was_and_what_nobody_sees_goes() {
    let store = MemoryStore::new(88).unwrap();
    let commit = |changes: &[(&[u8], Option<&[u8]>)]| {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key.to_vec(), value.to_vec()),
                None => batch.delete(key.to_vec()),
            }
        }
        store.commit(&batch).unwrap();
    };
    let all = |snapshot: &dyn Snapshot| {
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            // A visitor may read.
            assert_eq!(snapshot.get(key).unwrap().as_deref(), Some(value));
            found.push((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        };
        snapshot.scan(&[200], &mut visit).unwrap();
        found
    };
    let many: Vec<Vec<u8>> = (0..200u8).map(|byte| vec![200, byte]).collect();
    for key in &many {
        commit(&[(key, Some(b"one"))]);
    }
    let before = store.snapshot().unwrap();
    let seen = all(&*before);
    assert_eq!(seen.len(), 200);
    commit(&[(&many[0], None), (&many[1], Some(b"two")), (&[200, 1, 5], Some(b"new"))]);
    let between = store.snapshot().unwrap();
    commit(&[(&many[0], Some(b"three")), (&many[1], None)]);
    assert_eq!(all(&*before), seen);
    assert_eq!(between.get(&many[0]).unwrap(), None);
    assert_eq!(between.get(&many[1]).unwrap(), Some(b"two".to_vec()));
    let after = store.snapshot().unwrap();
    assert_eq!(after.get(&many[0]).unwrap(), Some(b"three".to_vec()));
    assert_eq!(all(&*after).len(), 200);
    drop((before, between, after));
    commit(&[(&[201], Some(b"last"))]);
    assert_eq!(store.versions(), (store.keys(), 0));
}
