//! Rows of the benchmark and their ratios, with stable field names.

use super::Mode;
use cotenant_host::engine::EngineKind;
use cotenant_submodules::calls::{GasPart, GasProfile};
use serde::Serialize;

/// The workloads, in the order of the report.
const ORDER: [&str; 12] = [
    "soak_1000",
    "soak_10000",
    "erc20_transfer",
    "erc20_approve_transfer_from",
    "erc20_mint",
    "erc20_balance_of",
    "swap",
    "swap_5",
    "nft_mint",
    "hash_10k",
    "erc20_13m",
    "snailtracer",
];

const TGAS: u128 = 1_000_000_000_000;

/// One workload in one mode on one engine. Gas in units, times in nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) workload: &'static str,
    pub(super) mode: Mode,
    pub(super) engine: &'static str,
    pub(super) near_gas: u64,
    pub(super) near_gas_wasm: u64,
    pub(super) near_gas_host: u64,
    pub(super) near_gas_crypto: u64,
    pub(super) near_gas_sync: u64,
    pub(super) near_gas_loading: u64,
    pub(super) near_gas_fees: u64,
    pub(super) evm_gas: u64,
    pub(super) yields: u64,
    pub(super) nanos_median: u64,
    pub(super) nanos_min: u64,
    pub(super) nanos_max: u64,
    pub(super) runs: usize,
    pub(super) evm_gas_per_300_tgas: u64,
    pub(super) evm_gas_per_1000_tgas: u64,
    pub(super) over_limit: bool,
}

/// The ratio of two modes of a workload.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ratio {
    pub(super) workload: &'static str,
    pub(super) engine: &'static str,
    pub(super) over: Mode,
    pub(super) under: Mode,
    pub(super) execution_gas: f64,
    pub(super) near_gas: f64,
    pub(super) evm_gas_per_300_tgas: f64,
    pub(super) nanos: f64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    pub(super) ratios: Vec<Ratio>,
}

/// The work of a row's transactions.
pub(super) struct Work {
    pub(super) profile: GasProfile,
    pub(super) evm_gas: u64,
    pub(super) yields: u64,
    pub(super) over_limit: bool,
}

/// Position of a workload in the report.
pub(super) fn position(workload: &str) -> usize {
    ORDER.iter().position(|known| *known == workload).unwrap_or(ORDER.len())
}

/// Loops of a workload that is `cpu_ram_soak`.
pub(super) fn soak_loops(workload: &str) -> Option<u64> {
    workload.strip_prefix("soak_")?.parse().ok()
}

impl Row {
    pub(super) fn of(
        workload: &'static str,
        mode: Mode,
        engine: EngineKind,
        work: &Work,
        mut nanos: Vec<u64>,
    ) -> Self {
        nanos.sort_unstable();
        let part = |part| work.profile.part(part);
        let near_gas = work.profile.total();
        let per = |tgas: u128| {
            let gas = u128::from(work.evm_gas) * tgas * TGAS / u128::from(near_gas.max(1));
            u64::try_from(gas).unwrap_or(u64::MAX)
        };
        Self {
            workload,
            mode,
            engine: engine.name(),
            near_gas,
            near_gas_wasm: part(GasPart::Wasm),
            near_gas_host: part(GasPart::Host),
            near_gas_crypto: part(GasPart::Crypto),
            near_gas_sync: part(GasPart::Sync),
            near_gas_loading: part(GasPart::Loading),
            near_gas_fees: part(GasPart::Fees),
            evm_gas: work.evm_gas,
            yields: work.yields,
            nanos_median: crate::bench::measure::median(&nanos),
            nanos_min: nanos.first().copied().unwrap_or(0),
            nanos_max: nanos.last().copied().unwrap_or(0),
            runs: nanos.len(),
            evm_gas_per_300_tgas: per(300),
            evm_gas_per_1000_tgas: per(1_000),
            over_limit: work.over_limit,
        }
    }

    /// Gas of the work itself: Wasm, sync calls, hashes and precompiles of EVM frames.
    pub(super) fn execution_gas(&self) -> u64 {
        self.near_gas_wasm + self.near_gas_sync + self.near_gas_crypto
    }
}

impl Report {
    pub(super) fn of(mut rows: Vec<Row>) -> Self {
        rows.sort_by_key(|row| (position(row.workload), row.mode));
        let pairs = [
            (Mode::Interpreted, Mode::Compiled),
            (Mode::CompiledWasmInWasm, Mode::Compiled),
            (Mode::Compiled, Mode::Handwritten),
        ];
        let mut ratios = Vec::new();
        for over in &rows {
            for under in &rows {
                let alike = (over.workload, over.engine) == (under.workload, under.engine);
                if alike && pairs.contains(&(over.mode, under.mode)) {
                    ratios.push(Ratio::of(over, under));
                }
            }
        }
        Self { rows, ratios }
    }

    /// The row of a workload.
    pub(super) fn row(&self, workload: &str, mode: Mode, engine: &str) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.workload == workload && row.mode == mode && row.engine == engine)
    }

    /// The workloads that have rows, in order.
    pub(super) fn workloads(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.rows.iter().map(|row| row.workload).collect();
        names.dedup();
        names
    }

    /// The engines that have rows.
    pub(super) fn engines(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.engine) {
                names.push(row.engine);
            }
        }
        names
    }
}

impl Ratio {
    // Figures for people: a float has more digits than they read.
    fn of(over: &Row, under: &Row) -> Self {
        let ratio = |over: u64, under: u64| over as f64 / under.max(1) as f64;
        Self {
            workload: over.workload,
            engine: over.engine,
            over: over.mode,
            under: under.mode,
            execution_gas: ratio(over.execution_gas(), under.execution_gas()),
            near_gas: ratio(over.near_gas, under.near_gas),
            evm_gas_per_300_tgas: ratio(over.evm_gas_per_300_tgas, under.evm_gas_per_300_tgas),
            nanos: ratio(over.nanos_median, under.nanos_median),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mode: Mode, wasm: u64) -> Row {
        let mut profile = GasProfile::default();
        profile.count(GasPart::Wasm, wasm);
        profile.count(GasPart::Fees, 100);
        let work = Work { profile, evm_gas: 50, yields: 2, over_limit: false };
        Row::of("swap", mode, EngineKind::Wasmi, &work, vec![3, 1, 2])
    }

    #[test]
    fn ratios_are_between_modes_of_one_workload_on_one_engine() {
        let report = Report::of(vec![row(Mode::Compiled, 100), row(Mode::Interpreted, 900)]);
        let [ratio] = report.ratios.as_slice() else { panic!("{:?}", report.ratios) };
        assert_eq!((ratio.over, ratio.under), (Mode::Interpreted, Mode::Compiled));
        assert_eq!((ratio.execution_gas, ratio.near_gas), (9.0, 5.0));
        let row = report.row("swap", Mode::Compiled, "wasmi").unwrap();
        assert_eq!((row.near_gas, row.nanos_median), (200, 2));
        assert_eq!(row.evm_gas_per_300_tgas, 75_000_000_000_000);
        assert_eq!(report.rows[0].mode, Mode::Interpreted);
    }
}
