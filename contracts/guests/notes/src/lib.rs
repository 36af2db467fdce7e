//! A sample app for the `apps` contract: notes of many authors, kept in storage it does not have.
//!
//! Whoever installed it need not be trusted: it can compute, and it can ask its parent. Every key below is
//! its own; the parent decides what it may touch.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use cotenant_guest::codec::Reader;
use cotenant_guest::storage::{Answer, Request, ask};
use cotenant_guest::{input, panic, value_return};

cotenant_guest::bare_module!();

const COUNT_KEY: &[u8] = b"count";

/// Adds a note. The input is borsh `{ author: String, text: String }`, the result the note's index as four
/// bytes little-endian.
#[unsafe(no_mangle)]
pub extern "C" fn add() {
    let input = input();
    if !is_note(&input) {
        panic("the input is borsh { author, text }");
    }
    let index = count();
    granted(ask(Request::Write { key: &note_key(index), value: &input }));
    granted(ask(Request::Write { key: COUNT_KEY, value: &(index + 1).to_le_bytes() }));
    value_return(&index.to_le_bytes());
}

/// Returns a note as it was added. The input is its index, four bytes little-endian.
#[unsafe(no_mangle)]
pub extern "C" fn read() {
    let Ok(index) = input().try_into().map(u32::from_le_bytes) else {
        panic("the input is 4 bytes little-endian")
    };
    match granted(ask(Request::Read { key: &note_key(index) })) {
        Some(note) => value_return(&note),
        None => panic("there is no such note"),
    }
}

/// Forgets a note. The input is its index, four bytes little-endian; the result is one byte, 1 if it was there.
#[unsafe(no_mangle)]
pub extern "C" fn remove() {
    let Ok(index) = input().try_into().map(u32::from_le_bytes) else {
        panic("the input is 4 bytes little-endian")
    };
    let was_there = granted(ask(Request::Remove { key: &note_key(index) })).is_some();
    value_return(&[u8::from(was_there)]);
}

/// The number of notes ever added, four bytes little-endian.
#[unsafe(no_mangle)]
pub extern "C" fn len() {
    value_return(&count().to_le_bytes());
}

fn count() -> u32 {
    match granted(ask(Request::Read { key: COUNT_KEY })) {
        None => 0,
        Some(bytes) => match bytes.try_into() {
            Ok(bytes) => u32::from_le_bytes(bytes),
            Err(_) => panic("the count is not 4 bytes"),
        },
    }
}

/// A note is an author and a text, nothing after them.
fn is_note(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    reader.str().is_some() && reader.str().is_some() && reader.is_empty()
}

/// The value of a granted request; a refused one ends the call with the parent's reason.
fn granted(answer: Answer) -> Option<Vec<u8>> {
    match answer {
        Answer::Value(value) => value,
        Answer::Refused(reason) => panic(&reason),
    }
}

fn note_key(index: u32) -> Vec<u8> {
    let mut key = b"note/".to_vec();
    key.extend_from_slice(&index.to_le_bytes());
    key
}
