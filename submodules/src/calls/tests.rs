//! A test per rule of `docs/spec/calls.md`, sections 4 and 5.

use super::*;
use crate::Capability;
use SyncExecutionError as Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Receipt(Option<u64>);

impl Renumber for Receipt {
    fn renumber(&mut self, offset: u64) {
        self.0 = self.0.map(|index| index + offset);
    }
}

type Tree = CallTree<Receipt>;

const LEDGER: LedgerLimits = LedgerLimits { logs: 10, log_bytes: 100, receipts: 10 };
const PRIVATE: Callee = Callee {
    visibility: Visibility::Private,
    requires: Grants::NONE,
    has_method: true,
    memory_bytes: 10,
};
const PUBLIC: Callee = Callee { visibility: Visibility::Public, ..PRIVATE };

fn name(text: &str) -> Namespace {
    text.parse().unwrap()
}

fn tree_with(limits: CallLimits) -> Tree {
    let ledger = Ledger { balance: 100, storage_usage: 1_000, ..Ledger::default() };
    Tree::new(limits, Namespace::DEFAULT, "main", 10_000, ledger)
}

fn tree() -> Tree {
    tree_with(CallLimits::standard(LEDGER))
}

fn request(namespace: &str) -> OpenRequest {
    OpenRequest {
        namespace: Some(name(namespace)),
        method: "run".to_owned(),
        gas: 0,
        depth: u64::MAX,
        grants: Grants::ALL.with_public().bits(),
    }
}

/// Opens what has to be allowed; gives the frame and its handle.
#[track_caller]
fn open(tree: &mut Tree, caller: FrameId, namespace: &str, callee: Callee) -> (FrameId, u64) {
    open_as(tree, caller, request(namespace), callee, 10_000)
}

#[track_caller]
fn open_as(
    tree: &mut Tree,
    caller: FrameId,
    request: OpenRequest,
    callee: Callee,
    left: u64,
) -> (FrameId, u64) {
    assert_eq!(tree.check_open(caller, &request, Some(&callee)), Ok(()));
    tree.open(caller, request, &callee, left)
}

#[track_caller]
fn refused(tree: &Tree, caller: FrameId, request: &OpenRequest, callee: Callee, failure: Failure) {
    assert_eq!(tree.check_open(caller, request, Some(&callee)), Err(failure));
}

fn gas(burnt: u64, reserved: u64) -> GasReport {
    GasReport { burnt, reserved }
}

fn returned(tree: &mut Tree, id: FrameId, report: GasReport) -> Settlement {
    tree.ended(id, Ok(()), report, vec![], 0)
}

fn failed(tree: &mut Tree, id: FrameId, report: GasReport) -> Settlement {
    tree.ended(id, Err(Failure::WasmTrap(0)), report, vec![], 0)
}

// ---- opening ----

#[test]
fn no_frame_is_deeper_than_the_limit() {
    let mut tree = tree_with(CallLimits { depth_max: 2, ..CallLimits::standard(LEDGER) });
    let (first, _) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    let (second, _) = open(&mut tree, first, "b", PRIVATE);
    refused(&tree, second, &request("c"), PRIVATE, Failure::CallDepthExceeded { limit: 2 });
}

#[test]
fn the_depth_of_an_open_lowers_the_limit_of_its_subtree_and_never_raises_it() {
    let mut tree = tree_with(CallLimits { depth_max: 3, ..CallLimits::standard(LEDGER) });
    let shallow = OpenRequest { depth: 1, ..request("a") };
    let (first, _) = open_as(&mut tree, FrameId::ROOT, shallow, PRIVATE, 1);
    let (second, _) = open(&mut tree, first, "b", PRIVATE);
    refused(&tree, second, &request("c"), PRIVATE, Failure::CallDepthExceeded { limit: 2 });
    let leaf = OpenRequest { depth: 0, ..request("d") };
    let (leaf, _) = open_as(&mut tree, FrameId::ROOT, leaf, PRIVATE, 1);
    refused(&tree, leaf, &request("c"), PRIVATE, Failure::CallDepthExceeded { limit: 1 });
}

#[test]
fn depth_is_checked_before_everything_else() {
    let tree = tree_with(CallLimits { depth_max: 0, ..CallLimits::standard(LEDGER) });
    let wrong = OpenRequest { namespace: None, grants: u64::MAX, ..request("a") };
    let depth = Failure::CallDepthExceeded { limit: 0 };
    assert_eq!(tree.check_open(FrameId::ROOT, &wrong, None), Err(depth));
}

#[test]
fn what_cannot_be_found_is_named() {
    let tree = tree();
    let open = |request: &OpenRequest, callee| tree.check_open(FrameId::ROOT, request, callee);
    assert_eq!(open(&request("nobody"), None), Err(Failure::NamespaceNotFound));
    let no_name = OpenRequest { namespace: None, ..request("a") };
    assert_eq!(open(&no_name, Some(&PRIVATE)), Err(Failure::NamespaceNotFound));
    let no_method = Callee { has_method: false, ..PRIVATE };
    assert_eq!(open(&request("a"), Some(&no_method)), Err(Failure::MethodNotFound));
    let bits = OpenRequest { grants: 32, ..request("a") };
    assert_eq!(open(&bits, Some(&PRIVATE)), Err(Failure::host("InvalidGrants")));
}

#[test]
fn live_callees_are_bounded_over_the_whole_tree() {
    let mut tree = tree_with(CallLimits { live_max: 2, ..CallLimits::standard(LEDGER) });
    let (first, _) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    let (second, _) = open(&mut tree, first, "b", PRIVATE);
    refused(&tree, second, &request("c"), PRIVATE, Failure::TooManyLiveCalls { limit: 2 });
    refused(&tree, FrameId::ROOT, &request("c"), PRIVATE, Failure::TooManyLiveCalls { limit: 2 });
    returned(&mut tree, second, gas(0, 0));
    assert_eq!(tree.live(), 1);
    open(&mut tree, FrameId::ROOT, "c", PRIVATE);
}

#[test]
fn memories_of_live_callees_share_a_budget_and_the_root_has_none() {
    let mut tree = tree_with(CallLimits { memory_bytes_max: 25, ..CallLimits::standard(LEDGER) });
    assert_eq!(tree.memory_bytes_allowed(FrameId::ROOT), u64::MAX);
    tree.set_memory_bytes(FrameId::ROOT, 1_000_000);
    let (first, _) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    let (second, _) = open(&mut tree, FrameId::ROOT, "b", PRIVATE);
    refused(
        &tree,
        FrameId::ROOT,
        &request("c"),
        PRIVATE,
        Failure::MemoryBudgetExceeded { limit: 25 },
    );
    assert_eq!(tree.memory_bytes_allowed(first), 15);
    tree.set_memory_bytes(first, 15);
    assert_eq!(tree.memory_bytes_allowed(second), 10);
    tree.closed(first, vec![]);
    assert_eq!(tree.memory_bytes_allowed(second), 25);
    open(&mut tree, FrameId::ROOT, "c", PRIVATE);
}

#[test]
fn grants_attenuate_from_private_frame_to_private_frame() {
    let mut tree = tree();
    let log_and_nested = Grants::NONE.with(Capability::Log).with(Capability::Nested);
    let granting = OpenRequest { grants: log_and_nested.bits(), ..request("a") };
    let (first, _) = open_as(&mut tree, FrameId::ROOT, granting, PRIVATE, 1);
    assert_eq!(tree.granted(first), log_and_nested);
    let (second, _) = open(&mut tree, first, "b", PRIVATE);
    assert_eq!(tree.granted(second), log_and_nested);
    let needs_crypto = Callee { requires: Grants::NONE.with(Capability::Crypto), ..PRIVATE };
    let lacking = Failure::CapabilityNotGranted { capability: "crypto".to_owned() };
    refused(&tree, first, &request("c"), needs_crypto, lacking);
    let (third, _) = open(&mut tree, FrameId::ROOT, "c", needs_crypto);
    assert_eq!(tree.granted(third), Grants::ALL);
}

#[test]
fn a_public_callee_is_not_bound_by_grants() {
    let mut tree = tree();
    let nothing = OpenRequest { grants: Grants::PUBLIC.bits(), ..request("a") };
    let needs_all = Callee { requires: Grants::ALL, ..PUBLIC };
    let (public, _) = open_as(&mut tree, FrameId::ROOT, nothing.clone(), needs_all, 1);
    assert_eq!(tree.granted(public), Grants::ALL);
    let lacking = Failure::CapabilityNotGranted { capability: "crypto".to_owned() };
    let needs_all = Callee { visibility: Visibility::Private, ..needs_all };
    refused(&tree, FrameId::ROOT, &nothing, needs_all, lacking);
}

#[test]
fn a_private_frame_opens_private_modules_only() {
    let mut tree = tree();
    let (private, _) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    assert!(!tree.granted(private).reaches_public());
    for bits in 0..32 {
        let asked = OpenRequest { grants: bits, ..request("b") };
        refused(&tree, private, &asked, PUBLIC, Failure::host("PublicFromPrivate"));
    }
    let (below, _) = open(&mut tree, private, "b", PRIVATE);
    assert!(!tree.granted(below).reaches_public());
}

#[test]
fn a_public_module_is_reached_only_by_who_asks_for_one() {
    let mut tree = tree();
    for bits in 0..16 {
        let not_asked = OpenRequest { grants: bits, ..request("a") };
        refused(&tree, FrameId::ROOT, &not_asked, PUBLIC, Failure::host("PublicNotAsked"));
        // The method is looked up first: nothing is said of a method that is not there.
        let no_method = Callee { has_method: false, ..PUBLIC };
        refused(&tree, FrameId::ROOT, &not_asked, no_method, Failure::MethodNotFound);
        let asked = OpenRequest { grants: bits | 16, ..request("a") };
        assert_eq!(tree.check_open(FrameId::ROOT, &asked, Some(&PUBLIC)), Ok(()));
    }
    // Where it would stand beside a live call, that it was not asked for comes first.
    open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    let not_asked = OpenRequest { grants: 15, ..request("a") };
    refused(&tree, FrameId::ROOT, &not_asked, PUBLIC, Failure::host("PublicNotAsked"));
    refused(&tree, FrameId::ROOT, &request("a"), PUBLIC, Failure::AlreadyStarted);
    open_as(&mut tree, FrameId::ROOT, not_asked, PRIVATE, 1);
}

#[test]
fn a_private_namespace_may_be_live_many_times_a_public_one_only_within_itself() {
    let mut tree = tree();
    open(&mut tree, FrameId::ROOT, "p", PRIVATE);
    open(&mut tree, FrameId::ROOT, "p", PRIVATE);
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    refused(&tree, FrameId::ROOT, &request("a"), PUBLIC, Failure::AlreadyStarted);
    let (b, _) = open(&mut tree, FrameId::ROOT, "b", PUBLIC);
    refused(&tree, b, &request("a"), PUBLIC, Failure::AlreadyStarted);
    // Plain re-entry, of the caller and of the root.
    open(&mut tree, a, "a", PUBLIC);
    open(&mut tree, a, "", PUBLIC);
    refused(&tree, b, &request(""), PUBLIC, Failure::AlreadyStarted);
}

#[test]
fn writes_taken_over_from_an_ended_callee_keep_others_out_of_their_namespace() {
    let mut tree = tree();
    let (middle, _) = open(&mut tree, FrameId::ROOT, "m", PUBLIC);
    let (inner, _) = open(&mut tree, middle, "a", PUBLIC);
    tree.write(inner, b"k", Some(vec![1])).unwrap();
    returned(&mut tree, inner, gas(0, 0));
    // `middle` holds a write to `a`: what another frame of `a` wrote now would be overwritten by it.
    refused(&tree, FrameId::ROOT, &request("a"), PUBLIC, Failure::AlreadyStarted);
    open(&mut tree, middle, "a", PUBLIC);
    for below in tree.live_below(FrameId::ROOT) {
        tree.closed(below, vec![]);
    }
    open(&mut tree, FrameId::ROOT, "a", PUBLIC);
}

#[test]
fn what_joined_the_caller_keeps_nobody_out() {
    let mut tree = tree();
    for value in 0..3 {
        let (callee, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
        let before = (value > 0).then(|| vec![value - 1]);
        assert_eq!(tree.pending(callee, b"k").flatten(), before.as_deref());
        tree.write(callee, b"k", Some(vec![value])).unwrap();
        returned(&mut tree, callee, gas(0, 0));
    }
}

// ---- handles ----

#[test]
fn handles_count_from_zero_per_frame_and_are_never_reused() {
    let mut tree = tree();
    let (first, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    assert_eq!(handle, 0);
    let (inner, handle) = open(&mut tree, first, "b", PRIVATE);
    assert_eq!(handle, 0);
    tree.closed(inner, vec![]);
    assert_eq!(open(&mut tree, first, "b", PRIVATE).1, 1);
    assert_eq!(tree.callee(first, 0), Err(Failure::UnknownHandle));
    assert_eq!(tree.callee(FrameId::ROOT, 1), Err(Failure::UnknownHandle));
    assert_eq!(tree.callee(FrameId::ROOT, u64::MAX), Err(Failure::UnknownHandle));
    assert_eq!(tree.callee(FrameId::ROOT, 0), Ok(first));
}

#[test]
fn an_ended_call_cannot_be_resumed() {
    let mut tree = tree();
    let (first, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    returned(&mut tree, first, gas(1, 0));
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, 5), Err(Failure::UnknownHandle));
    let (second, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    failed(&mut tree, second, gas(1, 0));
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, 5), Err(Failure::UnknownHandle));
}

#[test]
fn the_first_resume_is_told_from_later_ones() {
    let mut tree = tree();
    let (callee, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    assert!(tree.resume(FrameId::ROOT, handle, 0, 5).unwrap().first);
    tree.yielded(callee, gas(1, 0));
    assert!(!tree.resume(FrameId::ROOT, handle, 0, 5).unwrap().first);
}

#[test]
fn a_named_call_is_known_until_it_ends() {
    let mut tree = tree();
    let a = name("a");
    assert_eq!(tree.named(FrameId::ROOT, Some(&a)), Err(Failure::NotStarted));
    assert_eq!(tree.named(FrameId::ROOT, None), Err(Failure::NotStarted));
    let (callee, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    tree.start_named(FrameId::ROOT, a.clone(), handle);
    assert_eq!(tree.named(FrameId::ROOT, Some(&a)), Ok(handle));
    returned(&mut tree, callee, gas(0, 0));
    assert_eq!(tree.named(FrameId::ROOT, Some(&a)), Err(Failure::NotStarted));
}

// ---- gas ----

#[test]
fn a_bound_of_zero_is_all_the_caller_has_left_at_the_open() {
    let mut tree = tree();
    let (_, handle) = open_as(&mut tree, FrameId::ROOT, request("a"), PRIVATE, 700);
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, 9_000).unwrap().allowance, 700);
}

#[test]
fn a_limit_falls_with_the_callers_rest_and_never_rises_again() {
    let mut tree = tree();
    let asked = OpenRequest { gas: 1_000, ..request("a") };
    let (callee, handle) = open_as(&mut tree, FrameId::ROOT, asked, PRIVATE, 5_000);
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, 5_000).unwrap().allowance, 1_000);
    assert_eq!(tree.yielded(callee, gas(100, 200)), Settlement { burn: 100, take_over: 0 });
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, 400).unwrap().allowance, 400);
    assert_eq!(tree.yielded(callee, gas(150, 200)), Settlement { burn: 50, take_over: 0 });
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, u64::MAX).unwrap().allowance, 350);
}

#[test]
fn reservations_pass_to_the_caller_on_success_and_return_on_failure() {
    let mut tree = tree();
    let (first, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    tree.yielded(first, gas(10, 30));
    assert_eq!(tree.held(FrameId::ROOT), 30);
    assert_eq!(returned(&mut tree, first, gas(25, 50)), Settlement { burn: 15, take_over: 50 });
    assert_eq!(tree.held(FrameId::ROOT), 0);
    let (second, _) = open(&mut tree, FrameId::ROOT, "b", PUBLIC);
    tree.yielded(second, gas(0, 30));
    assert_eq!(failed(&mut tree, second, gas(5, 40)), Settlement { burn: 5, take_over: 0 });
    assert_eq!(tree.held(FrameId::ROOT), 0);
}

#[test]
fn reservations_are_held_all_the_way_up() {
    let mut tree = tree();
    let asked = OpenRequest { gas: 1_000, ..request("a") };
    let (middle, handle) = open_as(&mut tree, FrameId::ROOT, asked, PUBLIC, 5_000);
    let (inner, _) = open(&mut tree, middle, "b", PUBLIC);
    tree.yielded(inner, gas(0, 300));
    tree.yielded(middle, gas(100, 50));
    assert_eq!((tree.held(middle), tree.held(FrameId::ROOT)), (300, 350));
    // What `inner` holds is part of what `middle` may use.
    assert_eq!(tree.resume(FrameId::ROOT, handle, 0, 5_000).unwrap().allowance, 550);
    tree.closed(inner, vec![]);
    assert_eq!(tree.held(FrameId::ROOT), 50);
}

// ---- effects ----

#[test]
fn a_frame_sees_its_own_and_its_ancestors_writes_to_its_namespace_and_nobody_elses() {
    let mut tree = tree();
    tree.write(FrameId::ROOT, b"k", Some(vec![1])).unwrap();
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    assert_eq!(tree.pending(a, b"k"), None);
    tree.write(a, b"k", Some(vec![2])).unwrap();
    assert_eq!(tree.pending(FrameId::ROOT, b"k"), Some(Some(&[1][..])));
    let (inner, _) = open(&mut tree, a, "", PUBLIC);
    assert_eq!(tree.pending(inner, b"k"), Some(Some(&[1][..])));
    tree.write(inner, b"k", None).unwrap();
    assert_eq!(tree.pending(inner, b"k"), Some(None));
    assert_eq!(tree.pending(FrameId::ROOT, b"k"), Some(Some(&[1][..])));
    returned(&mut tree, inner, gas(0, 0));
    assert_eq!(tree.pending(FrameId::ROOT, b"k"), Some(Some(&[1][..])));
    returned(&mut tree, a, gas(0, 0));
    assert_eq!(tree.pending(FrameId::ROOT, b"k"), Some(None));
}

#[test]
fn a_frame_cannot_write_while_a_live_descendant_occupies_its_namespace() {
    let busy = Err(Failure::host("NamespaceBusy"));
    let mut tree = tree();
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    assert_eq!(tree.write(FrameId::ROOT, b"k", None), Ok(()));
    let (inner, _) = open(&mut tree, a, "", PUBLIC);
    assert_eq!(tree.write(FrameId::ROOT, b"k", None), busy);
    tree.write(inner, b"k", Some(vec![1])).unwrap();
    returned(&mut tree, inner, gas(0, 0));
    // The write is `a`'s by now; one of the root's would be lost when `a` succeeds.
    assert_eq!(tree.write(FrameId::ROOT, b"k", None), busy);
    returned(&mut tree, a, gas(0, 0));
    assert_eq!(tree.write(FrameId::ROOT, b"k", None), Ok(()));
}

#[test]
fn receipts_join_after_what_the_caller_has_by_then() {
    let mut tree = tree();
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    tree.receipts_mut(a).extend([Receipt(None), Receipt(Some(0))]);
    tree.yielded(a, gas(0, 0));
    tree.receipts_mut(FrameId::ROOT).push(Receipt(None));
    returned(&mut tree, a, gas(0, 0));
    let finished = tree.finish(Ok(()), gas(0, 0), vec![]);
    let receipts = finished.effects.unwrap().receipts;
    assert_eq!(receipts, [Receipt(None), Receipt(None), Receipt(Some(1))]);
}

#[test]
fn a_failure_drops_everything_below_it_and_takes_it_back_from_the_ledger() {
    let mut tree = tree();
    let start = *tree.ledger();
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    let (inner, _) = open(&mut tree, a, "b", PUBLIC);
    let change = LedgerChange { spent: 60, storage: 40, logs: 1, log_bytes: 5, receipts: 1 };
    tree.charge_ledger(inner, change).unwrap();
    tree.write(inner, b"k", Some(vec![1])).unwrap();
    // One account: what `inner` spent, the root cannot spend.
    assert_eq!(tree.charge_ledger(FrameId::ROOT, change), Err(LedgerError::BalanceExceeded));
    returned(&mut tree, inner, gas(0, 0));
    tree.charge_ledger(a, LedgerChange { spent: 40, ..LedgerChange::default() }).unwrap();
    assert_eq!(tree.ledger().balance, 0);
    failed(&mut tree, a, gas(0, 0));
    assert_eq!(*tree.ledger(), start);
    let finished = tree.finish(Ok(()), gas(0, 0), vec![]);
    assert!(finished.effects.unwrap().writes.is_empty());
}

#[test]
fn suspended_callees_are_closed_leaves_first_and_their_effects_dropped() {
    let mut tree = tree();
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    let (b, _) = open(&mut tree, a, "b", PUBLIC);
    let (c, _) = open(&mut tree, a, "c", PRIVATE);
    let (d, _) = open(&mut tree, FrameId::ROOT, "d", PRIVATE);
    assert_eq!(tree.live_below(FrameId::ROOT), [b, c, a, d]);
    let change = LedgerChange { spent: 7, ..LedgerChange::default() };
    tree.charge_ledger(b, change).unwrap();
    for below in tree.live_below(FrameId::ROOT) {
        tree.closed(below, vec!["lost".to_owned()]);
    }
    assert_eq!((tree.live(), tree.ledger().balance), (0, 100));
    let finished = tree.finish(Ok(()), gas(0, 0), vec![]);
    assert!(finished.logs.is_empty());
    let closed = &finished.tree.callees[0];
    assert_eq!((&closed.ending, closed.callees.len()), (&Ending::Closed, 2));
    assert_eq!(closed.callees[0].reverted_logs, ["lost"]);
}

#[test]
fn a_failed_root_keeps_its_logs_and_a_failed_callees_appear_in_the_tree_alone() {
    let mut tree = tree();
    let start = *tree.ledger();
    let logs = |text: &str| vec![text.to_owned()];
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    tree.ended(a, Ok(()), gas(0, 0), logs("good"), 1);
    let (b, _) = open(&mut tree, FrameId::ROOT, "b", PUBLIC);
    tree.ended(b, Err(Failure::OutOfGas), gas(0, 0), logs("bad"), 1);
    tree.charge_ledger(FrameId::ROOT, LedgerChange { spent: 1, ..LedgerChange::default() })
        .unwrap();
    let root_logs = vec!["first".to_owned(), "last".to_owned()];
    let finished = tree.finish(Err(Failure::WasmTrap(0)), gas(0, 0), root_logs);
    assert_eq!(finished.logs, ["first", "good", "last"]);
    assert!(finished.effects.is_none());
    assert_eq!(finished.ledger, start);
    assert_eq!(finished.tree.callees[1].reverted_logs, ["bad"]);
}

#[test]
fn a_frame_knows_who_called_it() {
    let mut tree = tree();
    let (a, _) = open(&mut tree, FrameId::ROOT, "a", PUBLIC);
    assert_eq!(tree.predecessor_namespace(FrameId::ROOT), None);
    assert_eq!(tree.predecessor_namespace(a), Some(&Namespace::DEFAULT));
    assert!(tree.entered_by_sync_call(a) && !tree.entered_by_sync_call(FrameId::ROOT));
}

#[test]
fn a_private_frame_lacks_what_was_not_granted_and_a_public_one_nothing() {
    use crate::table::Group;
    let log = Grants::NONE.with(Capability::Log);
    assert_eq!(lacking(Visibility::Private, log, Group::Crypto), Some(Capability::Crypto));
    assert_eq!(lacking(Visibility::Private, log, Group::Log), None);
    assert_eq!(lacking(Visibility::Private, log, Group::Core), None);
    assert_eq!(lacking(Visibility::Public, Grants::NONE, Group::Crypto), None);
}

// ---- what is bounded ----

#[test]
fn bytes_that_a_callee_is_given_count_with_its_memory() {
    let limits = CallLimits { memory_bytes_max: 100, ..CallLimits::standard(LEDGER) };
    let mut tree = tree_with(limits);
    let (callee, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
    let refusal = Err(Failure::MemoryBudgetExceeded { limit: 100 });
    assert_eq!(tree.resume(FrameId::ROOT, handle, 91, 1_000), refusal);
    assert!(tree.resume(FrameId::ROOT, handle, 90, 1_000).unwrap().first, "it stayed as it was");
    assert_eq!(tree.memory_bytes_allowed(callee), 100);
    refused(
        &tree,
        FrameId::ROOT,
        &request("b"),
        PRIVATE,
        Failure::MemoryBudgetExceeded { limit: 100 },
    );
    tree.yielded(callee, gas(1, 0));
    assert_eq!(tree.resume(FrameId::ROOT, handle, 1, 1_000), refusal);
    tree.set_memory_bytes(callee, 50);
    assert_eq!(tree.resume(FrameId::ROOT, handle, 50, 1_000).unwrap().callee, callee);
    returned(&mut tree, callee, gas(2, 0));
    open(&mut tree, FrameId::ROOT, "b", Callee { memory_bytes: 100, ..PRIVATE });
}

/// Opens a callee and ends it.
fn call(tree: &mut Tree, caller: FrameId, method: &str, result: Result<(), Failure>) {
    let request = OpenRequest { method: method.to_owned(), ..request("a") };
    let (id, handle) = open_as(tree, caller, request, PRIVATE, 10_000);
    tree.resume(caller, handle, 0, 10).unwrap();
    tree.ended(id, result, gas(3, 0), vec!["log".to_owned()], 0);
}

#[test]
fn past_ten_thousand_nodes_equal_callees_are_one() {
    let mut tree = tree();
    let (parent, handle) = open(&mut tree, FrameId::ROOT, "p", PRIVATE);
    tree.resume(FrameId::ROOT, handle, 0, 10_000).unwrap();
    // Ends last, but was opened before most.
    let (late, _) = open_as(
        &mut tree,
        parent,
        OpenRequest { method: "late".into(), ..request("a") },
        PRIVATE,
        10,
    );
    for _ in 0..10_000 {
        call(&mut tree, parent, "run", Ok(()));
    }
    for index in 0..5_000 {
        call(&mut tree, parent, "run", Ok(()));
        call(&mut tree, parent, "run", Err(Failure::GuestPanic(index.to_string())));
        call(&mut tree, parent, "other", Ok(()));
    }
    tree.ended(late, Ok(()), gas(1, 0), vec![], 0);
    tree.ended(parent, Ok(()), gas(80_000, 0), vec![], 0);
    let finished = tree.finish(Ok(()), gas(90_000, 0), vec![]);
    let nodes = &finished.tree.callees[0].callees;
    assert_eq!(nodes.len(), 10_003);
    assert_eq!(nodes.iter().map(|node| node.count).sum::<u64>(), 25_001);
    assert_eq!(nodes.iter().map(|node| node.gas_burnt).sum::<u64>(), 75_001);
    assert_eq!((nodes[0].method.as_str(), nodes[1].method.as_str()), ("late", "run"));
    assert_eq!((nodes[1].count, nodes[2].count), (5_001, 1));
    let failed = &nodes[10_001];
    assert_eq!(failed.ending, Ending::Failed(Failure::GuestPanic("0".into())));
    assert_eq!((failed.count, failed.reverted_logs.len()), (5_000, 5_000));
    assert_eq!(failed.texts_dropped, 4_999, "the messages of the others");
    assert_eq!((nodes[10_002].method.as_str(), nodes[10_002].count), ("other", 5_000));
}

#[test]
fn places_of_ended_frames_are_used_again_and_handles_are_not() {
    let mut tree = tree();
    let mut places = BTreeSet::new();
    for turn in 0..1_000 {
        let (id, handle) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
        assert_eq!(handle, turn);
        places.insert(id);
        assert_eq!(tree.callee(FrameId::ROOT, handle), Ok(id));
        returned(&mut tree, id, gas(0, 0));
        assert_eq!(tree.callee(FrameId::ROOT, handle), Err(Failure::UnknownHandle));
    }
    assert_eq!(places.len(), 1);
}

#[test]
fn reverted_texts_past_a_mebibyte_are_counted() {
    let mut tree = tree();
    let text = "x".repeat(1_000);
    for _ in 0..1_000 {
        let (id, _) = open(&mut tree, FrameId::ROOT, "a", PRIVATE);
        tree.ended(id, Err(Failure::GuestPanic(text.clone())), gas(0, 0), vec![text.clone()], 0);
    }
    let tree = tree.finish(Ok(()), gas(0, 0), vec![]).tree;
    let message = |node: &CallNode| match &node.ending {
        Ending::Failed(Failure::GuestPanic(message)) => message.len(),
        _ => 0,
    };
    let kept =
        |node: &CallNode| message(node) + node.reverted_logs.iter().map(String::len).sum::<usize>();
    assert_eq!(tree.callees.iter().map(kept).sum::<usize>(), 1_048_000);
    assert_eq!(tree.callees.iter().map(|node| node.texts_dropped).sum::<u64>(), 2_000 - 1_048);
}
