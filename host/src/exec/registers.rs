//! Registers: those of private frames, which are ours, and what is known of those that NEAR keeps.

use super::failure::Failure;
use near_parameters::vm::LimitConfig;
use near_vm_runner::logic::HostError;

/// What a register takes up by NEAR's count, besides its bytes.
pub(super) const REGISTER_BYTES: u64 = 8;

/// The registers of a private frame, of which most have one or two.
#[derive(Default)]
pub(super) struct Registers {
    values: Vec<(u64, Vec<u8>)>,
    /// What they take up by NEAR's count.
    pub(super) usage: u64,
}

/// How long the registers are that NEAR keeps.
#[derive(Default)]
pub(super) struct RegisterLengths {
    lengths: Vec<(u64, u64)>,
    /// What they take up by NEAR's count.
    pub(super) usage: u64,
}

impl RegisterLengths {
    pub(super) fn note(&mut self, register: u64, length: Option<u64>) {
        let Some(length) = length else { return };
        match self.lengths.iter_mut().find(|(known, _)| *known == register) {
            Some((_, before)) => {
                self.usage = self.usage - *before + length;
                *before = length;
            }
            None => {
                self.lengths.push((register, length));
                self.usage += length + REGISTER_BYTES;
            }
        }
    }
}

impl Registers {
    /// What a register takes up.
    pub(super) fn size(&self, register: u64) -> u64 {
        self.get(register).map_or(0, |bytes| bytes.len() as u64 + REGISTER_BYTES)
    }

    pub(super) fn get(&self, register: u64) -> Option<&[u8]> {
        let known = self.values.iter().find(|(known, _)| *known == register);
        known.map(|(_, bytes)| bytes.as_slice())
    }

    pub(super) fn set(
        &mut self,
        register: u64,
        bytes: Vec<u8>,
        limits: &LimitConfig,
    ) -> Result<(), Failure> {
        let length = bytes.len() as u64;
        let at = self.values.iter().position(|(known, _)| *known == register);
        let before = at.map_or(0, |at| self.values[at].1.len() as u64 + REGISTER_BYTES);
        let usage = self.usage - before + length + REGISTER_BYTES;
        if length > limits.max_register_size
            || (at.is_none() && self.values.len() as u64 >= limits.max_number_registers)
            || usage > limits.registers_memory_limit
        {
            return Err(HostError::MemoryAccessViolation.into());
        }
        self.usage = usage;
        match at {
            Some(at) => self.values[at].1 = bytes,
            None => self.values.push((register, bytes)),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, register: u64) {
        if let Some(at) = self.values.iter().position(|(known, _)| *known == register) {
            let (_, bytes) = self.values.swap_remove(at);
            self.usage -= bytes.len() as u64 + REGISTER_BYTES;
        }
    }
}
