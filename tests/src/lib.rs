//! What tests across crates share: NEAR's own runner as the oracle, and hosts to compare with it.

pub mod oracle;
