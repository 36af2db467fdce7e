//! Calls other private modules of its account; must be granted `nested`.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use cotenant_guest::{
    Call, Grants, Step, SyncExecutionError, callback, input, panic, value_return,
};

cotenant_guest::bare_module!();

/// The input is `namespace method arguments`, parted by single spaces, the arguments any bytes. What the
/// callee yields is yielded on, its result is the result. A failure ends this call with the failure's name.
#[unsafe(no_mangle)]
pub extern "C" fn forward() {
    forward_with(Grants::NONE);
}

/// The same, granting the callee everything: what this frame was not granted is taken away by the host.
#[unsafe(no_mangle)]
pub extern "C" fn forward_all() {
    forward_with(Grants::ALL);
}

fn forward_with(grants: Grants) {
    let input = input();
    let mut parts = input.splitn(3, |byte| *byte == b' ');
    let (Some(namespace), Some(method), Some(arguments)) =
        (text(parts.next()), text(parts.next()), parts.next())
    else {
        panic("the input is `namespace method arguments`")
    };
    match run(namespace, method, arguments, grants) {
        Ok(result) => value_return(&result),
        Err(error) => panic(error.name()),
    }
}

fn run(
    namespace: &str,
    method: &str,
    arguments: &[u8],
    grants: Grants,
) -> Result<Vec<u8>, SyncExecutionError> {
    let mut live = Call::open(namespace, method).grants(grants).start()?;
    let mut step = live.resume(arguments)?;
    loop {
        match step {
            Step::Returned(result) => return Ok(result),
            Step::Yielded(question) => step = live.resume(&callback(&question))?,
        }
    }
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    core::str::from_utf8(bytes?).ok()
}
