//! The meter against NEAR's own: the same charges at the same places, the same gas after every run.

mod charges;
mod corpus;
mod modules;
mod programs;
mod run;
