//! Faults of the host and crashes: what was committed is there, what was not never was.

use super::*;
use crate::marks::Marks;
use crate::runtime::queue;
use crate::state::DiskStore;

fn with_scripts(world: &Runtime<Scripts>) {
    let machine = world.machine();
    machine.on("alice.near", "start", |guest| {
        guest.write(b"started", b"yes");
        let first = guest.promise("bob.near", &[], vec![call("get", b"", 0, 5 * TGAS)]);
        guest.promise("alice.near", &[first], vec![call("back", b"", 0, 5 * TGAS)]);
    });
    machine.on("bob.near", "get", |guest| guest.returns(b"42"));
    machine.on("alice.near", "back", |guest| guest.write(b"done", b"yes"));
}

fn start() -> Transaction {
    from_to("alice.near", "alice.near", vec![call("start", b"", 0, 100 * TGAS)])
}

fn value(world: &Runtime<Scripts>, key: &[u8]) -> Option<Vec<u8>> {
    world.state().unwrap().value(&id("alice.near"), &Namespace::DEFAULT, key).unwrap()
}

#[test]
fn a_halt_in_the_middle_loses_nothing_and_repeats_nothing() {
    let undisturbed = world(&["alice.near", "bob.near"]);
    with_scripts(&undisturbed);
    undisturbed.execute(&start()).unwrap();
    for fault_in in 1..=3 {
        let home = tempfile::tempdir().unwrap();
        {
            let disk = Arc::new(DiskStore::open(home.path(), None).unwrap());
            let world = world_of(disk, &["alice.near", "bob.near"]);
            with_scripts(&world);
            let machine_fault = || HostFault::Machine("the test's own fault".into());
            *world.machine().fault_in.borrow_mut() = Some((fault_in, machine_fault));
            let error = world.execute(&start()).unwrap_err();
            assert!(matches!(error, RuntimeError::Fault(HostFault::Machine(_))), "{error}");
            assert_eq!(value(&world, b"started").is_some(), fault_in > 1);
            assert_eq!(value(&world, b"done"), None);
        }
        // The process is gone; another one opens the home and goes on.
        let world = world_of(Arc::new(DiskStore::open(home.path(), None).unwrap()), &[]);
        with_scripts(&world);
        world.advance_blocks(0).unwrap();
        assert_eq!(world.digest().unwrap(), undisturbed.digest().unwrap(), "{fault_in}");
        assert!(value(&world, b"done").is_some());
    }
}

/// A home whose queue holds one receipt that two processes died with.
fn home_with_a_suspect() -> (tempfile::TempDir, CryptoHash) {
    let home = tempfile::tempdir().unwrap();
    let world = world_of(
        Arc::new(DiskStore::open(home.path(), None).unwrap()),
        &["alice.near", "bob.near"],
    );
    with_scripts(&world);
    let machine_fault = || HostFault::Machine("the test's own fault".into());
    *world.machine().fault_in.borrow_mut() = Some((1, machine_fault));
    world.execute(&start()).unwrap_err();
    let due = queue::due(&world.state().unwrap(), u64::MAX).unwrap();
    let id = due[0].1.id;
    drop(world);
    for _ in 0..2 {
        // A process that dies clears no mark.
        Marks::open(home.path()).unwrap().begin(Work::Receipt(id)).unwrap();
    }
    (home, id)
}

#[test]
fn a_receipt_that_killed_two_processes_is_rehearsed_and_only_its_own_death_ends_it() {
    use std::os::unix::fs::PermissionsExt;
    for (script, ended) in [
        ("kill -SEGV $$", true),
        ("kill -ABRT $$", true),
        ("kill -XCPU $$", true),
        ("kill -KILL $$", false),
        ("kill -TERM $$", false),
        ("exit 0", false),
        ("exit 4", false),
    ] {
        let (home, id) = home_with_a_suspect();
        let program = home.path().join("child");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let options = crate::Options { rehearsal: Some(program), ..crate::Options::default() };
        let host = crate::Host::open(home.path(), &options).unwrap();
        let outcomes = host.runtime().advance_blocks(0).unwrap();
        let root = outcomes.iter().find(|one| one.id == id).unwrap();
        // There is no module, so that a run of it fails too, in its own way.
        assert_eq!(failure_code(root) == HOST_FAULT, ended, "{script}: {:?}", root.status);
        let report = home.path().join(crate::marks::FAULTS_FOLDER).join(id.to_string());
        assert_eq!(report.exists(), ended, "{script}");
        assert!(host.runtime().advance_blocks(0).unwrap().is_empty());
    }
    // Without a program to rehearse with it runs here, however often it died.
    let (home, id) = home_with_a_suspect();
    let host = crate::Host::open(home.path(), &crate::Options::default()).unwrap();
    let outcomes = host.runtime().advance_blocks(0).unwrap();
    assert_ne!(failure_code(outcomes.iter().find(|one| one.id == id).unwrap()), HOST_FAULT);
}

#[test]
fn memory_and_disk_agree_on_everything() {
    let home = tempfile::tempdir().unwrap();
    let accounts = ["alice.near", "bob.near"];
    let memory = world(&accounts);
    let disk = world_of(Arc::new(DiskStore::open(home.path(), None).unwrap()), &accounts);
    for world in [&memory, &disk] {
        with_scripts(world);
        world.execute(&start()).unwrap();
        run(world, "alice.near", "alice.near", vec![deploy("swap", Visibility::Private, b"code")]);
    }
    assert_eq!(memory.digest().unwrap(), disk.digest().unwrap());
    let before = disk.digest().unwrap();
    drop(disk);
    let disk = world_of(Arc::new(DiskStore::open(home.path(), None).unwrap()), &[]);
    assert_eq!(disk.digest().unwrap(), before);
    assert_eq!(disk.state().unwrap().modules(&id("alice.near")).unwrap().len(), 1);
}

#[test]
fn prices_of_another_protocol_are_refused() {
    let store = Arc::new(MemoryStore::new(63).unwrap());
    let error =
        Runtime::new(store, Schedule::for_protocol(88).unwrap(), Scripts::default()).err().unwrap();
    assert!(matches!(error, HostFault::Bug(_)), "{error}");
}

#[test]
fn time_is_a_function_of_the_height() {
    let world = world(&["alice.near"]);
    world.machine().on("alice.near", "now", |guest| {
        let now = guest.context.block_timestamp;
        assert_eq!(now, GENESIS_NANOS + guest.context.block_height * BLOCK_NANOS);
    });
    run(&world, "alice.near", "alice.near", vec![call("now", b"", 0, 5 * TGAS)]);
    let head = world.head().unwrap();
    assert_eq!((head.height, head.timestamp), (2, GENESIS_NANOS + 2 * BLOCK_NANOS));
    world.advance_blocks(10_000).unwrap();
    assert_eq!(world.head().unwrap().height, 10_002);
}
