//! What a frame holds: its linear memory, registers, input, result, and bytes that wait. All of it counts in the memory budget of
//! the root call (`docs/spec/calls.md`, section 5).

use super::failure::Failure;
use super::frame::Frame;
use super::registers::REGISTER_BYTES;
use super::root::pages_within;
use cotenant_submodules::Visibility;
use cotenant_submodules::calls::FrameId;
use cotenant_submodules::table::HostFunctionId;
use near_vm_runner::logic::{HostError, host};

impl Frame<'_, '_> {
    /// Tells the engine how far the memory may grow now.
    pub(super) fn limit_pages(&self) {
        if let Some(growth) = &self.growth {
            let allowed = self.root.tree.borrow().memory_bytes_allowed(self.id);
            growth.limit(pages_within(allowed.saturating_sub(self.held_bytes())));
        }
    }

    /// Bytes that the frame holds besides its linear memory: input, registers, result, and what waits for `pending_into`.
    pub(super) fn held_bytes(&self) -> u64 {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.input_bytes
            + self.registers.usage
            + self.near_registers.usage
            + length(&self.returned)
            + length(&self.pending)
    }

    /// Bytes that the frame holds now, linear memory included.
    pub(super) fn all_bytes(&self) -> u64 {
        self.memory_bytes + self.held_bytes()
    }

    /// Checks that there is room in the memory budget for the frame to hold so many bytes more. The root's own frame has
    /// NEAR's limits alone.
    pub(super) fn check_room(&self, more: u64) -> Result<(), Failure> {
        let allowed = self.root.tree.borrow().memory_bytes_allowed(self.id);
        if self.all_bytes().saturating_add(more) > allowed {
            return Err(HostError::MemoryAccessViolation.into());
        }
        Ok(())
    }

    /// Counts a register that a NEAR function may have written. It is written by now, so a frame may hold one value too many
    /// before it ends.
    pub(super) fn note_near_register(&mut self, register: u64) -> Result<(), Failure> {
        if self.id == FrameId::ROOT {
            return Ok(());
        }
        let length = self.ctx.register_len_free(register);
        self.near_registers.note(register, length);
        self.check_room(0)
    }

    /// Bytes of memory, or of a register when the length is `u64::MAX`.
    pub(super) fn bytes(
        &mut self,
        memory: &[u8],
        length: u64,
        pointer: u64,
    ) -> Result<Vec<u8>, Failure> {
        if length != u64::MAX {
            return Ok(range(memory, length, pointer)?.to_vec());
        }
        if let Some(bytes) = self.registers.get(pointer) {
            return Ok(bytes.to_vec());
        }
        let Some(length) = self.ctx.register_len_free(pointer) else {
            return Err(HostError::InvalidRegisterId { register_id: pointer }.into());
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.burn(self.root.rules.base)?;
        self.used = None;
        host::read_register(&mut self.ctx, &mut bytes, pointer, 0)
            .map_err(|error| self.near_failure(error.into()))?;
        Ok(bytes)
    }

    /// Length of what [`Frame::bytes`] would give, without reading it.
    pub(super) fn length(&self, length: u64, pointer: u64) -> u64 {
        if length != u64::MAX {
            return length;
        }
        let own = self.registers.get(pointer).map(|bytes| bytes.len() as u64);
        own.or_else(|| self.ctx.register_len_free(pointer)).unwrap_or(0)
    }

    /// Delivers bytes into a register: a private frame's are ours, a public one's are NEAR's, at NEAR's price.
    pub(super) fn set_register(
        &mut self,
        register: u64,
        mut bytes: Vec<u8>,
    ) -> Result<(), Failure> {
        if self.visibility == Visibility::Public {
            self.burn(self.root.rules.base)?;
            let length = bytes.len() as u64;
            self.used = None;
            host::write_register(&mut self.ctx, &mut bytes, register, length, 0)
                .map_err(|error| self.near_failure(error.into()))?;
            return self.note_near_register(register);
        }
        let before = self.registers.size(register);
        self.check_room((bytes.len() as u64 + REGISTER_BYTES).saturating_sub(before))?;
        self.registers.set(register, bytes, &self.root.schedule.vm.limit_config)
    }

    /// The functions every private frame has, over registers of ours.
    pub(super) fn private_core(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
    ) -> Result<u64, Failure> {
        let costs = self.root.schedule.sync;
        let price =
            |length: u64| costs.register.saturating_add(costs.register_byte.saturating_mul(length));
        match id {
            HostFunctionId::Input => {
                self.burn(price(self.input.len() as u64))?;
                self.set_register(args[0], self.input.clone())?;
                Ok(0)
            }
            HostFunctionId::RegisterLen => {
                self.burn(costs.register)?;
                let own = self.registers.get(args[0]).map(|bytes| bytes.len() as u64);
                Ok(own.or_else(|| self.ctx.register_len_free(args[0])).unwrap_or(u64::MAX))
            }
            HostFunctionId::ReadRegister => {
                let Some(length) = self.registers.get(args[0]).map(<[u8]>::len) else {
                    return self.near(id, args, memory);
                };
                self.burn(price(length as u64))?;
                if let Some(bytes) = self.registers.get(args[0]) {
                    range_mut(memory, length as u64, args[1])?.copy_from_slice(bytes);
                }
                Ok(0)
            }
            HostFunctionId::ValueReturn => {
                let length = self.length(args[0], args[1]);
                self.burn(price(length))?;
                let limit = self.root.schedule.vm.limit_config.max_length_returned_data;
                if length > limit {
                    return Err(HostError::ReturnedValueLengthExceeded { length, limit }.into());
                }
                let before = self.returned.take().map_or(0, |bytes| bytes.len() as u64);
                let bytes = self.bytes(memory, args[0], args[1])?;
                self.check_room((bytes.len() as u64).saturating_sub(before))?;
                self.returned = Some(bytes);
                Ok(0)
            }
            _ => self.near(id, args, memory),
        }
    }
}

/// A range of memory.
pub(super) fn range(memory: &[u8], length: u64, pointer: u64) -> Result<&[u8], Failure> {
    usize::try_from(pointer)
        .ok()
        .zip(pointer.checked_add(length).and_then(|end| usize::try_from(end).ok()))
        .and_then(|(start, end)| memory.get(start..end))
        .ok_or_else(|| HostError::MemoryAccessViolation.into())
}

/// A range of memory to write to.
pub(super) fn range_mut(
    memory: &mut [u8],
    length: u64,
    pointer: u64,
) -> Result<&mut [u8], Failure> {
    usize::try_from(pointer)
        .ok()
        .zip(pointer.checked_add(length).and_then(|end| usize::try_from(end).ok()))
        .and_then(|(start, end)| memory.get_mut(start..end))
        .ok_or_else(|| HostError::MemoryAccessViolation.into())
}
