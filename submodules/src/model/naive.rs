//! The naive model: `docs/spec/calls.md` read aloud. It knows nothing of `CallTree`.
//!
//! A resumed callee is a recursive call. A frame that writes to a namespace takes a copy of all of it; a
//! frame that fails loses its copies, one that succeeds puts them in place of its caller's. Totals are
//! added up anew each time they are asked for.

use super::{Digest, NEVER_OPENED, Outcome, Program, Receipt, SETUP_GAS, SLOTS, Step, Storage};
use super::{burnt_out, storage_bytes};
use crate::calls::{CallNode, Ending, GasSplit, Ledger};
use crate::{Capability, Grants, Namespace, SyncExecutionError, Visibility};
use std::collections::BTreeMap;

type Failure = SyncExecutionError;

#[derive(Clone)]
struct Promise {
    id: usize,
    after: Option<usize>,
    receipt: Receipt,
}

struct Frame {
    caller: Option<usize>,
    module: usize,
    method: usize,
    depth: u64,
    /// Deepest level allowed below.
    deepest: u64,
    granted: Grants,
    position: usize,
    slots: [u64; SLOTS],
    digest: Digest,
    limit: u64,
    burnt: u64,
    reserved: u64,
    memory: u64,
    callees: Vec<usize>,
    /// Callees of NEP-481's interface.
    named: BTreeMap<Namespace, usize>,
    ending: Option<Ending>,
    yields: u64,
    /// Whole namespaces, as they are once this frame succeeds.
    copies: BTreeMap<Namespace, Storage>,
    logs: Vec<String>,
    lost_logs: Vec<String>,
    promises: Vec<Promise>,
}

enum Came {
    Yielded(Vec<u8>),
    Ended(Result<Vec<u8>, Failure>),
}

struct Account<'p> {
    program: &'p Program,
    frames: Vec<Frame>,
    promises_made: usize,
}

/// What a program does.
pub fn run(program: &Program) -> Outcome {
    let mut account = Account { program, frames: Vec::new(), promises_made: 0 };
    let method = program.modules[0].method(&program.root_method).unwrap_or(0);
    let root = account.push(
        None,
        0,
        method,
        0,
        u64::from(program.limits.depth_max),
        Grants::ALL,
        program.gas,
    );
    let result = match account.enter(root, &program.arguments) {
        Came::Ended(result) => result,
        Came::Yielded(_) => Err(Failure::host(super::machine::CALLBACK_IN_ROOT)),
    };
    account.outcome(result)
}

impl Account<'_> {
    fn push(
        &mut self,
        caller: Option<usize>,
        module: usize,
        method: usize,
        depth: u64,
        deepest: u64,
        granted: Grants,
        limit: u64,
    ) -> usize {
        self.frames.push(Frame {
            caller,
            module,
            method,
            depth,
            deepest,
            granted,
            position: 0,
            slots: [NEVER_OPENED; SLOTS],
            digest: Digest::default(),
            limit,
            burnt: 0,
            reserved: 0,
            memory: self.program.modules[module].memory_bytes,
            callees: Vec::new(),
            named: BTreeMap::new(),
            ending: None,
            yields: 0,
            copies: BTreeMap::new(),
            logs: Vec::new(),
            lost_logs: Vec::new(),
            promises: Vec::new(),
        });
        self.frames.len() - 1
    }

    // ---- running ----

    /// Gives a frame bytes and runs it until control comes back.
    fn enter(&mut self, id: usize, bytes: &[u8]) -> Came {
        self.frames[id].digest.learn_bytes(bytes);
        loop {
            let frame = &self.frames[id];
            let steps = &self.program.modules[frame.module].methods[frame.method].steps;
            let Some(step) = steps.get(frame.position) else {
                return self.end(id, Ok(frame.digest.signed(&[])));
            };
            self.frames[id].position += 1;
            if let Err(failure) = self.burn(id, step.cost()) {
                return self.end(id, Err(failure));
            }
            let done = match step {
                Step::Return(bytes) => Some(Ok(self.frames[id].digest.signed(bytes))),
                Step::Yield(_) if self.frames[id].caller.is_none() => {
                    Some(Err(Failure::host(super::machine::CALLBACK_IN_ROOT)))
                }
                Step::Yield(bytes) => {
                    self.frames[id].yields += 1;
                    return Came::Yielded(self.frames[id].digest.signed(bytes));
                }
                step => self.step(id, step).err().map(Err),
            };
            if let Some(result) = done {
                return self.end(id, result);
            }
        }
    }

    fn step(&mut self, id: usize, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Burn(_) | Step::Yield(_) | Step::Return(_) => Ok(()),
            Step::Write { key, value } => self.write(id, key, value.as_ref()),
            Step::Read { key } => {
                let found = self.seen(id, &self.namespace(id)).get(key).cloned();
                self.frames[id].digest.learn(u64::from(found.is_some()));
                if let Some(value) = found {
                    self.frames[id].digest.learn_bytes(&value);
                }
                Ok(())
            }
            Step::ReadGas => {
                let left = self.left(id);
                self.frames[id].digest.learn(left);
                Ok(())
            }
            Step::Log(text) => {
                self.frames[id].logs.push(text.clone());
                self.within_limits(id, |frame| drop(frame.logs.pop()))
            }
            Step::CreatePromise { .. } => self.promise(id, step),
            Step::Grow(bytes) => {
                let grown =
                    id == 0 || self.memory() + bytes <= self.program.limits.memory_bytes_max;
                if grown {
                    self.frames[id].memory += bytes;
                }
                self.frames[id].digest.learn(u64::from(grown));
                Ok(())
            }
            Step::Open { namespace, method, gas, depth, grants, slot } => {
                let opened = self.open(id, namespace, method, *gas, *depth, *grants)?;
                let frame = &mut self.frames[id];
                let handle = match &opened {
                    Ok(_) => frame.callees.len() as u64 - 1,
                    Err(_) => NEVER_OPENED,
                };
                frame.slots[*slot] = handle;
                frame.digest.learn(handle);
                if let Err(error) = opened {
                    frame.digest.learn_bytes(&error.to_bytes());
                }
                Ok(())
            }
            Step::Resume { slot, bytes } => {
                match self.live_callee(id, self.frames[id].slots[*slot]) {
                    Some(callee) => self.resume(id, callee, bytes),
                    None => self.told(id, Err(Failure::UnknownHandle)),
                }
                Ok(())
            }
            Step::Close { slot } => {
                let callee = self.live_callee(id, self.frames[id].slots[*slot]);
                self.frames[id].digest.learn(if callee.is_some() { 0 } else { 2 });
                if let Some(callee) = callee {
                    self.close(callee);
                }
                Ok(())
            }
            Step::NepStart { namespace, method, bytes, gas } => {
                if self.named(id, namespace).is_some() {
                    self.told(id, Err(Failure::AlreadyStarted));
                    return Ok(());
                }
                match self.open(id, namespace, method, *gas, u64::MAX, 16)? {
                    Ok(callee) => {
                        let name = self.namespace(callee);
                        self.frames[id].named.insert(name, callee);
                        self.resume(id, callee, bytes);
                    }
                    Err(error) => self.told(id, Err(error)),
                }
                Ok(())
            }
            Step::NepResume { namespace, bytes } => {
                match self.named(id, namespace) {
                    Some(callee) => self.resume(id, callee, bytes),
                    None => self.told(id, Err(Failure::NotStarted)),
                }
                Ok(())
            }
            Step::Trap => Err(Failure::WasmTrap(super::machine::UNREACHABLE)),
            Step::Panic(message) => Err(Failure::GuestPanic(message.clone())),
        }
    }

    /// Ends a frame: its suspended callees are closed, its effects handed on or dropped.
    fn end(&mut self, id: usize, result: Result<Vec<u8>, Failure>) -> Came {
        for callee in self.frames[id].callees.clone() {
            if self.is_live(callee) {
                self.close(callee);
            }
        }
        match (&result, self.frames[id].caller) {
            (Ok(_), caller) => {
                self.frames[id].ending = Some(Ending::Returned);
                if let Some(caller) = caller {
                    let copies = std::mem::take(&mut self.frames[id].copies);
                    let logs = std::mem::take(&mut self.frames[id].logs);
                    let promises = std::mem::take(&mut self.frames[id].promises);
                    let reserved = self.frames[id].reserved;
                    let caller = &mut self.frames[caller];
                    caller.copies.extend(copies);
                    caller.logs.extend(logs);
                    caller.promises.extend(promises);
                    caller.reserved += reserved;
                }
            }
            (Err(failure), caller) => {
                self.frames[id].ending = Some(Ending::Failed(failure.clone()));
                self.drop_effects(id, caller.is_none());
            }
        }
        Came::Ended(result)
    }

    fn close(&mut self, id: usize) {
        for callee in self.frames[id].callees.clone() {
            if self.is_live(callee) {
                self.close(callee);
            }
        }
        self.frames[id].ending = Some(Ending::Closed);
        self.drop_effects(id, false);
    }

    fn drop_effects(&mut self, id: usize, keeps_logs: bool) {
        let frame = &mut self.frames[id];
        frame.copies.clear();
        frame.promises.clear();
        if !keeps_logs {
            frame.lost_logs = std::mem::take(&mut frame.logs);
        }
    }

    fn resume(&mut self, id: usize, callee: usize, bytes: &[u8]) {
        let limit = self.program.limits.memory_bytes_max;
        if self.memory() + bytes.len() as u64 > limit {
            return self.told(id, Err(Failure::MemoryBudgetExceeded { limit }));
        }
        self.frames[callee].memory += bytes.len() as u64;
        // The smaller of its own rest and its caller's; it only ever falls.
        let allowed = self.left(callee).min(self.left(id));
        self.frames[callee].limit = self.used(callee) + allowed;
        let before = self.frames[callee].burnt;
        let came = self.enter(callee, bytes);
        self.frames[id].burnt += self.frames[callee].burnt - before;
        match came {
            Came::Yielded(bytes) => self.told(id, Ok((1, bytes))),
            Came::Ended(Ok(bytes)) => self.told(id, Ok((0, bytes))),
            Came::Ended(Err(error)) => self.told(id, Err(error)),
        }
    }

    fn told(&mut self, id: usize, answer: Result<(u64, Vec<u8>), Failure>) {
        let (status, bytes) = answer.unwrap_or_else(|error| (2, error.to_bytes()));
        self.frames[id].digest.learn(status);
        self.frames[id].digest.learn_bytes(&bytes);
    }

    // ---- opening ----

    /// The outer error ends the caller, the inner one it may handle.
    fn open(
        &mut self,
        id: usize,
        namespace: &[u8],
        method: &str,
        gas: u64,
        levels: u64,
        grants: u64,
    ) -> Result<Result<usize, Failure>, Failure> {
        let (module, method, granted) = match self.may_open(id, namespace, method, grants) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        self.burn(id, SETUP_GAS)?;
        let depth = self.frames[id].depth + 1;
        let deepest = depth.saturating_add(levels).min(self.frames[id].deepest);
        let limit = if gas == 0 { self.left(id) } else { gas };
        let callee = self.push(Some(id), module, method, depth, deepest, granted, limit);
        self.frames[id].callees.push(callee);
        Ok(Ok(callee))
    }

    fn may_open(
        &self,
        id: usize,
        namespace: &[u8],
        method: &str,
        asked: u64,
    ) -> Result<(usize, usize, Grants), Failure> {
        let caller = &self.frames[id];
        if caller.depth + 1 > caller.deepest {
            return Err(Failure::CallDepthExceeded { limit: caller.deepest as u32 });
        }
        if asked >= 32 {
            return Err(Failure::host("InvalidGrants"));
        }
        let grants = |c: Capability| asked >> (c as u64) & 1 == 1;
        let namespace = Namespace::from_bytes(namespace).map_err(|_| Failure::NamespaceNotFound)?;
        let position = self.program.module(&namespace).ok_or(Failure::NamespaceNotFound)?;
        let module = &self.program.modules[position];
        let method = module.method(method).ok_or(Failure::MethodNotFound)?;
        let from_private = self.program.modules[caller.module].visibility == Visibility::Private;
        let granted = match module.visibility {
            Visibility::Public => {
                if from_private {
                    return Err(Failure::host("PublicFromPrivate"));
                }
                if asked & 16 == 0 {
                    return Err(Failure::host("PublicNotAsked"));
                }
                let above: Vec<_> = self.chain(id).collect();
                if self
                    .live()
                    .any(|other| !above.contains(&other) && self.occupies(other, &namespace))
                {
                    return Err(Failure::AlreadyStarted);
                }
                Grants::ALL
            }
            Visibility::Private => {
                let has = |c: &Capability| grants(*c) && (!from_private || caller.granted.has(*c));
                let granted =
                    Capability::ALL.into_iter().filter(has).fold(Grants::NONE, Grants::with);
                if let Some(lacking) = module.requires().iter().find(|c| !granted.has(*c)) {
                    return Err(Failure::CapabilityNotGranted {
                        capability: lacking.name().into(),
                    });
                }
                granted
            }
        };
        let limits = &self.program.limits;
        let callees: Vec<_> = self.live().filter(|other| *other != 0).collect();
        if callees.len() as u64 + 1 > u64::from(limits.live_max) {
            return Err(Failure::TooManyLiveCalls { limit: limits.live_max });
        }
        if self.memory() + module.memory_bytes > limits.memory_bytes_max {
            return Err(Failure::MemoryBudgetExceeded { limit: limits.memory_bytes_max });
        }
        Ok((position, method, granted))
    }

    /// What all callees hold.
    fn memory(&self) -> u64 {
        self.live().filter(|id| *id != 0).map(|id| self.frames[id].memory).sum()
    }

    fn live_callee(&self, id: usize, handle: u64) -> Option<usize> {
        let callee = *self.frames[id].callees.get(usize::try_from(handle).ok()?)?;
        self.is_live(callee).then_some(callee)
    }

    fn named(&self, id: usize, namespace: &[u8]) -> Option<usize> {
        let namespace = Namespace::from_bytes(namespace).ok()?;
        self.frames[id].named.get(&namespace).copied().filter(|callee| self.is_live(*callee))
    }

    // ---- gas ----

    /// What live callees have reserved, all the way down.
    fn held(&self, id: usize) -> u64 {
        let live = self.frames[id].callees.iter().filter(|callee| self.is_live(**callee));
        live.map(|callee| self.frames[*callee].reserved + self.held(*callee)).sum()
    }

    fn used(&self, id: usize) -> u64 {
        self.frames[id].burnt + self.frames[id].reserved + self.held(id)
    }

    fn left(&self, id: usize) -> u64 {
        self.frames[id].limit - self.used(id)
    }

    fn burn(&mut self, id: usize, gas: u64) -> Result<(), Failure> {
        let enough = gas <= self.left(id);
        let frame = &mut self.frames[id];
        if !enough {
            frame.burnt = burnt_out(frame.burnt, gas, frame.limit);
            return Err(Failure::OutOfGas);
        }
        frame.burnt += gas;
        Ok(())
    }

    // ---- effects ----

    fn namespace(&self, id: usize) -> Namespace {
        self.program.modules[self.frames[id].module].namespace.clone()
    }

    fn chain(&self, id: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(id), |id| self.frames[*id].caller)
    }

    fn is_live(&self, id: usize) -> bool {
        self.frames[id].ending.is_none()
    }

    fn live(&self) -> impl Iterator<Item = usize> {
        (0..self.frames.len()).filter(|id| self.is_live(*id))
    }

    /// Whether a frame runs in a namespace, or holds writes to it that nobody else can see yet.
    fn occupies(&self, id: usize, namespace: &Namespace) -> bool {
        let module = &self.program.modules[self.frames[id].module];
        (module.visibility == Visibility::Public && module.namespace == *namespace)
            || self.frames[id].copies.contains_key(namespace)
    }

    /// A namespace as a frame sees it: its own copy, the nearest caller's, or what was there before.
    fn seen(&self, id: usize, namespace: &Namespace) -> Storage {
        self.chain(id)
            .find_map(|id| self.frames[id].copies.get(namespace))
            .or_else(|| self.program.storage.get(namespace))
            .cloned()
            .unwrap_or_default()
    }

    fn write(&mut self, id: usize, key: &[u8], value: Option<&Vec<u8>>) -> Result<(), Failure> {
        let namespace = self.namespace(id);
        let busy = |other: usize| {
            other != id
                && self.chain(other).any(|above| above == id)
                && self.occupies(other, &namespace)
        };
        if self.live().any(busy) {
            return Err(Failure::host("NamespaceBusy"));
        }
        let mut copy = self.seen(id, &namespace);
        match value {
            Some(value) => drop(copy.insert(key.to_vec(), value.clone())),
            None => drop(copy.remove(key)),
        }
        self.frames[id].copies.insert(namespace, copy);
        Ok(())
    }

    fn promise(&mut self, id: usize, step: &Step) -> Result<(), Failure> {
        let Step::CreatePromise { receiver, method, gas, deposit, after_last } = step else {
            return Ok(());
        };
        let frame = &mut self.frames[id];
        let after = frame.promises.last().filter(|_| *after_last).map(|last| last.id);
        let receipt = Receipt {
            receiver: receiver.clone(),
            method: method.clone(),
            gas: *gas,
            deposit: *deposit,
            after: None,
        };
        frame.promises.push(Promise { id: self.promises_made, after, receipt });
        self.promises_made += 1;
        self.within_limits(id, |frame| drop(frame.promises.pop()))?;
        if *gas > self.left(id) {
            return Err(Failure::OutOfGas);
        }
        self.frames[id].reserved += gas;
        Ok(())
    }

    /// Checks the ledger after something was done, and undoes it if it was too much.
    fn within_limits(&mut self, id: usize, undo: fn(&mut Frame)) -> Result<(), Failure> {
        let ledger = self.ledger();
        let limits = &self.program.limits.ledger;
        let broken = match ledger {
            None => "BalanceExceeded",
            Some(ledger) if ledger.logs > limits.logs => "NumberOfLogsExceeded",
            Some(ledger) if ledger.log_bytes > limits.log_bytes => "TotalLogLengthExceeded",
            Some(ledger) if ledger.receipts > limits.receipts => "NumberPromisesExceeded",
            Some(_) => return Ok(()),
        };
        undo(&mut self.frames[id]);
        Err(Failure::host(broken))
    }

    /// The totals over all frames whose effects have not been dropped; `None` if the balance does not do.
    fn ledger(&self) -> Option<Ledger> {
        let mut ledger = self.program.ledger;
        for frame in &self.frames {
            for promise in &frame.promises {
                ledger.balance = ledger.balance.checked_sub(promise.receipt.deposit)?;
                ledger.receipts += 1;
            }
            for log in &frame.logs {
                ledger.logs += 1;
                ledger.log_bytes += log.len() as u64;
            }
            for (namespace, copy) in &frame.copies {
                let before = match frame.caller {
                    Some(caller) => self.seen(caller, namespace),
                    None => self.program.storage.get(namespace).cloned().unwrap_or_default(),
                };
                ledger.storage_usage += storage_bytes(copy);
                ledger.storage_usage -= storage_bytes(&before);
            }
        }
        Some(ledger)
    }

    // ---- the outcome ----

    fn outcome(self, result: Result<Vec<u8>, Failure>) -> Outcome {
        let success = result.is_ok();
        let root = &self.frames[0];
        let ledger = if success { self.ledger() } else { None };
        let mut storage = self.program.storage.clone();
        storage.extend(root.copies.clone());
        storage.retain(|_, entries| !entries.is_empty());
        let positions: BTreeMap<usize, u64> =
            root.promises.iter().enumerate().map(|(at, promise)| (promise.id, at as u64)).collect();
        let receipts = root.promises.iter().map(|promise| Receipt {
            after: promise.after.map(|id| positions[&id]),
            ..promise.receipt.clone()
        });
        Outcome {
            result,
            gas_burnt: root.burnt,
            gas_used: if success { root.burnt + root.reserved } else { root.burnt },
            logs: root.logs.clone(),
            receipts: receipts.collect(),
            storage,
            ledger: ledger.unwrap_or(self.program.ledger),
            tree: self.node(0),
        }
    }

    fn node(&self, id: usize) -> CallNode {
        let frame = &self.frames[id];
        let module = &self.program.modules[frame.module];
        CallNode {
            namespace: module.namespace.clone(),
            visibility: module.visibility,
            method: module.methods[frame.method].name.clone(),
            count: 1,
            ending: frame.ending.clone().unwrap_or(Ending::Closed),
            gas_burnt: frame.burnt,
            gas_used: frame.burnt + frame.reserved,
            split: GasSplit::default(),
            yields: frame.yields,
            reverted_logs: frame.lost_logs.clone(),
            texts_dropped: 0,
            callees: frame.callees.iter().map(|callee| self.node(*callee)).collect(),
        }
    }
}
