//! What tests across crates share: NEAR's own runner as the oracle, and hosts to compare with it.

pub mod corpus;
pub mod fuzzing;
pub mod oracle;
pub mod programs;
pub mod seed;
pub mod smith;
pub mod spec;
pub mod world;
