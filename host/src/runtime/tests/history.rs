//! Blocks, outcomes, and the way back.

use super::signed::{base, now, settle, sign, start, world_with_key};
use super::*;
use crate::action::Permission;
use crate::state::{AccessKey, DiskStore, FORMAT_VERSION};

fn with_scripts(world: &Runtime<Scripts>) {
    world.machine().on("alice.near", "set", |guest| {
        let input = guest.context.input.clone();
        guest.write(b"value", &input);
        guest.log("set");
        guest.promise("bob.near", &[], vec![call("get", b"", 0, 5 * TGAS)]);
    });
    world.machine().on("bob.near", "get", |guest| guest.returns(b"42"));
}

fn set(world: &Runtime<Scripts>, value: &[u8]) -> TransactionOutcome {
    run(world, "alice.near", "alice.near", vec![call("set", value, 0, 50 * TGAS)])
}

fn value(state: &WorkingState) -> Option<Vec<u8>> {
    state.value(&id("alice.near"), &Namespace::DEFAULT, b"value").unwrap()
}

#[test]
fn blocks_are_a_chain_and_heights_without_one_have_the_one_below() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    with_scripts(&world);
    set(&world, b"one");
    let head = world.head().unwrap();
    let made = world.skip_blocks(1_000, head.timestamp + 5_000).unwrap();
    assert_eq!(made.len(), 1);
    let last = made[0].header.clone();
    assert_eq!((last.height, last.timestamp), (head.height + 1_000, head.timestamp + 5_000));
    set(&world, b"two");
    let mut at = world.header(BlockReference::Head).unwrap().unwrap();
    let mut heights = vec![at.height];
    while at.height > 0 {
        let before = world.header(BlockReference::Hash(at.prev_hash)).unwrap().unwrap();
        assert_eq!(before.height, at.prev_height);
        assert!(before.timestamp < at.timestamp);
        let between = world.header(BlockReference::Height(at.height - 1)).unwrap().unwrap();
        assert_eq!(between.hash, before.hash);
        heights.push(before.height);
        at = before;
    }
    let expected = (0..=head.height).chain(last.height..=last.height + 3).rev();
    assert_eq!(heights, expected.collect::<Vec<_>>());
    assert_eq!(world.header(BlockReference::Height(9_999)).unwrap(), None);
    assert_eq!(world.header(BlockReference::Hash(CryptoHash::default())).unwrap(), None);
}

#[test]
fn outcomes_are_found_by_transaction_and_receipt_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let open = || Arc::new(DiskStore::open(home.path(), None).unwrap());
    let world = world_of(open(), &["alice.near", "bob.near"]);
    start(&world, Permission::FullAccess);
    with_scripts(&world);
    let head = world.head().unwrap().height;
    let signed = sign(
        "alice.near",
        "alice.near",
        head * 1_000_000 + 1,
        base(&world),
        &[call("set", b"one", 0, 50 * TGAS)],
    );
    let (block, ran) = settle(&world, std::slice::from_ref(&signed));
    drop(world);
    let world = world_of(open(), &[]);
    let found = world.final_status(&signed.hash()).unwrap().unwrap();
    assert_eq!(found.transaction.bytes, signed.bytes());
    assert_eq!(found.transaction.block_hash, block.header.hash);
    assert!(found.done);
    assert_eq!(found.status, Some(Status::SuccessValue(vec![])));
    assert_eq!(found.outcomes.len(), ran.len());
    for outcome in &ran {
        let record = world.outcome(&outcome.id).unwrap().unwrap();
        assert_eq!(record.receipt.id, outcome.id);
        assert_eq!((&record.status, &record.logs), (&outcome.status, &outcome.logs));
        assert_eq!(record.receipt_ids, outcome.receipts);
        let header = world.header(BlockReference::Height(record.block_height)).unwrap().unwrap();
        assert_eq!(record.block_hash, header.hash);
        let profile: u64 = record.profile.iter().map(|(_, gas)| gas).sum();
        assert!(profile <= record.gas_burnt, "{profile}");
        assert_eq!(world.find_receipt(&outcome.id).unwrap().unwrap(), record.receipt);
    }
    assert_eq!(world.final_status(&CryptoHash::default()).unwrap(), None);
    let record = world.block(BlockReference::Height(block.header.height)).unwrap().unwrap();
    assert_eq!(record.transactions, [signed.hash()]);
    assert_eq!(record.receipts, [block.transactions[0].as_ref().unwrap().receipt]);
}

#[test]
fn earlier_blocks_are_read_and_gone_back_to() {
    let home = tempfile::tempdir().unwrap();
    let disk = Arc::new(DiskStore::open(home.path(), None).unwrap());
    let worlds = [world(&["alice.near", "bob.near"]), world_of(disk, &["alice.near", "bob.near"])];
    for world in worlds {
        start(&world, Permission::FullAccess);
        with_scripts(&world);
        let mut seen = Vec::new();
        for round in 0..20u8 {
            let outcome = set(&world, &[round]);
            let head = world.head().unwrap().height;
            seen.push((head, world.digest().unwrap(), round, outcome.hash));
            world.ensure_account(&id(&format!("a{round}.near")), NEAR).unwrap();
        }
        for (height, _, round, _) in &seen {
            let state = world.state_at(BlockReference::Height(*height)).unwrap();
            assert_eq!(value(&state), Some(vec![*round]));
            assert_eq!(state.head().unwrap().height, *height);
            let later = id(&format!("a{}.near", round + 1));
            assert_eq!(state.account(&later).unwrap(), None);
        }
        for (height, digest, round, hash) in seen.iter().rev().step_by(3) {
            world.revert_to(*height).unwrap();
            // What came between this block and the next one is taken back with the next.
            assert_eq!(value(&world.state().unwrap()), Some(vec![*round]));
            assert_eq!(world.head().unwrap().height, *height);
            assert_eq!(world.digest().unwrap(), *digest);
            assert!(world.transaction(hash).unwrap().is_some());
            let next = seen.get(usize::from(*round) + 1);
            if let Some((height, _, _, hash)) = next {
                assert_eq!(world.transaction(hash).unwrap(), None);
                assert_eq!(world.header(BlockReference::Height(*height)).unwrap(), None);
            }
        }
        // And on from there.
        set(&world, b"on");
        assert_eq!(value(&world.state().unwrap()), Some(b"on".to_vec()));
        assert!(matches!(world.revert_to(99_999), Err(HistoryError::Unknown { .. })));
    }
}

#[test]
fn patches_are_written_between_blocks_and_taken_back_with_the_next() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    let head = world.head().unwrap().height;
    let digest = world.digest().unwrap();
    let new = id("new.near");
    let key = AccessKey { nonce: 7, permission: Permission::FullAccess };
    let public_key = super::signed::secret().public_key();
    let module = |code: &[u8]| Patch::Module {
        id: new.clone(),
        namespace: Namespace::DEFAULT,
        visibility: Visibility::Public,
        code: code.to_vec(),
    };
    let value = Patch::Value {
        id: new.clone(),
        namespace: Namespace::DEFAULT,
        key: b"k".to_vec(),
        value: Some(b"v".to_vec()),
    };
    let account = Patch::Account {
        id: new.clone(),
        balance: Some(5 * NEAR),
        locked: None,
        storage_usage: Some(1_000),
    };
    let key_patch =
        Patch::Key { id: new.clone(), public_key: public_key.clone(), key: key.clone() };
    let error = world.patch(&[account.clone(), module(b"bad code")]).unwrap_err();
    assert!(error.to_string().contains("rule 1"), "{error}");
    assert_eq!(world.digest().unwrap(), digest);
    // Clients send everything twice.
    let all = [account, key_patch, module(b"code"), value];
    world.patch(&all).unwrap();
    world.patch(&all).unwrap();
    world.make_block(now(&world), &[]).unwrap();
    let state = world.state().unwrap();
    let found = state.account(&new).unwrap().unwrap();
    assert_eq!((found.balance, found.locked, found.storage_usage), (5 * NEAR, 0, 1_000));
    assert_eq!(state.access_key(&new, &public_key).unwrap(), Some(key));
    let storage = state.value(&new, &Namespace::DEFAULT, b"k").unwrap();
    assert_eq!(storage, Some(b"v".to_vec()));
    let hash = state.modules(&new).unwrap()[&Namespace::DEFAULT].code_hash;
    assert_eq!(state.code(&hash).unwrap(), Some(b"code".to_vec()));
    let uses: Option<u64> = state.read(&state_keys::code_uses(&hash)).unwrap();
    assert_eq!(uses, Some(1));
    world.revert_to(head).unwrap();
    assert_eq!(world.digest().unwrap(), digest);
}

#[test]
fn views_run_on_other_threads_while_blocks_are_made() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    with_scripts(&world);
    set(&world, b"old");
    // The scripts of these tests stay on their thread; the store does not.
    let (store, schedule) = (world.store.clone(), world.schedule.clone());
    let height = world.head().unwrap().height;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let scripts = Scripts { prices: Some(schedule.clone()), ..Scripts::default() };
                let reader = Runtime::new(store.clone(), schedule.clone(), scripts).unwrap();
                for _ in 0..200 {
                    let state = reader.state_at(BlockReference::Height(height)).unwrap();
                    assert_eq!(value(&state), Some(b"old".to_vec()));
                    let latest = reader.state_at(BlockReference::Head).unwrap();
                    let (first, head) = (value(&latest), latest.head().unwrap());
                    assert_eq!((value(&latest), latest.head().unwrap()), (first, head));
                }
            });
        }
        for round in 0..60u8 {
            set(&world, &[round]);
        }
    });
}

#[test]
fn undo_reaches_back_over_as_many_blocks_as_it_says() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    with_scripts(&world);
    set(&world, b"first");
    let first = world.head().unwrap().height;
    for _ in 0..UNDO_BLOCKS_MAX {
        world.make_block(now(&world), &[]).unwrap();
    }
    let last = world.head().unwrap().height;
    assert_eq!(world.oldest_height().unwrap(), last - UNDO_BLOCKS_MAX);
    assert!(world.state_at(BlockReference::Height(first)).is_ok());
    world.make_block(now(&world), &[]).unwrap();
    let error = world.state_at(BlockReference::Height(first)).unwrap_err();
    assert!(matches!(error, HistoryError::Gone { oldest, .. } if oldest == first + 1), "{error}");
    let mut undo = 0;
    let count = |_: &[u8], _: &[u8]| {
        undo += 1;
        Ok(ControlFlow::Continue(()))
    };
    world.state().unwrap().scan(&state_keys::all_undo(), count).unwrap();
    assert_eq!(undo, UNDO_BLOCKS_MAX);
    // Headers and outcomes are there for ever.
    assert!(world.header(BlockReference::Height(first)).unwrap().is_some());
    world.revert_to(last - 1_000).unwrap();
    assert_eq!(value(&world.state().unwrap()), Some(b"first".to_vec()));
}

#[test]
fn a_process_that_dies_in_a_block_goes_on_with_it_at_its_time() {
    let home = tempfile::tempdir().unwrap();
    let open = || Arc::new(DiskStore::open(home.path(), None).unwrap());
    let world = world_of(open(), &["alice.near", "bob.near"]);
    start(&world, Permission::FullAccess);
    with_scripts(&world);
    let head = world.head().unwrap();
    let action = [call("set", b"one", 0, 50 * TGAS)];
    let signed =
        sign("alice.near", "alice.near", head.height * 1_000_000 + 1, base(&world), &action);
    let machine_fault = || HostFault::Machine("the test's own fault".into());
    *world.machine().fault_in.borrow_mut() = Some((1, machine_fault));
    let time = head.timestamp + 123_456;
    world.make_block(time, std::slice::from_ref(&signed)).unwrap_err();
    drop(world);
    let world = world_of(open(), &[]);
    with_scripts(&world);
    // Taken, not run: the block goes on before anything else does.
    let status = world.final_status(&signed.hash()).unwrap().unwrap();
    assert!(!status.done && status.outcomes.is_empty());
    assert!(world.find_receipt(&status.transaction.receipt).unwrap().is_some());
    settle(&world, &[]);
    let status = world.final_status(&signed.hash()).unwrap().unwrap();
    assert!(status.done);
    let block = world.header(BlockReference::Height(head.height + 1)).unwrap().unwrap();
    assert_eq!((block.timestamp, block.transactions, block.receipts), (time, 1, 1));
    assert_eq!(status.outcomes[0].block_hash, block.hash);
    assert_eq!(value(&world.state().unwrap()), Some(b"one".to_vec()));
    world.revert_to(head.height).unwrap();
    assert_eq!(value(&world.state().unwrap()), None);
}

#[test]
fn a_chain_without_history_keeps_none_and_has_the_same_state() {
    let (plain, kept) = (world(&["alice.near", "bob.near"]), world(&["alice.near", "bob.near"]));
    kept.keep_history().unwrap();
    for world in [&plain, &kept] {
        with_scripts(world);
        set(world, b"one");
    }
    assert_eq!(FORMAT_VERSION, 2);
    assert_eq!(plain.digest().unwrap(), kept.digest().unwrap());
    assert_eq!(plain.header(BlockReference::Head).unwrap(), None);
    assert!(plain.make_block(0, &[]).is_err());
}
