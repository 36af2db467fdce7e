//! The intermediate form of small programs, as `--emit ir` prints it. After a change that is meant:
//! `INSTA_UPDATE=always cargo test --release -p evm-to-wasm --test ir`, and a look at the difference.

mod assembler;

use assembler::assemble;

fn check(name: &str, program: &str) {
    let lines: Vec<&str> = program.trim().lines().map(str::trim).collect();
    let ir = evm_to_wasm::print_ir(&assemble(program), &evm_to_wasm::Options::default());
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, format!("{}\n\n{ir}", lines.join("\n")));
    });
}

#[test]
fn arithmetic() {
    // (a + 3 b) & 0xff, shifted: constants fold, the mask makes the sum narrow.
    check(
        "arithmetic",
        "
        PUSH0 CALLDATALOAD
        PUSH 0x20 CALLDATALOAD PUSH 3 MUL ADD
        PUSH 0xff AND
        PUSH 2 PUSH 5 ADD SHL
        PUSH0 MSTORE PUSH 0x20 PUSH0 RETURN
    ",
    );
}

#[test]
fn a_loop() {
    // sum = 0; for (i = 0; i < 100; i++) sum += i
    check(
        "a_loop",
        "
        PUSH0 PUSH0
        :again
        PUSH 100 DUP2 LT ISZERO @done JUMPI
        SWAP1 DUP2 ADD SWAP1
        PUSH 1 ADD @again JUMP
        :done
        POP PUSH0 MSTORE PUSH 0x20 PUSH0 RETURN
    ",
    );
}

#[test]
fn an_internal_function() {
    // square(calldata[0]) + square(calldata[32])
    check(
        "an_internal_function",
        "
        @first PUSH0 CALLDATALOAD @square JUMP
        :first
        @second PUSH 0x20 CALLDATALOAD @square JUMP
        :second
        ADD PUSH0 MSTORE PUSH 0x20 PUSH0 RETURN
        :square
        DUP1 MUL SWAP1 JUMP
    ",
    );
}

#[test]
fn a_dispatcher() {
    // get() reads slot 0, set(uint256) writes it; neither takes value.
    check(
        "a_dispatcher",
        "
        CALLVALUE @refuse JUMPI
        PUSH 4 CALLDATASIZE LT @refuse JUMPI
        PUSH0 CALLDATALOAD PUSH 0xe0 SHR
        DUP1 PUSH 0x6d4ce63c EQ @get JUMPI
        DUP1 PUSH 0x60fe47b1 EQ @set JUMPI
        :refuse
        PUSH0 DUP1 REVERT
        :get
        POP PUSH0 SLOAD PUSH0 MSTORE PUSH 0x20 PUSH0 RETURN
        :set
        POP PUSH 4 CALLDATALOAD PUSH0 SSTORE STOP
    ",
    );
}

#[test]
fn a_dynamic_jump() {
    // Where calldata says, with what calldata says on the stack.
    check(
        "a_dynamic_jump",
        "
        PUSH 0x20 CALLDATALOAD PUSH0 CALLDATALOAD JUMP
        :store
        PUSH0 SSTORE STOP
        :double
        DUP1 ADD @store JUMP
    ",
    );
}
