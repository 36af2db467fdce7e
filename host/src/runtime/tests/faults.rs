//! Faults of the host while it runs a receipt: they end the receipt, and nothing else.

use super::*;
use crate::runtime::watch::{Care, Watch, Work};
use std::sync::Mutex;

fn engine_fault() -> HostFault {
    HostFault::Engine("the test's own fault".into())
}

fn panics() -> HostFault {
    panic!("the test's own panic")
}

/// Keeps what it is told, and says what it is set to say.
#[derive(Debug)]
struct Notes {
    care: Mutex<Care>,
    reports: Mutex<Vec<FaultReport>>,
    marks: Mutex<Vec<Work>>,
    open: Mutex<i32>,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            care: Mutex::new(Care::Ordinary),
            reports: Mutex::default(),
            marks: Mutex::default(),
            open: Mutex::default(),
        }
    }
}

impl Watch for Notes {
    fn begin(&self, work: Work) -> Result<Care, HostFault> {
        *self.open.lock().unwrap() += 1;
        self.marks.lock().unwrap().push(work);
        Ok(self.care.lock().unwrap().clone())
    }

    fn end(&self, _: Work) {
        *self.open.lock().unwrap() -= 1;
    }

    fn keep(&self, report: &FaultReport) {
        self.reports.lock().unwrap().push(report.clone());
    }
}

fn watched(accounts: &[&str]) -> (Runtime<Scripts>, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let world = world(accounts).watched(notes.clone());
    world.machine().on("bob.near", "get", |guest| {
        guest.read(b"key");
        guest.returns(b"42");
    });
    (world, notes)
}

fn fail_next(world: &Runtime<Scripts>, fault: fn() -> HostFault) {
    *world.machine().fault_in.borrow_mut() = Some((1, fault));
}

fn recover(world: &Runtime<Scripts>) {
    *world.machine().fault_in.borrow_mut() = None;
}

#[test]
fn a_fault_or_a_panic_ends_the_receipt_and_the_chain_goes_on() {
    for fault in [engine_fault, panics] {
        let (world, notes) = watched(&["alice.near", "bob.near", "carol.near"]);
        let before = tokens(&world);
        fail_next(&world, fault);
        let deposit = 5 * NEAR;
        let get = call("get", b"", deposit, 30 * TGAS);
        let outcome = run(&world, "alice.near", "bob.near", vec![get]);
        let root = outcome.root().unwrap();
        assert_eq!(failure_code(root), HOST_FAULT);
        // All gas is burnt, the deposit is back, nothing is lost.
        let bought = crate::fees::prepaid(
            world.schedule(),
            &[call("get", b"", deposit, 30 * TGAS)],
            &id("bob.near"),
        );
        assert_eq!(root.gas_burnt, bought);
        assert_eq!(root.profile().total(), bought);
        assert_eq!(balance(&world, "bob.near"), 1_000 * NEAR);
        assert!(balance(&world, "alice.near") > 999 * NEAR - NEAR / 10);
        assert_eq!(tokens(&world) as i128, before as i128 - lost_in(&outcome));
        assert_eq!(waiting(&world), 0);
        // What reproduces it does.
        let reports = std::mem::take(&mut *notes.reports.lock().unwrap());
        let [report] = reports.as_slice() else { panic!("{reports:?}") };
        assert_eq!(report.receipt.id, root.id);
        assert_eq!(FaultReport::of_bytes(&report.to_bytes()).as_ref(), Some(report));
        let again = report.reproduce(world.machine(), world.schedule()).unwrap_err();
        assert_eq!(again.to_string(), report.fault);
        // Others go on, and so does alice.
        recover(&world);
        assert!(report.reproduce(world.machine(), world.schedule()).is_ok());
        let again = run(&world, "carol.near", "bob.near", vec![call("get", b"", 0, 30 * TGAS)]);
        assert!(matches!(again.status(), Some(Status::SuccessValue(value)) if value == b"42"));
        assert_eq!(*notes.open.lock().unwrap(), 0);
    }
}

#[test]
fn who_waits_for_a_receipt_that_a_fault_ended_learns_that_it_failed() {
    let (world, _) = watched(&["alice.near", "bob.near"]);
    let machine = world.machine();
    machine.on("alice.near", "start", |guest| {
        let first = guest.promise("bob.near", &[], vec![call("get", b"", 7, 5 * TGAS)]);
        let then = guest.promise("alice.near", &[first], vec![call("back", b"", 0, 5 * TGAS)]);
        guest.value = ReturnData::ReceiptIndex(then);
    });
    machine.on("alice.near", "back", |guest| {
        let results = guest.results().join(",");
        guest.returns(results.as_bytes());
    });
    machine.on("bob.near", "get", |_| panic!("the test's own panic"));
    let outcome = run(&world, "alice.near", "alice.near", vec![call("start", b"", 0, 100 * TGAS)]);
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(b"failed".to_vec())));
    assert_eq!(waiting(&world), 0);
}

#[test]
fn faults_in_refunds_callbacks_and_yields_end_them_too() {
    let (world, notes) = watched(&["alice.near", "bob.near"]);
    let machine = world.machine();
    machine.on("bob.near", "wait", |guest| {
        guest.yields(b"name", "late");
    });
    machine.on("bob.near", "late", |_| panic!("late"));
    run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    let outcomes = world.advance_blocks(300).unwrap();
    let faulted = outcomes.iter().filter(
        |one| matches!(&one.status, Status::Failure(failure) if failure.code == HOST_FAULT),
    );
    assert_eq!(faulted.count(), 1);
    assert_eq!(notes.reports.lock().unwrap().len(), 1);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn an_ending_is_stored_and_replayed() {
    let (first, notes) = watched(&["alice.near", "bob.near"]);
    fail_next(&first, panics);
    let transaction = from_to("alice.near", "bob.near", vec![call("get", b"", NEAR, 30 * TGAS)]);
    let ended = first.execute(&transaction).unwrap();
    recover(&first);
    // Another host, that has no fault, is told of the ending and comes to the same state.
    let (second, _) = watched(&["alice.near", "bob.near"]);
    let faults = first.faults().unwrap();
    assert_eq!(faults, [(ended.receipt, 2)]);
    second.replay_faults(&faults).unwrap();
    let replayed = second.execute(&transaction).unwrap();
    assert_eq!(replayed.root().unwrap().status, ended.root().unwrap().status);
    assert!(second.machine().calls.borrow().is_empty());
    assert_eq!(first.digest().unwrap(), second.digest().unwrap());
    assert_eq!(notes.reports.lock().unwrap().len(), 1);
}

#[test]
fn work_that_killed_a_process_runs_on_the_interpreter_and_is_ended_at_last() {
    let (world, notes) = watched(&["alice.near", "bob.near"]);
    *notes.care.lock().unwrap() = Care::Interpreted;
    let get = || vec![call("get", b"", 0, 30 * TGAS)];
    let outcome = run(&world, "alice.near", "bob.near", get());
    assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))));
    assert_eq!(*world.machine().interpreted.borrow(), 1);
    *notes.care.lock().unwrap() = Care::Condemned("SIGSEGV".into());
    let calls = world.machine().calls.borrow().len();
    let outcome = run(&world, "alice.near", "bob.near", get());
    assert_eq!(failure_code(outcome.root().unwrap()), HOST_FAULT);
    assert_eq!(world.machine().calls.borrow().len(), calls, "it is not run again");
    assert!(notes.reports.lock().unwrap()[0].fault.contains("SIGSEGV"));
    assert!(notes.marks.lock().unwrap().contains(&Work::Receipt(outcome.receipt)));
}

#[test]
fn a_view_that_panics_is_a_fault_and_the_next_one_runs() {
    let (world, notes) = watched(&["bob.near"]);
    fail_next(&world, panics);
    let get = || world.view(&id("bob.near"), &Namespace::DEFAULT, "get", b"", 30 * TGAS);
    assert!(matches!(get().unwrap_err(), RuntimeError::Fault(HostFault::Bug(_))));
    recover(&world);
    assert!(get().is_ok());
    assert_eq!(*notes.open.lock().unwrap(), 0);
    *notes.care.lock().unwrap() = Care::Condemned("SIGSEGV".into());
    assert!(get().is_err());
}
