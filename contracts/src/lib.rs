//! Guests as bytes: example contracts, private modules, and modules that attack their host.
//!
//! ```
//! let router = cotenant_contracts::router();
//! assert!(router.starts_with(b"\0asm"));
//! for (name, code) in cotenant_contracts::ALL {
//!     println!("{name}: {} bytes", code.len());
//! }
//! ```
//!
//! Takes nothing at run time: the build script has built the packages of `guests/` for wasm32 and the text
//! modules of `wat/` and `hostile/`. Gives plain Wasm, as anybody could deploy it; no guest is known to any
//! host. Where a module is called a *private* one it imports core functions, and what the name of the group
//! says that it requires ([`PRIVATE`]).

#![forbid(unsafe_code)]

mod hostile;

pub use hostile::{Attacker, Expect, attackers};

/// One accessor a module, and the list of them all: a module is named once.
macro_rules! modules {
    ($($(#[$documentation:meta])* $name:ident,)*) => {
        $(
            $(#[$documentation])*
            pub fn $name() -> &'static [u8] {
                include_bytes!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".wasm"))
            }
        )*

        /// Every module but the hostile ones, by name.
        pub const ALL: &[(&str, &[u8])] = &[
            $((stringify!($name), include_bytes!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".wasm"))),)*
        ];
    };
}

modules! {
    /// near-sdk: a counter with an owner, views, a deposit, and a promise with a callback.
    counter,
    /// near-sdk: a parent that drives submodules as it is told and reports what happened.
    router,
    /// near-sdk: untrusted apps as private modules, which ask it for storage.
    apps,
    /// Private, an app for [`apps`]: notes.
    notes,
    /// Public or private: `cpu_ram_soak` by hand, and `noop`.
    soak,
    /// Public, bare: `run` calls `cpu_ram_soak` of the namespace `soak`.
    soak_parent,
    /// Public, bare: drives any submodule, echoing its yields.
    driver,
    /// Private: returns, yields or fails with its input.
    echo,
    /// Private: yields as often as it is told and sums the answers.
    yielder,
    /// Private: the same with nothing around the switch.
    pinger,
    /// Private: a method for every kind of trap.
    trapper,
    /// Private: burns gas, grows memory.
    burner,
    /// Private, requires `nested`: calls other private modules.
    nested_caller,
    /// Private, requires `log`: writes its input to the log.
    logger,
    /// Private, requires `crypto`: hashes its input.
    hasher,
    /// Public, bare: interprets a private module with wasmi.
    wasm_in_wasm,
    /// Public, bare: an Ethereum chain, with contracts as its private modules.
    engine,
    /// Public, bare: the same engine, in which wasmi interprets the modules of contracts.
    engine_wasm_in_wasm,
    /// Private, requires `crypto`: the large precompiles of [`engine`].
    evm_precompiles,
    /// Private: compiles EVM code, as `evm_to_wasm::compile` does.
    evm_compiler,
}

/// The private modules, each with the group of host functions it requires beyond the core ones.
pub const PRIVATE: &[(&str, Option<&str>)] = &[
    ("notes", None),
    ("soak", None),
    ("echo", None),
    ("yielder", None),
    ("pinger", None),
    ("trapper", None),
    ("burner", None),
    ("nested_caller", Some("nested")),
    ("logger", Some("log")),
    ("hasher", Some("crypto")),
    ("evm_precompiles", Some("crypto")),
    ("evm_compiler", None),
];

/// Every attacker's name and bytes, for who does not ask what is expected.
pub fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    attackers().into_iter().map(|attacker| (attacker.name, attacker.bytes)).collect()
}
