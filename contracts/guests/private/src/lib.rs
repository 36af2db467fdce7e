//! Small private modules, one an example of this package, each for one thing a test wants to see: bytes that
//! come back (`echo`), many yields (`yielder`), and one for every group that must be granted (`logger`,
//! `hasher`, `nested_caller`).

#![no_std]
