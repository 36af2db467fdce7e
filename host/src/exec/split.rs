//! Where the gas of a frame went.

use cotenant_submodules::calls::{GasSplit, HostUse};
use cotenant_submodules::table::HostFunctionId;

/// Where the gas of a frame went, kept here while it runs: a frame has few host functions and calls them often.
#[derive(Default)]
pub(super) struct Split {
    pub(super) loading: u64,
    wasm: u64,
    memory: u64,
    host: Vec<(HostFunctionId, HostUse)>,
    /// What was noted last.
    last: Last,
    /// Burnt for callees since the frame began.
    pub(super) callees: u64,
}

#[derive(Clone, Copy, Default)]
enum Last {
    #[default]
    Loading,
    Wasm,
    Memory,
    /// The position of a host function.
    Host(usize),
}

impl Split {
    pub(super) fn note(&mut self, id: HostFunctionId, gas: u64) {
        let at = self.host.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            self.host.push((id, HostUse::default()));
            self.host.len() - 1
        });
        if gas > 0 {
            self.last = Last::Host(at);
        }
        let entry = &mut self.host[at].1;
        entry.calls += 1;
        entry.gas += gas;
    }

    pub(super) fn note_wasm(&mut self, gas: u64) {
        self.last = Last::Wasm;
        self.wasm += gas;
    }

    pub(super) fn note_memory(&mut self, gas: u64) {
        if gas > 0 {
            self.last = Last::Memory;
        }
        self.memory += gas;
    }

    /// The split of a frame that burnt this much, callees included. A charge that exceeds the gas burns what there
    /// is, so where the gas ended less was burnt than noted, or more: what was reserved for promises is burnt with it.
    pub(super) fn settled(mut self, burnt: u64) -> GasSplit {
        let own = burnt.saturating_sub(self.callees);
        let host: u64 = self.host.iter().map(|(_, usage)| usage.gas).sum();
        let noted = self.loading + self.wasm + self.memory + host;
        let last = match self.last {
            Last::Loading => &mut self.loading,
            Last::Wasm => &mut self.wasm,
            Last::Memory => &mut self.memory,
            Last::Host(at) => &mut self.host[at].1.gas,
        };
        *last = last.saturating_add(own).saturating_sub(noted);
        let named = self.host.into_iter().map(|(id, usage)| (id.row().name, usage));
        let (loading, wasm, memory) = (self.loading, self.wasm, self.memory);
        GasSplit { loading, wasm, memory, host: named.collect() }
    }
}
