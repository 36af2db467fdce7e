//! The call state machine (`docs/spec/calls.md`, sections 4 and 5).
//!
//! Takes what the guests of one root call ask for; decides who may run, with how much gas, what a failure
//! drops and what a success hands on. It never runs anything: the host obeys it, and a naive model checks it.
//!
//! Gas is counted by the host and reported here at every switch. The rules are here: how much a callee may
//! use ([`CallTree::resume`]), what its caller burns when control comes back ([`Settlement`]), and what of
//! its reservations its caller takes over.

mod effects;
mod ledger;
mod profile;
#[cfg(test)]
mod tests;
mod trace;
mod tree;

pub use effects::{Effects, Renumber, Writes};
pub use ledger::{Ledger, LedgerChange, LedgerError, LedgerLimits};
pub use profile::{GasPart, GasProfile};
pub use trace::{CallNode, Ending, GasSplit, HostUse};

use crate::{Capability, Grants, Namespace, SyncExecutionError, Visibility};
use std::collections::{BTreeMap, BTreeSet};
use tree::{Callees, Kept};

/// Limits of one root call. All are part of the protocol: they decide outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Deepest frame; the root has depth 0 (`sync_call_depth_max`).
    pub depth_max: u32,
    /// Callees alive at once.
    pub live_max: u32,
    /// Memories of the live callees together, in bytes.
    pub memory_bytes_max: u64,
    /// NEAR's limits that belong to the whole root call.
    pub ledger: LedgerLimits,
}

impl CallLimits {
    /// The limits of the specification; an EVM's 1,025 frames fit.
    pub fn standard(ledger: LedgerLimits) -> Self {
        Self { depth_max: 16, live_max: 1_100, memory_bytes_max: 1 << 30, ledger }
    }
}

/// Names a frame within its root call. The root is frame 0; the name of a frame that has ended may be given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(u32);

impl FrameId {
    /// The frame of the root call.
    pub const ROOT: FrameId = FrameId(0);

    /// Its place among the frames that are alive.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the host knows about the module that an `open` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Public or private.
    pub visibility: Visibility,
    /// What it requires when private.
    pub requires: Grants,
    /// Whether it exports the method.
    pub has_method: bool,
    /// Memory it starts with, in bytes.
    pub memory_bytes: u64,
}

/// An `open` as the guest asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// The namespace; `None` if the bytes are no namespace.
    pub namespace: Option<Namespace>,
    /// The method.
    pub method: String,
    /// Bound on what the callee burns and reserves; 0 is all its caller has left.
    pub gas: u64,
    /// Levels allowed below the callee; `u64::MAX` for the host's limit.
    pub depth: u64,
    /// Bits of the grants.
    pub grants: u64,
}

/// Gas of a frame as its meter has it: everything since the frame began, callees included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct GasReport {
    /// Burnt.
    pub burnt: u64,
    /// Reserved for promises, its own and those taken over from callees.
    pub reserved: u64,
}

/// What a caller's meter has to do when control comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Settlement {
    /// Gas to burn.
    pub burn: u64,
    /// Gas reserved by the callee that the caller takes over for good.
    pub take_over: u64,
}

/// A resume that may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The frame to run.
    pub callee: FrameId,
    /// Gas it may use from here on, burnt and reserved.
    pub allowance: u64,
    /// It has not run before.
    pub first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opened,
    Running,
    Suspended,
    Ended,
}

#[derive(Debug)]
struct Frame<R> {
    caller: Option<FrameId>,
    /// Its handle with its caller.
    handle: u64,
    namespace: Namespace,
    visibility: Visibility,
    method: String,
    depth: u32,
    /// Deepest frame allowed below this one.
    depth_max: u32,
    granted: Grants,
    state: State,
    /// Bound on burnt and reserved gas; only ever lowered.
    bound: u64,
    report: GasReport,
    /// What the live frames below have reserved; kept, because it is asked for at every host function.
    held: u64,
    memory_bytes: u64,
    /// The next handle: how many callees it has opened.
    next_handle: u64,
    /// Callees that have not ended, by handle.
    live_callees: BTreeMap<u64, FrameId>,
    /// Live callees of NEP-481's interface.
    by_namespace: BTreeMap<Namespace, u64>,
    effects: Effects<R>,
    yields: u64,
    split: GasSplit,
    /// What the call tree shows of its callees that have ended.
    callees: Callees,
}

/// All frames of one root call.
#[derive(Debug)]
pub struct CallTree<R> {
    limits: CallLimits,
    frames: Vec<Frame<R>>,
    /// Places in `frames` of frames that have ended.
    free: Vec<FrameId>,
    /// The live frames that occupy a namespace.
    occupied: BTreeMap<Namespace, BTreeSet<FrameId>>,
    kept: Kept,
    ledger: Ledger,
    live: u32,
    memory_bytes: u64,
}

impl<R: Renumber> CallTree<R> {
    /// A tree with its root frame running. An embedder that drives a private module itself passes
    /// [`Grants::ALL`] of what its pretended root may hand on.
    pub fn new(
        limits: CallLimits,
        namespace: Namespace,
        method: &str,
        gas: u64,
        ledger: Ledger,
    ) -> Self {
        let occupied = BTreeMap::from([(namespace.clone(), BTreeSet::from([FrameId::ROOT]))]);
        let root = Frame {
            caller: None,
            handle: 0,
            namespace,
            visibility: Visibility::Public,
            method: method.to_owned(),
            depth: 0,
            depth_max: limits.depth_max,
            granted: Grants::ALL,
            state: State::Running,
            bound: gas,
            report: GasReport::default(),
            held: 0,
            memory_bytes: 0,
            next_handle: 0,
            live_callees: BTreeMap::new(),
            by_namespace: BTreeMap::new(),
            effects: Effects::default(),
            yields: 0,
            split: GasSplit::default(),
            callees: Callees::default(),
        };
        Self {
            limits,
            frames: vec![root],
            free: Vec::new(),
            occupied,
            kept: Kept::default(),
            ledger,
            live: 0,
            memory_bytes: 0,
        }
    }

    fn frame(&self, id: FrameId) -> &Frame<R> {
        &self.frames[id.index()]
    }

    fn frame_mut(&mut self, id: FrameId) -> &mut Frame<R> {
        &mut self.frames[id.index()]
    }

    // ---- what a frame is ----

    /// Namespace of a frame's module.
    pub fn namespace(&self, id: FrameId) -> &Namespace {
        &self.frame(id).namespace
    }

    /// Visibility of a frame's module.
    pub fn visibility(&self, id: FrameId) -> Visibility {
        self.frame(id).visibility
    }

    /// The namespace that called this frame; `None` for a root call.
    pub fn predecessor_namespace(&self, id: FrameId) -> Option<&Namespace> {
        self.frame(id).caller.map(|caller| self.namespace(caller))
    }

    /// What a private frame was granted; a public one may use everything.
    pub fn granted(&self, id: FrameId) -> Grants {
        self.frame(id).granted
    }

    /// Whether the frame was entered by a sync call, so that it may yield and has no deposit of its own.
    pub fn entered_by_sync_call(&self, id: FrameId) -> bool {
        self.frame(id).caller.is_some()
    }

    /// The shared ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Callees alive now.
    pub fn live(&self) -> u32 {
        self.live
    }

    // ---- open, resume, close ----

    /// Decides whether a callee may be opened. Checks in this order: depth, grants, namespace, method, a
    /// private frame opening a public module, a public module that was not asked for, a live call beside it,
    /// capabilities, live calls, memory.
    ///
    /// # Errors
    /// What the caller finds in its register.
    pub fn check_open(
        &self,
        caller: FrameId,
        request: &OpenRequest,
        callee: Option<&Callee>,
    ) -> Result<(), SyncExecutionError> {
        let from = self.frame(caller);
        if from.depth >= from.depth_max {
            return Err(SyncExecutionError::CallDepthExceeded { limit: from.depth_max });
        }
        let Some(grants) = Grants::from_bits(request.grants) else {
            return Err(SyncExecutionError::host("InvalidGrants"));
        };
        let (Some(namespace), Some(callee)) = (&request.namespace, callee) else {
            return Err(SyncExecutionError::NamespaceNotFound);
        };
        if !callee.has_method {
            return Err(SyncExecutionError::MethodNotFound);
        }
        match callee.visibility {
            Visibility::Public if from.visibility == Visibility::Private => {
                return Err(SyncExecutionError::host("PublicFromPrivate"));
            }
            Visibility::Public if !grants.reaches_public() => {
                return Err(SyncExecutionError::host("PublicNotAsked"));
            }
            Visibility::Public if self.stands_beside(caller, namespace) => {
                return Err(SyncExecutionError::AlreadyStarted);
            }
            Visibility::Public => {}
            Visibility::Private => {
                let granted = self.attenuated(caller, grants);
                if let Some(missing) = callee.requires.missing_from(granted) {
                    let capability = missing.name().to_owned();
                    return Err(SyncExecutionError::CapabilityNotGranted { capability });
                }
            }
        }
        if self.live >= self.limits.live_max {
            return Err(SyncExecutionError::TooManyLiveCalls { limit: self.limits.live_max });
        }
        if self.memory_bytes.saturating_add(callee.memory_bytes) > self.limits.memory_bytes_max {
            return Err(SyncExecutionError::MemoryBudgetExceeded {
                limit: self.limits.memory_bytes_max,
            });
        }
        Ok(())
    }

    /// Opens a callee that [`CallTree::check_open`] let pass; `caller_left` is the caller's gas after it paid
    /// for the setup. Gives the frame and its handle: handles count from 0 per frame and are never reused.
    pub fn open(
        &mut self,
        caller: FrameId,
        request: OpenRequest,
        callee: &Callee,
        caller_left: u64,
    ) -> (FrameId, u64) {
        let from = self.frame(caller);
        let depth = from.depth + 1;
        let below = u32::try_from(request.depth).unwrap_or(u32::MAX);
        let depth_max = depth.saturating_add(below).min(from.depth_max);
        let granted = match callee.visibility {
            Visibility::Public => Grants::ALL,
            Visibility::Private => {
                self.attenuated(caller, Grants::from_bits(request.grants).unwrap_or(Grants::NONE))
            }
        };
        let handle = from.next_handle;
        let frame = Frame {
            caller: Some(caller),
            handle,
            namespace: request.namespace.unwrap_or_default(),
            visibility: callee.visibility,
            method: request.method,
            depth,
            depth_max,
            granted,
            state: State::Opened,
            bound: if request.gas == 0 { caller_left } else { request.gas },
            report: GasReport::default(),
            held: 0,
            memory_bytes: callee.memory_bytes,
            next_handle: 0,
            live_callees: BTreeMap::new(),
            by_namespace: BTreeMap::new(),
            effects: Effects::default(),
            yields: 0,
            split: GasSplit::default(),
            callees: Callees::default(),
        };
        let occupies = (frame.visibility == Visibility::Public).then(|| frame.namespace.clone());
        let id = match self.free.pop() {
            Some(id) => {
                *self.frame_mut(id) = frame;
                id
            }
            None => {
                self.frames.push(frame);
                FrameId(self.frames.len() as u32 - 1)
            }
        };
        if let Some(namespace) = occupies {
            self.occupied.entry(namespace).or_default().insert(id);
        }
        self.live += 1;
        self.memory_bytes += callee.memory_bytes;
        let from = self.frame_mut(caller);
        from.live_callees.insert(handle, id);
        from.next_handle += 1;
        (id, handle)
    }

    /// The live callee behind a handle.
    ///
    /// # Errors
    /// `UnknownHandle` if the handle was never given out by this frame, or its call has ended.
    pub fn callee(&self, caller: FrameId, handle: u64) -> Result<FrameId, SyncExecutionError> {
        self.frame(caller)
            .live_callees
            .get(&handle)
            .copied()
            .ok_or(SyncExecutionError::UnknownHandle)
    }

    /// Lets a callee run on so many bytes, which it holds besides its memory: its limit becomes the smaller of its own rest and
    /// `caller_left`, and never rises.
    ///
    /// # Errors
    /// `UnknownHandle`, see [`CallTree::callee`]; `MemoryBudgetExceeded` if there is no room for the bytes, and the callee
    /// stays as it was.
    pub fn resume(
        &mut self,
        caller: FrameId,
        handle: u64,
        bytes: u64,
        caller_left: u64,
    ) -> Result<Resumption, SyncExecutionError> {
        let callee = self.callee(caller, handle)?;
        let limit = self.limits.memory_bytes_max;
        if self.memory_bytes.saturating_add(bytes) > limit {
            return Err(SyncExecutionError::MemoryBudgetExceeded { limit });
        }
        self.set_memory_bytes(callee, self.frame(callee).memory_bytes + bytes);
        let held = self.held(callee);
        let frame = self.frame_mut(callee);
        let used = frame.report.burnt.saturating_add(frame.report.reserved).saturating_add(held);
        let allowance = frame.bound.saturating_sub(used).min(caller_left);
        frame.bound = used.saturating_add(allowance);
        let first = frame.state == State::Opened;
        frame.state = State::Running;
        Ok(Resumption { callee, allowance, first })
    }

    /// Bytes that a running frame may hold in all: its memory, registers, input, result and what waits for it. The root's are
    /// not counted.
    pub fn memory_bytes_allowed(&self, id: FrameId) -> u64 {
        if id == FrameId::ROOT {
            return u64::MAX;
        }
        let others = self.memory_bytes - self.frame(id).memory_bytes;
        self.limits.memory_bytes_max.saturating_sub(others)
    }

    /// Records how many bytes a frame holds, memory included.
    pub fn set_memory_bytes(&mut self, id: FrameId, memory_bytes: u64) {
        if id == FrameId::ROOT {
            return;
        }
        let before = std::mem::replace(&mut self.frame_mut(id).memory_bytes, memory_bytes);
        self.memory_bytes = self.memory_bytes - before + memory_bytes;
    }

    /// A callee yielded.
    pub fn yielded(&mut self, callee: FrameId, report: GasReport) -> Settlement {
        let frame = self.frame_mut(callee);
        frame.state = State::Suspended;
        frame.yields += 1;
        let burn = report.burnt.saturating_sub(frame.report.burnt);
        let before = std::mem::replace(&mut frame.report, report);
        self.hold(callee, before.reserved, report.reserved);
        Settlement { burn, take_over: 0 }
    }

    /// A callee ended. Its own live callees must have been closed before ([`CallTree::live_below`]). `logs`
    /// are the frame's own; `caller_logs` counts the caller's own logs so far.
    pub fn ended(
        &mut self,
        callee: FrameId,
        result: Result<(), SyncExecutionError>,
        report: GasReport,
        logs: Vec<String>,
        caller_logs: usize,
    ) -> Settlement {
        let frame = self.frame_mut(callee);
        let burn = report.burnt.saturating_sub(frame.report.burnt);
        let held = frame.report.reserved.saturating_add(frame.held);
        frame.report = report;
        let ending = result.map_or_else(Ending::Failed, |()| Ending::Returned);
        let success = ending == Ending::Returned;
        let (caller, effects, logs) = self.retire(callee, ending, held, logs);
        let mut take_over = 0;
        if let (true, Some(caller)) = (success, caller) {
            take_over = report.reserved;
            for namespace in effects.writes.keys() {
                self.occupied.entry(namespace.clone()).or_default().insert(caller);
            }
            self.frame_mut(caller).effects.join(effects, logs, caller_logs);
        } else {
            self.ledger.take_back(&effects.change);
        }
        Settlement { burn, take_over }
    }

    /// A live callee was closed: its effects are dropped, the gas it burnt stays burnt.
    pub fn closed(&mut self, callee: FrameId, logs: Vec<String>) {
        let frame = self.frame(callee);
        let held = frame.report.reserved.saturating_add(frame.held);
        let (_, effects, _) = self.retire(callee, Ending::Closed, held, logs);
        self.ledger.take_back(&effects.change);
    }

    /// Ends a callee, whose place is free from here on. Gives its caller, its effects, and its logs in the order they were
    /// written, unless they are reverted with it.
    fn retire(
        &mut self,
        id: FrameId,
        ending: Ending,
        held: u64,
        logs: Vec<String>,
    ) -> (Option<FrameId>, Effects<R>, Vec<String>) {
        let (mut effects, memory_bytes) = self.vacate(id);
        let mut logs = effects::weave(logs, std::mem::take(&mut effects.callee_logs));
        let reverted =
            if ending == Ending::Returned { Vec::new() } else { std::mem::take(&mut logs) };
        let node = self.node(id, ending, reverted);
        let Frame { caller, handle, .. } = *self.frame(id);
        if let Some(caller) = caller {
            self.hold(id, held, 0);
            let Self { frames, kept, .. } = self;
            let from = &mut frames[caller.index()];
            from.live_callees.remove(&handle);
            from.callees.add(handle, node, kept);
            self.live -= 1;
            self.memory_bytes -= memory_bytes;
            self.free.push(id);
        }
        (caller, effects, logs)
    }

    /// Marks a frame as ended and takes what it has done; also gives the bytes that it held.
    fn vacate(&mut self, id: FrameId) -> (Effects<R>, u64) {
        let frame = self.frame_mut(id);
        frame.state = State::Ended;
        let memory_bytes = std::mem::take(&mut frame.memory_bytes);
        let effects = std::mem::take(&mut frame.effects);
        let own = frame.namespace.clone();
        for namespace in effects.writes.keys().chain([&own]) {
            if let Some(occupants) = self.occupied.get_mut(namespace) {
                occupants.remove(&id);
                if occupants.is_empty() {
                    self.occupied.remove(namespace);
                }
            }
        }
        (effects, memory_bytes)
    }

    /// The live frames below a frame, leaves first: the order in which the host cancels them.
    pub fn live_below(&self, id: FrameId) -> Vec<FrameId> {
        let mut order = Vec::new();
        self.collect_live(id, &mut order);
        order
    }

    // A tree is at most `depth_max` deep, so recursion over it is bounded.
    fn collect_live(&self, id: FrameId, order: &mut Vec<FrameId>) {
        for callee in self.frame(id).live_callees.values() {
            self.collect_live(*callee, order);
            order.push(*callee);
        }
    }

    /// Gas that the live frames below a frame have reserved, their own live callees included. The frame cannot
    /// use it while they may still succeed; it returns when they fail.
    pub fn held(&self, caller: FrameId) -> u64 {
        self.frame(caller).held
    }

    /// What a live frame holds has changed: all its callers hold that much more or less.
    fn hold(&mut self, id: FrameId, before: u64, after: u64) {
        if before == after {
            return;
        }
        let mut at = self.frame(id).caller;
        while let Some(id) = at {
            let frame = self.frame_mut(id);
            frame.held = (frame.held + after).saturating_sub(before);
            at = frame.caller;
        }
    }

    // ---- NEP-481's own interface ----

    /// The live call that [`CallTree::start_named`] remembered.
    ///
    /// # Errors
    /// `NotStarted` if there is none.
    pub fn named(
        &self,
        caller: FrameId,
        namespace: Option<&Namespace>,
    ) -> Result<u64, SyncExecutionError> {
        namespace
            .and_then(|namespace| self.frame(caller).by_namespace.get(namespace).copied())
            .filter(|handle| self.callee(caller, *handle).is_ok())
            .ok_or(SyncExecutionError::NotStarted)
    }

    /// Remembers the one live call of a namespace, for `resume_sync_call`.
    pub fn start_named(&mut self, caller: FrameId, namespace: Namespace, handle: u64) {
        self.frame_mut(caller).by_namespace.insert(namespace, handle);
    }

    // ---- effects ----

    /// Effects of a frame that has not ended.
    pub fn effects(&self, id: FrameId) -> &Effects<R> {
        &self.frame(id).effects
    }

    /// Receipts of a frame, to append to.
    pub fn receipts_mut(&mut self, id: FrameId) -> &mut Vec<R> {
        &mut self.frame_mut(id).effects.receipts
    }

    /// A pending write that a frame sees at a key: its own or the nearest ancestor's; `None` if there is
    /// none and the state decides.
    pub fn pending(&self, id: FrameId, key: &[u8]) -> Option<Option<&[u8]>> {
        let namespace = &self.frame(id).namespace;
        let mut at = Some(id);
        while let Some(id) = at {
            let frame = self.frame(id);
            if let Some(write) = frame.effects.writes.get(namespace).and_then(|w| w.get(key)) {
                return Some(write.as_deref());
            }
            at = frame.caller;
        }
        None
    }

    /// Whether a frame or one of those that called it has a receipt of some kind.
    pub fn any_receipt(&self, id: FrameId, is: impl Fn(&R) -> bool) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            let frame = self.frame(id);
            if frame.effects.receipts.iter().any(&is) {
                return true;
            }
            at = frame.caller;
        }
        false
    }

    /// Writes or (with `None`) removes a key in the frame's namespace.
    ///
    /// # Errors
    /// `NamespaceBusy` while a live descendant occupies the same namespace: runs in it, or has writes to it
    /// that will join this frame's.
    pub fn write(
        &mut self,
        id: FrameId,
        key: &[u8],
        value: Option<Vec<u8>>,
    ) -> Result<(), SyncExecutionError> {
        if self.namespace_busy(id) {
            return Err(SyncExecutionError::host("NamespaceBusy"));
        }
        let frame = self.frame_mut(id);
        let namespace = frame.namespace.clone();
        if !frame.effects.writes.contains_key(&namespace) {
            self.occupied.entry(namespace.clone()).or_default().insert(id);
        }
        let writes = &mut self.frame_mut(id).effects.writes;
        writes.entry(namespace).or_default().insert(key.to_vec(), value);
        Ok(())
    }

    /// Whether a live descendant occupies the frame's own namespace.
    pub fn namespace_busy(&self, id: FrameId) -> bool {
        self.occupants(&self.frame(id).namespace)
            .any(|other| other != id && self.ancestors(other).contains(&id))
    }

    /// Applies a change to the ledger in a frame's name.
    ///
    /// # Errors
    /// The limit that does not hold; the change is then not applied.
    pub fn charge_ledger(&mut self, id: FrameId, change: LedgerChange) -> Result<(), LedgerError> {
        self.ledger.apply(&change, &self.limits.ledger)?;
        self.frame_mut(id).effects.change.join(&change);
        Ok(())
    }

    /// Where a frame's own gas went, for the trace.
    pub fn split_mut(&mut self, id: FrameId) -> &mut GasSplit {
        &mut self.frame_mut(id).split
    }

    // ---- the end ----

    /// Ends the root call: its effects and logs if it succeeded, its logs alone if it failed (a failed root
    /// keeps its logs, as on NEAR), and the call tree.
    pub fn finish(
        mut self,
        result: Result<(), SyncExecutionError>,
        report: GasReport,
        logs: Vec<String>,
    ) -> Finished<R> {
        let success = result.is_ok();
        let ending = result.map_or_else(Ending::Failed, |()| Ending::Returned);
        self.frame_mut(FrameId::ROOT).report = report;
        let (mut effects, _) = self.vacate(FrameId::ROOT);
        let logs = effects::weave(logs, std::mem::take(&mut effects.callee_logs));
        if !success {
            self.ledger.take_back(&effects.change);
        }
        let tree = self.node(FrameId::ROOT, ending, Vec::new()).finish();
        Finished { effects: success.then_some(effects), logs, ledger: self.ledger, tree }
    }

    /// What the call tree shows of a frame that ends.
    fn node(&mut self, id: FrameId, ending: Ending, reverted_logs: Vec<String>) -> tree::Node {
        let Self { frames, kept, .. } = self;
        let frame = &mut frames[id.index()];
        let mut node = CallNode {
            namespace: frame.namespace.clone(),
            visibility: frame.visibility,
            method: std::mem::take(&mut frame.method),
            count: 1,
            ending,
            gas_burnt: frame.report.burnt,
            gas_used: frame.report.burnt.saturating_add(frame.report.reserved),
            split: std::mem::take(&mut frame.split),
            yields: frame.yields,
            reverted_logs,
            texts_dropped: 0,
            callees: Vec::new(),
        };
        kept.keep_texts(&mut node);
        tree::Node::new(node, std::mem::take(&mut frame.callees))
    }

    // ---- rules used above ----

    /// What a private callee gets: a private frame hands on at most what it was granted, and that a public module
    /// is meant is nothing to hand on.
    fn attenuated(&self, caller: FrameId, grants: Grants) -> Grants {
        let own = match self.frame(caller).visibility {
            Visibility::Public => Grants::ALL,
            Visibility::Private => self.frame(caller).granted,
        };
        grants.intersect(own).intersect(Grants::ALL)
    }

    /// Two live frames of one public namespace must be ancestor and descendant.
    fn stands_beside(&self, caller: FrameId, namespace: &Namespace) -> bool {
        let ancestors = self.ancestors(caller);
        self.occupants(namespace).any(|id| !ancestors.contains(&id))
    }

    /// The live frames that run in a namespace as public ones, or have taken over writes to it from a callee that succeeded:
    /// those join their caller's only when they succeed themselves, and until then nobody beside them can see them. They are one
    /// line of callers and callees, so there are no more than the depth of calls.
    fn occupants(&self, namespace: &Namespace) -> impl Iterator<Item = FrameId> {
        self.occupied.get(namespace).into_iter().flatten().copied()
    }

    /// A frame and its callers up to the root.
    fn ancestors(&self, id: FrameId) -> Vec<FrameId> {
        std::iter::successors(Some(id), |id| self.frame(*id).caller).collect()
    }
}

/// What is left of a root call.
#[derive(Debug)]
pub struct Finished<R> {
    /// Effects to commit, if the root succeeded.
    pub effects: Option<Effects<R>>,
    /// Logs of the root and of the callees that succeeded.
    pub logs: Vec<String>,
    /// The ledger after it.
    pub ledger: Ledger,
    /// The call tree.
    pub tree: CallNode,
}

/// Capability a frame lacks for a group of functions; `None` if it may use them.
pub fn lacking(
    visibility: Visibility,
    granted: Grants,
    group: crate::table::Group,
) -> Option<Capability> {
    if visibility == Visibility::Public {
        return None;
    }
    Capability::of_group(group).filter(|capability| !granted.has(*capability))
}
