//! Yields as often as it is told and sums up the answers.

#![no_std]

use cotenant_guest::{callback_into, input, panic, value_return};

cotenant_guest::bare_module!();

/// The input is a count, the result the sum of all answers; every number is eight bytes little-endian. What
/// is yielded is the index of the yield. An answer of another length counts its bytes.
#[unsafe(no_mangle)]
pub extern "C" fn sum() {
    let Ok(count) = input().try_into().map(u64::from_le_bytes) else {
        panic("the input is 8 bytes little-endian")
    };
    let mut sum = 0_u64;
    for index in 0..count {
        let mut answer = [0; 8];
        let length = callback_into(&index.to_le_bytes(), &mut answer);
        let number =
            if length == answer.len() { u64::from_le_bytes(answer) } else { length as u64 };
        sum = sum.wrapping_add(number);
    }
    value_return(&sum.to_le_bytes());
}

/// Yields its input for ever: it ends when its gas does or when it is closed.
#[unsafe(no_mangle)]
pub extern "C" fn forever() {
    let question = input();
    loop {
        callback_into(&question, &mut []);
    }
}
