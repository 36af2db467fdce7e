//! A host without an engine: runs a program on [`CallTree`]. Frames are iterators over their steps, the one
//! that runs is named by a variable, and guest recursion is never host recursion.

use super::{Digest, NEVER_OPENED, Outcome, Program, Receipt, SETUP_GAS, SLOTS, Step};
use super::{burnt_out, storage_bytes};
use crate::calls::{
    CallTree, Callee, FrameId, GasReport, LedgerChange, LedgerError, OpenRequest, Resumption,
    Settlement,
};
use crate::{Grants, Namespace, STATUS_CALLBACK, STATUS_ERROR, STATUS_SUCCESS, SyncExecutionError};
use std::collections::BTreeMap;

/// The host error of a root call that calls back.
pub const CALLBACK_IN_ROOT: &str = "CallbackOutsideSyncCall";
/// Kind of the trap `unreachable`, in near-vm-runner's order.
pub const UNREACHABLE: u8 = 0;

type Failure = SyncExecutionError;

/// What a host keeps of a frame: where its code is, its registers, its meter.
struct Guest {
    caller: Option<FrameId>,
    module: usize,
    method: usize,
    position: usize,
    slots: [u64; SLOTS],
    digest: Digest,
    /// Gas it may have used in the end, burnt and reserved, callees included.
    limit: u64,
    gas: GasReport,
    memory_bytes: u64,
    logs: Vec<String>,
}

/// Where a step leads.
enum Next {
    Stay,
    Enter(Resumption, Vec<u8>),
    Yield(Vec<u8>),
    Return(Vec<u8>),
}

struct Machine<'p> {
    program: &'p Program,
    tree: CallTree<Receipt>,
    guests: Vec<Guest>,
    refusals: Vec<Failure>,
}

/// What a program does.
pub fn run(program: &Program) -> Outcome {
    run_and_watch(program).0
}

/// What a program does, and every refusal of an open or a resume that its frames were told.
pub fn run_and_watch(program: &Program) -> (Outcome, Vec<SyncExecutionError>) {
    let root = &program.modules[0];
    let method = root.method(&program.root_method).unwrap_or(0);
    let tree = CallTree::new(
        program.limits,
        root.namespace.clone(),
        &root.methods[method].name,
        program.gas,
        program.ledger,
    );
    let mut machine = Machine { program, tree, guests: Vec::new(), refusals: Vec::new() };
    machine.guests.push(Guest::new(None, 0, method, root.memory_bytes));
    machine.guests[0].limit = program.gas;
    machine.guests[0].digest.learn_bytes(&program.arguments);
    let result = machine.run_to_the_end();
    let refusals = std::mem::take(&mut machine.refusals);
    (machine.outcome(result), refusals)
}

impl Guest {
    fn new(caller: Option<FrameId>, module: usize, method: usize, memory_bytes: u64) -> Self {
        Self {
            caller,
            module,
            method,
            position: 0,
            slots: [NEVER_OPENED; SLOTS],
            digest: Digest::default(),
            limit: 0,
            gas: GasReport::default(),
            memory_bytes,
            logs: Vec::new(),
        }
    }

    fn told(&mut self, status: u64, bytes: &[u8]) {
        self.digest.learn(status);
        self.digest.learn_bytes(bytes);
    }

    fn settle(&mut self, settlement: Settlement) {
        self.gas.burnt += settlement.burn;
        self.gas.reserved += settlement.take_over;
    }
}

impl<'p> Machine<'p> {
    fn guest(&mut self, id: FrameId) -> &mut Guest {
        &mut self.guests[id.index()]
    }

    fn run_to_the_end(&mut self) -> Result<Vec<u8>, Failure> {
        let mut running = FrameId::ROOT;
        loop {
            let result = match self.step(running) {
                Ok(Next::Stay) => continue,
                Ok(Next::Enter(resumption, bytes)) => {
                    running = resumption.callee;
                    let held = self.tree.held(running);
                    let guest = self.guest(running);
                    guest.limit =
                        guest.gas.burnt + guest.gas.reserved + held + resumption.allowance;
                    guest.digest.learn_bytes(&bytes);
                    continue;
                }
                Ok(Next::Yield(bytes)) => match self.guests[running.index()].caller {
                    Some(caller) => {
                        let settlement =
                            self.tree.yielded(running, self.guests[running.index()].gas);
                        running = caller;
                        self.guest(caller).settle(settlement);
                        self.guest(caller).told(STATUS_CALLBACK, &bytes);
                        continue;
                    }
                    None => Err(Failure::host(CALLBACK_IN_ROOT)),
                },
                Ok(Next::Return(bytes)) => Ok(bytes),
                Err(failure) => Err(failure),
            };
            self.close_below(running);
            let Some(caller) = self.guests[running.index()].caller else { return result };
            let logs = std::mem::take(&mut self.guest(running).logs);
            let gas = self.guests[running.index()].gas;
            let caller_logs = self.guests[caller.index()].logs.len();
            let ending = result.as_ref().map(|_| ()).map_err(Clone::clone);
            let settlement = self.tree.ended(running, ending, gas, logs, caller_logs);
            running = caller;
            self.guest(caller).settle(settlement);
            match result {
                Ok(bytes) => self.guest(caller).told(STATUS_SUCCESS, &bytes),
                Err(failure) => self.guest(caller).told(STATUS_ERROR, &failure.to_bytes()),
            }
        }
    }

    fn close_below(&mut self, id: FrameId) {
        for below in self.tree.live_below(id) {
            let logs = std::mem::take(&mut self.guest(below).logs);
            self.tree.closed(below, logs);
        }
    }

    fn step(&mut self, id: FrameId) -> Result<Next, Failure> {
        let program = self.program;
        let guest = self.guest(id);
        let steps = &program.modules[guest.module].methods[guest.method].steps;
        let Some(step) = steps.get(guest.position) else {
            return Ok(Next::Return(guest.digest.signed(&[])));
        };
        guest.position += 1;
        self.burn(id, step.cost())?;
        match step {
            Step::Burn(_) => {}
            Step::Write { key, value } => self.write(id, key, value.clone())?,
            Step::Read { key } => {
                let found = self.seen(id, key).map(<[u8]>::to_vec);
                let digest = &mut self.guest(id).digest;
                digest.learn(u64::from(found.is_some()));
                if let Some(value) = found {
                    digest.learn_bytes(&value);
                }
            }
            Step::ReadGas => {
                let left = self.left(id);
                self.guest(id).digest.learn(left);
            }
            Step::Log(text) => {
                let log_bytes = text.len() as u64;
                self.charge(id, LedgerChange { logs: 1, log_bytes, ..LedgerChange::default() })?;
                self.guest(id).logs.push(text.clone());
            }
            Step::CreatePromise { receiver, method, gas, deposit, after_last } => {
                let change =
                    LedgerChange { spent: *deposit, receipts: 1, ..LedgerChange::default() };
                self.charge(id, change)?;
                if *gas > self.left(id) {
                    return Err(Failure::OutOfGas);
                }
                self.guest(id).gas.reserved += gas;
                let receipts = self.tree.receipts_mut(id);
                let last = (receipts.len() as u64).checked_sub(1);
                receipts.push(Receipt {
                    receiver: receiver.clone(),
                    method: method.clone(),
                    gas: *gas,
                    deposit: *deposit,
                    after: last.filter(|_| *after_last),
                });
            }
            Step::Grow(bytes) => {
                let size = self.guests[id.index()].memory_bytes + bytes;
                let grown = size <= self.tree.memory_bytes_allowed(id);
                if grown {
                    self.guest(id).memory_bytes = size;
                    self.tree.set_memory_bytes(id, size);
                }
                self.guest(id).digest.learn(u64::from(grown));
            }
            Step::Yield(bytes) => return Ok(Next::Yield(self.guest(id).digest.signed(bytes))),
            Step::Open { namespace, method, gas, depth, grants, slot } => {
                let opened = self.open(id, namespace, method, *gas, *depth, *grants)?;
                let guest = self.guest(id);
                let handle = opened.as_ref().map_or(NEVER_OPENED, |(_, handle)| *handle);
                guest.slots[*slot] = handle;
                guest.digest.learn(handle);
                if let Err(error) = opened {
                    guest.digest.learn_bytes(&error.to_bytes());
                    self.refusals.push(error);
                }
            }
            Step::Resume { slot, bytes } => {
                let handle = self.guests[id.index()].slots[*slot];
                return Ok(self.resume(id, Ok(handle), bytes));
            }
            Step::Close { slot } => {
                let handle = self.guests[id.index()].slots[*slot];
                let status = match self.tree.callee(id, handle) {
                    Ok(callee) => {
                        self.close_below(callee);
                        let logs = std::mem::take(&mut self.guest(callee).logs);
                        self.tree.closed(callee, logs);
                        STATUS_SUCCESS
                    }
                    Err(_) => STATUS_ERROR,
                };
                self.guest(id).digest.learn(status);
            }
            Step::NepStart { namespace, method, bytes, gas } => {
                let name = Namespace::from_bytes(namespace).ok();
                if self.tree.named(id, name.as_ref()).is_ok() {
                    return Ok(self.resume(id, Err(Failure::AlreadyStarted), bytes));
                }
                let opened =
                    self.open(id, namespace, method, *gas, u64::MAX, Grants::PUBLIC.bits())?;
                if let (Ok((_, handle)), Some(name)) = (&opened, name) {
                    self.tree.start_named(id, name, *handle);
                }
                return Ok(self.resume(id, opened.map(|(_, handle)| handle), bytes));
            }
            Step::NepResume { namespace, bytes } => {
                let name = Namespace::from_bytes(namespace).ok();
                let handle = self.tree.named(id, name.as_ref());
                return Ok(self.resume(id, handle, bytes));
            }
            Step::Trap => return Err(Failure::WasmTrap(UNREACHABLE)),
            Step::Panic(message) => return Err(Failure::GuestPanic(message.clone())),
            Step::Return(bytes) => return Ok(Next::Return(self.guest(id).digest.signed(bytes))),
        }
        Ok(Next::Stay)
    }

    /// Opens a callee; the outer error ends the caller, the inner one it may handle.
    fn open(
        &mut self,
        id: FrameId,
        namespace: &[u8],
        method: &str,
        gas: u64,
        depth: u64,
        grants: u64,
    ) -> Result<Result<(FrameId, u64), Failure>, Failure> {
        let namespace = Namespace::from_bytes(namespace).ok();
        let position = namespace.as_ref().and_then(|namespace| self.program.module(namespace));
        let module = position.map(|position| &self.program.modules[position]);
        let method_position = module.and_then(|module| module.method(method));
        let callee = module.map(|module| Callee {
            visibility: module.visibility,
            requires: module.requires(),
            has_method: method_position.is_some(),
            memory_bytes: module.memory_bytes,
        });
        let request = OpenRequest { namespace, method: method.to_owned(), gas, depth, grants };
        if let Err(refused) = self.tree.check_open(id, &request, callee.as_ref()) {
            return Ok(Err(refused));
        }
        let (Some(callee), Some(module), Some(method)) = (callee, position, method_position) else {
            return Ok(Err(Failure::NamespaceNotFound));
        };
        self.burn(id, SETUP_GAS)?;
        let left = self.left(id);
        let (opened, handle) = self.tree.open(id, request, &callee, left);
        let guest = Guest::new(Some(id), module, method, callee.memory_bytes);
        match self.guests.get_mut(opened.index()) {
            Some(place) => *place = guest,
            None => self.guests.push(guest),
        }
        Ok(Ok((opened, handle)))
    }

    fn resume(&mut self, id: FrameId, handle: Result<u64, Failure>, bytes: &[u8]) -> Next {
        let left = self.left(id);
        let length = bytes.len() as u64;
        match handle.and_then(|handle| self.tree.resume(id, handle, length, left)) {
            Ok(resumption) => {
                self.guest(resumption.callee).memory_bytes += length;
                Next::Enter(resumption, bytes.to_vec())
            }
            Err(error) => {
                self.guest(id).told(STATUS_ERROR, &error.to_bytes());
                self.refusals.push(error);
                Next::Stay
            }
        }
    }

    // ---- gas ----

    /// Never below zero: what callees burn and hold was allowed out of it.
    fn left(&self, id: FrameId) -> u64 {
        let guest = &self.guests[id.index()];
        guest.limit - guest.gas.burnt - guest.gas.reserved - self.tree.held(id)
    }

    fn burn(&mut self, id: FrameId, charge: u64) -> Result<(), Failure> {
        let left = self.left(id);
        let guest = self.guest(id);
        if charge > left {
            guest.gas.burnt = burnt_out(guest.gas.burnt, charge, guest.limit);
            return Err(Failure::OutOfGas);
        }
        guest.gas.burnt += charge;
        Ok(())
    }

    // ---- effects ----

    fn charge(&mut self, id: FrameId, change: LedgerChange) -> Result<(), Failure> {
        self.tree.charge_ledger(id, change).map_err(|error| {
            Failure::host(match error {
                LedgerError::BalanceExceeded => "BalanceExceeded",
                LedgerError::NumberOfLogsExceeded { .. } => "NumberOfLogsExceeded",
                LedgerError::TotalLogLengthExceeded { .. } => "TotalLogLengthExceeded",
                LedgerError::NumberPromisesExceeded { .. } => "NumberPromisesExceeded",
            })
        })
    }

    fn seen(&self, id: FrameId, key: &[u8]) -> Option<&[u8]> {
        self.tree.pending(id, key).unwrap_or_else(|| {
            let stored = self.program.storage.get(self.tree.namespace(id))?;
            stored.get(key).map(Vec::as_slice)
        })
    }

    fn write(&mut self, id: FrameId, key: &[u8], value: Option<Vec<u8>>) -> Result<(), Failure> {
        let bytes = |value: Option<&[u8]>| {
            let entry = value.map(|value| (key.to_vec(), value.to_vec()));
            storage_bytes(&entry.into_iter().collect()).cast_signed()
        };
        let storage = bytes(value.as_deref()) - bytes(self.seen(id, key));
        self.tree.write(id, key, value)?;
        self.charge(id, LedgerChange { storage, ..LedgerChange::default() })
    }

    // ---- the outcome ----

    fn outcome(mut self, result: Result<Vec<u8>, Failure>) -> Outcome {
        let root = &mut self.guests[0];
        let (gas, logs) = (root.gas, std::mem::take(&mut root.logs));
        let ending = result.as_ref().map(|_| ()).map_err(Clone::clone);
        assert_eq!(self.tree.live(), 0, "every callee has ended");
        let finished = self.tree.finish(ending, gas, logs);
        let mut storage = self.program.storage.clone();
        let mut receipts = Vec::new();
        let mut gas_used = gas.burnt;
        if let Some(effects) = finished.effects {
            receipts = effects.receipts;
            gas_used += gas.reserved;
            for (namespace, writes) in effects.writes {
                let entries: &mut BTreeMap<_, _> = storage.entry(namespace).or_default();
                for (key, value) in writes {
                    match value {
                        Some(value) => drop(entries.insert(key, value)),
                        None => drop(entries.remove(&key)),
                    }
                }
            }
        }
        storage.retain(|_, entries| !entries.is_empty());
        Outcome {
            result,
            gas_burnt: gas.burnt,
            gas_used,
            logs: finished.logs,
            receipts,
            storage,
            ledger: finished.ledger,
            tree: finished.tree,
        }
    }
}
