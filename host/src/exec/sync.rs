//! The host functions of sync calls (`docs/spec/calls.md`, section 4): a thin layer over the call state
//! machine.

use super::failure::Failure;
use super::frame::{Ending, Frame};
use super::holdings::range_mut;
use super::root::Event;
use crate::action::{Action, Code};
use cotenant_submodules::calls::{Callee, OpenRequest};
use cotenant_submodules::table::HostFunctionId;
use cotenant_submodules::{
    DeployMode, Grants, NAMESPACE_BYTES_MAX, Namespace, STATUS_CALLBACK, STATUS_ERROR,
    STATUS_SUCCESS, SyncExecutionError, Visibility,
};
use near_primitives_core::hash::CryptoHash;
use near_vm_runner::logic::HostError;
use near_vm_runner::logic::types::ReturnData;

/// A deploy by hash has the length of the code above so many bits of flags.
const BY_HASH_FLAG_BITS: u32 = 8;
const BY_HASH_FLAGS: u64 = (1 << BY_HASH_FLAG_BITS) - 1;

/// What `open` answers when it refuses.
const REFUSED: u64 = u64::MAX;

/// What a switch into a callee brings back.
struct Answer {
    status: u64,
    bytes: Vec<u8>,
}

impl From<SyncExecutionError> for Answer {
    fn from(error: SyncExecutionError) -> Self {
        Self { status: STATUS_ERROR, bytes: error.to_bytes() }
    }
}

impl Frame<'_, '_> {
    pub(super) fn sync_function(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
    ) -> Result<u64, Failure> {
        use HostFunctionId as F;
        self.root.tree.borrow_mut().set_memory_bytes(self.id, self.all_bytes());
        match (id, args) {
            (F::SyncCallOpen, &[ns_len, ns, method_len, method, gas, depth, grants, register]) => {
                let request = self.open_request(
                    memory,
                    (ns_len, ns),
                    (method_len, method),
                    gas,
                    depth,
                    grants,
                )?;
                match self.open(request)? {
                    Ok(handle) => Ok(handle),
                    Err(error) => self.set_register(register, error.to_bytes()).map(|()| REFUSED),
                }
            }
            (F::SyncCallResume, &[handle, length, data, register]) => {
                let answer = self.resume(memory, handle, length, data)?;
                self.set_register(register, answer.bytes).map(|()| answer.status)
            }
            (F::SyncCallResumeInto, &[handle, length, data, into, capacity]) => {
                range_mut(memory, capacity, into)?;
                let answer = self.resume(memory, handle, length, data)?;
                let length = self.deliver(memory, answer.bytes, into, capacity)?;
                Ok(answer.status | length << 8)
            }
            (F::SyncCallClose, &[handle]) => {
                // The close itself was prepaid by `open`; this pays for the crossing.
                self.burn(self.root.schedule.sync.register)?;
                let callee = self.root.tree.borrow().callee(self.id, handle);
                let Ok(callee) = callee else { return Ok(STATUS_ERROR) };
                self.root.close_below(callee);
                self.root.close(callee);
                Ok(STATUS_SUCCESS)
            }
            (
                F::SyncFunctionCall,
                &[ns_len, ns, method_len, method, length, data, gas, register],
            ) => {
                let answer = self.named_call(
                    memory,
                    (ns_len, ns),
                    (method_len, method),
                    (length, data),
                    gas,
                )?;
                self.set_register(register, answer.bytes).map(|()| answer.status)
            }
            (F::ResumeSyncCall, &[ns_len, ns, length, data, register]) => {
                let name = self.name(memory, ns_len, ns, NAMESPACE_BYTES_MAX)?;
                let namespace = Namespace::from_bytes(&name).ok();
                let handle = self.root.tree.borrow().named(self.id, namespace.as_ref());
                let answer = match handle {
                    Ok(handle) => self.resume(memory, handle, length, data)?,
                    Err(error) => {
                        self.burn(self.root.schedule.sync.lookup)?;
                        error.into()
                    }
                };
                self.set_register(register, answer.bytes).map(|()| answer.status)
            }
            (F::Callback, &[length, data, register]) => {
                let answer = self.callback(memory, length, data)?;
                self.set_register(register, answer).map(|()| 0)
            }
            (F::CallbackInto, &[length, data, into, capacity]) => {
                range_mut(memory, capacity, into)?;
                let answer = self.callback(memory, length, data)?;
                self.deliver(memory, answer, into, capacity)
            }
            (F::PendingInto, &[into, capacity]) => {
                range_mut(memory, capacity, into)?;
                self.burn(self.root.schedule.sync.register)?;
                let bytes = self.pending.take().unwrap_or_default();
                self.deliver(memory, bytes, into, capacity)
            }
            (F::CurrentNamespace, &[register]) => {
                let name = self.root.tree.borrow().namespace(self.id).as_str().to_owned();
                self.give_name(name, register)
            }
            (F::PredecessorNamespace, &[register]) => {
                let name = {
                    let tree = self.root.tree.borrow();
                    tree.predecessor_namespace(self.id).map_or("", Namespace::as_str).to_owned()
                };
                self.give_name(name, register)
            }
            (F::PromiseBatchActionDeployModule, &[promise, ns_len, ns, flags, length, code]) => {
                let (namespace, mode) = self.deploy_target(memory, ns_len, ns, flags)?;
                self.root.tagged.replace(Some(Box::new(move |code| Action::DeployModule {
                    namespace,
                    mode,
                    code: Code::Bytes(code),
                })));
                self.near_deploy(&[promise, length, code], memory)
            }
            (F::PromiseBatchActionDeployModuleByHash, &[promise, ns_len, ns, flags, hash]) => {
                let (flags, length) = (flags & BY_HASH_FLAGS, flags >> BY_HASH_FLAG_BITS);
                let (namespace, mode) = self.deploy_target(memory, ns_len, ns, flags)?;
                let hash = self.bytes(memory, 32, hash)?;
                let Ok(hash) = <[u8; 32]>::try_from(hash.as_slice()) else {
                    return Err(HostError::MemoryAccessViolation.into());
                };
                let hash = CryptoHash(hash);
                self.root.tagged.replace(Some(Box::new(move |_| Action::DeployModule {
                    namespace,
                    mode,
                    code: Code::Hash { hash, bytes: length },
                })));
                self.near_deploy_of(promise, length)
            }
            (F::PromiseBatchActionRemoveModule, &[promise, ns_len, ns, keep]) => {
                let keep_storage = match keep {
                    0 => false,
                    1 => true,
                    other => {
                        let message = format!("keep_storage is {other}: 0 deletes, 1 keeps");
                        return Err(Failure::Rule("InvalidKeepStorage", message));
                    }
                };
                let name = self.name(memory, ns_len, ns, NAMESPACE_BYTES_MAX)?;
                let namespace = namespace_of(&name)?;
                self.root.tagged.replace(Some(Box::new(move |_| Action::RemoveModule {
                    namespace,
                    keep_storage,
                })));
                self.near_deploy(&[promise, 0, 0], memory)
            }
            _ => Err(Failure::Rule("Unimplemented", format!("`{}`", id.row().name))),
        }
    }

    // ---- open, resume, callback ----

    fn open_request(
        &mut self,
        memory: &[u8],
        (ns_len, ns): (u64, u64),
        (method_len, method): (u64, u64),
        gas: u64,
        depth: u64,
        grants: u64,
    ) -> Result<OpenRequest, Failure> {
        let namespace = self.name(memory, ns_len, ns, NAMESPACE_BYTES_MAX)?;
        let method_max = self.root.schedule.vm.limit_config.max_length_method_name as usize;
        let method = self.name(memory, method_len, method, method_max)?;
        self.burn(self.root.schedule.sync.lookup)?;
        Ok(OpenRequest {
            namespace: Namespace::from_bytes(&namespace).ok(),
            // A name that is no UTF-8 names no method.
            method: String::from_utf8(method).unwrap_or_else(|_| "\u{0}".to_owned()),
            gas,
            depth,
            grants,
        })
    }

    fn open(&mut self, request: OpenRequest) -> Result<Result<u64, SyncExecutionError>, Failure> {
        let code = match &request.namespace {
            Some(namespace) => self.root.code(namespace).map_err(|fault| self.root.fail(fault))?,
            None => None,
        };
        let callee = code.as_ref().map(|code| Callee {
            visibility: code.visibility,
            requires: code.requires,
            has_method: code.functions.get(&request.method) == Some(&true),
            memory_bytes: u64::from(code.initial_pages) * crate::engine::PAGE_BYTES,
        });
        let checked = self.root.tree.borrow().check_open(self.id, &request, callee.as_ref());
        let (code, callee) = match (checked, code, callee) {
            (Ok(()), Some(code), Some(callee)) => (code, callee),
            (Err(error), _, _) => return Ok(Err(error)),
            _ => return Ok(Err(SyncExecutionError::NamespaceNotFound)),
        };
        let costs = self.root.schedule.sync;
        // A public module's memory is not priced, as on NEAR.
        let priced = if callee.visibility == Visibility::Private { code.initial_pages } else { 0 };
        let pages = costs.memory_page.saturating_mul(u64::from(priced));
        let instance = costs.opening(&code.parts).saturating_add(pages);
        self.burn(costs.open.saturating_add(costs.close).saturating_add(instance))?;
        let left = self.left();
        let method = request.method.clone();
        let (frame, handle) = self.root.tree.borrow_mut().open(self.id, request, &callee, left);
        self.root.prepare(frame, code, method);
        Ok(Ok(handle))
    }

    fn resume(
        &mut self,
        memory: &[u8],
        handle: u64,
        length: u64,
        data: u64,
    ) -> Result<Answer, Failure> {
        let bytes = self.priced_bytes(memory, length, data, self.root.schedule.sync.resume)?;
        self.switch(handle, bytes)
    }

    fn switch(&mut self, handle: u64, bytes: Vec<u8>) -> Result<Answer, Failure> {
        self.pending = None;
        let left = self.left();
        let length = bytes.len() as u64;
        let resumption = self.root.tree.borrow_mut().resume(self.id, handle, length, left);
        let resumption = match resumption {
            Ok(resumption) => resumption,
            Err(error) => return Ok(error.into()),
        };
        let callee = resumption.callee;
        let event = self
            .root
            .resume(callee, bytes, resumption.allowance)
            .map_err(|stop| self.root.stop(stop, callee))?;
        let answer = match event {
            Event::Yielded(bytes, report) => {
                let settlement = self.root.tree.borrow_mut().yielded(callee, report);
                self.settle(settlement.burn, settlement.take_over)?;
                Answer { status: STATUS_CALLBACK, bytes }
            }
            Event::Ended(Ending { result: Err(Failure::Fault), .. }) => return Err(Failure::Fault),
            Event::Ended(Ending { result, report, logs }) => {
                let answer = match &result {
                    Ok(ReturnData::Value(bytes)) => {
                        Answer { status: STATUS_SUCCESS, bytes: bytes.clone() }
                    }
                    Ok(_) => Answer { status: STATUS_SUCCESS, bytes: Vec::new() },
                    Err(failure) => failure.to_sync_error().into(),
                };
                let result = result.map(|_| ()).map_err(|failure| failure.to_sync_error());
                let own_logs = self.logs();
                let settlement =
                    self.root.tree.borrow_mut().ended(callee, result, report, logs, own_logs);
                self.settle(settlement.burn, settlement.take_over)?;
                answer
            }
        };
        let out = self.root.schedule.sync.byte_out.saturating_mul(answer.bytes.len() as u64);
        self.burn(out)?;
        Ok(answer)
    }

    fn callback(&mut self, memory: &[u8], length: u64, data: u64) -> Result<Vec<u8>, Failure> {
        let bytes = self.priced_bytes(memory, length, data, self.root.schedule.sync.callback)?;
        self.pending = None;
        self.suspend(bytes, memory)
    }

    // ---- NEP-481's own interface ----

    fn named_call(
        &mut self,
        memory: &[u8],
        namespace: (u64, u64),
        method: (u64, u64),
        (length, data): (u64, u64),
        gas: u64,
    ) -> Result<Answer, Failure> {
        // The NEP knows one kind of module, so its functions reach both.
        let grants = Grants::PUBLIC.bits();
        let request = self.open_request(memory, namespace, method, gas, u64::MAX, grants)?;
        let bytes = self.priced_bytes(memory, length, data, self.root.schedule.sync.resume)?;
        let namespace = request.namespace.clone();
        if self.root.tree.borrow().named(self.id, namespace.as_ref()).is_ok() {
            return Ok(SyncExecutionError::AlreadyStarted.into());
        }
        match self.open(request)? {
            Ok(handle) => {
                if let Some(namespace) = namespace {
                    self.root.tree.borrow_mut().start_named(self.id, namespace, handle);
                }
                self.switch(handle, bytes)
            }
            Err(error) => Ok(error.into()),
        }
    }

    // ---- bytes ----

    /// Bytes on their way into a callee or to a caller, after their price and a fixed one were burnt.
    fn priced_bytes(
        &mut self,
        memory: &[u8],
        length: u64,
        data: u64,
        fixed: u64,
    ) -> Result<Vec<u8>, Failure> {
        let per_byte = self.root.schedule.sync.byte_in;
        let price = per_byte.saturating_mul(self.length(length, data)).saturating_add(fixed);
        self.burn(price)?;
        let limit = self.root.schedule.vm.limit_config.max_arguments_length;
        let bytes = self.bytes(memory, length, data)?;
        if bytes.len() as u64 > limit {
            let length = bytes.len() as u64;
            return Err(HostError::ValueLengthExceeded { length, limit }.into());
        }
        Ok(bytes)
    }

    /// A name, cut one byte beyond its limit: what is longer names nothing.
    fn name(
        &mut self,
        memory: &[u8],
        length: u64,
        data: u64,
        max: usize,
    ) -> Result<Vec<u8>, Failure> {
        let found = self.length(length, data);
        self.burn(self.root.schedule.sync.byte_in.saturating_mul(found))?;
        let mut bytes = self.bytes(memory, length, data)?;
        bytes.truncate(max + 1);
        Ok(bytes)
    }

    /// Bytes into memory if they fit; kept for `pending_into` if not. Gives their length.
    fn deliver(
        &mut self,
        memory: &mut [u8],
        bytes: Vec<u8>,
        into: u64,
        capacity: u64,
    ) -> Result<u64, Failure> {
        let length = bytes.len() as u64;
        if length <= capacity {
            range_mut(memory, length, into)?.copy_from_slice(&bytes);
        } else {
            self.check_room(length)?;
            self.pending = Some(bytes);
        }
        Ok(length)
    }

    fn give_name(&mut self, name: String, register: u64) -> Result<u64, Failure> {
        let costs = self.root.schedule.sync;
        let length = name.len() as u64;
        self.burn(costs.register.saturating_add(costs.register_byte.saturating_mul(length)))?;
        self.set_register(register, name.into_bytes()).map(|()| 0)
    }

    // ---- deploy actions ----

    fn deploy_target(
        &mut self,
        memory: &[u8],
        length: u64,
        name: u64,
        flags: u64,
    ) -> Result<(Namespace, DeployMode), Failure> {
        let Some(mode) = DeployMode::from_flags(flags) else {
            let message = format!(
                "flags of the deploy are {flags:#b}: bit 0 private, bit 1 it may replace a private module, bits 1 and 2 any"
            );
            return Err(Failure::Rule("InvalidDeployFlags", message));
        };
        let name = self.name(memory, length, name, NAMESPACE_BYTES_MAX)?;
        Ok((namespace_of(&name)?, mode))
    }

    /// NEAR's deploy function on code of so many bytes, which are nobody's: it has the price of the code.
    fn near_deploy_of(&mut self, promise: u64, length: u64) -> Result<u64, Failure> {
        let limit = self.root.schedule.vm.limit_config.max_contract_size;
        if length > limit {
            self.root.tagged.take();
            return Err(HostError::ContractSizeExceeded { size: length, limit }.into());
        }
        let mut code = vec![0; usize::try_from(length).unwrap_or(0)];
        self.near_deploy(&[promise, length, 0], &mut code)
    }

    /// NEAR's deploy function, whose append finds what was left in the tag.
    fn near_deploy(&mut self, args: &[u64], memory: &mut [u8]) -> Result<u64, Failure> {
        let result = self.near(HostFunctionId::PromiseBatchActionDeployContract, args, memory);
        self.root.tagged.take();
        result
    }
}

fn namespace_of(name: &[u8]) -> Result<Namespace, Failure> {
    Namespace::from_bytes(name)
        .map_err(|error| Failure::Rule("InvalidNamespace", error.to_string()))
}
