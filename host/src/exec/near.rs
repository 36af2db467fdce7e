//! Calls NEAR's host functions (`near_vm_runner::logic::host`) by the one table.

use super::failure::Failure;
use cotenant_submodules::for_each_host_function;
use cotenant_submodules::table::HostFunctionId;
use near_vm_runner::logic::{HostCtx, VMLogicError, host};

/// What a NEAR host function gives, as the 64 bits that cross into the guest.
trait Crossing {
    fn crossing(self) -> u64;
}

impl Crossing for () {
    fn crossing(self) -> u64 {
        0
    }
}

impl Crossing for u64 {
    fn crossing(self) -> u64 {
        self
    }
}

impl Crossing for u32 {
    fn crossing(self) -> u64 {
        u64::from(self)
    }
}

/// Why a NEAR host function failed.
pub(super) enum NearError {
    /// The guest's fault.
    Guest(Failure),
    /// The host's own: the message of `External` or of an inconsistent state.
    Host(String),
}

impl From<VMLogicError> for NearError {
    fn from(error: VMLogicError) -> Self {
        match error {
            VMLogicError::HostError(error) => NearError::Guest(error.into()),
            VMLogicError::ExternalError(error) => NearError::Host(format!("{error:?}")),
            VMLogicError::InconsistentStateError(error) => NearError::Host(format!("{error:?}")),
        }
    }
}

type Near = fn(&mut HostCtx<'_>, &mut [u8], &[u64]) -> Result<u64, VMLogicError>;

macro_rules! calls {
    ($(($provider:ident, $id:ident, $function:ident, $name:literal,
        [$($param:ident: $param_type:ident),*], [$($result:ident)?],
        base = $base:literal, view = $view:expr, group = $group:ident, output = $output:expr, flag = $flag:expr)),* $(,)?) => {
        /// NEAR's function behind a row of the table, by position; `None` for ours and for those that are
        /// called in parts.
        static NEAR: &[Option<Near>] = &[$(calls!(@$provider $function [$($param: $param_type),*])),*];
    };
    (@near $function:ident [$($param:ident: $param_type:ident),*]) => {
        Some(|ctx, memory, args| {
            let mut args = args.iter().copied();
            $(let $param = args.next().unwrap_or_default() as $param_type;)*
            let _ = &mut args;
            host::$function(ctx, memory $(, $param)*).map(Crossing::crossing)
        })
    };
    (@parts $function:ident [$($param:ident: $param_type:ident),*]) => { None };
    (@sync $function:ident [$($param:ident: $param_type:ident),*]) => { None };
}

for_each_host_function!(calls);

/// Calls the NEAR function of a row that is called as a whole.
pub(super) fn call(
    id: HostFunctionId,
    ctx: &mut HostCtx<'_>,
    memory: &mut [u8],
    args: &[u64],
) -> Result<u64, NearError> {
    match NEAR[id as usize] {
        Some(function) => Ok(function(ctx, memory, args)?),
        None => Err(NearError::Host(format!("`{}` has no NEAR function", id.row().name))),
    }
}
