//! Ways in which `bench evm` runs a workload.

use serde::Serialize;

/// How the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// By revm's interpreter inside the engine contract.
    Interpreted,
    /// By a compiled private module beside the engine contract.
    Compiled,
    /// By the same compiled module, interpreted by wasmi inside the engine contract.
    CompiledWasmInWasm,
    /// By a module written in Rust, which is called itself.
    Handwritten,
}

impl Mode {
    pub(crate) const ALL: [Mode; 4] =
        [Mode::Interpreted, Mode::Compiled, Mode::CompiledWasmInWasm, Mode::Handwritten];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Interpreted => "interpreted",
            Mode::Compiled => "compiled",
            Mode::CompiledWasmInWasm => "compiled_wasm_in_wasm",
            Mode::Handwritten => "handwritten",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
