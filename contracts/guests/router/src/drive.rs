//! Callees driven to their end by a rule.

use cotenant_guest::storage::{Answer, Request};
use cotenant_guest::{
    Closed, Live, Step, SyncExecutionError, resume_sync_call, sync_function_call,
};
use near_sdk::{env, near};

use crate::Opening;
use crate::report::{Outcome, StepReport};

/// What is answered to a yield.
#[near(serializers = [json])]
#[derive(Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// What was yielded.
    #[default]
    Echo,
    /// Nothing.
    Empty,
    /// The number of answers before this one, eight bytes little-endian.
    Count,
    /// The storage the callee asks for, as the `apps` contract does but without rules: keys as they are.
    Storage,
}

impl Rule {
    fn answer(self, question: Vec<u8>, answers: u64) -> Vec<u8> {
        match self {
            Self::Echo => question,
            Self::Empty => Vec::new(),
            Self::Count => answers.to_le_bytes().to_vec(),
            Self::Storage => serve(&question).encode(),
        }
    }
}

fn serve(question: &[u8]) -> Answer {
    match Request::decode(question) {
        None => Answer::Refused("not a request".to_string()),
        Some(Request::Read { key }) => Answer::Value(env::storage_read(key)),
        Some(Request::Write { key, value }) => {
            let old = env::storage_read(key);
            env::storage_write(key, value);
            Answer::Value(old)
        }
        Some(Request::Remove { key }) => {
            let old = env::storage_read(key);
            env::storage_remove(key);
            Answer::Value(old)
        }
    }
}

/// A call on its way: the live callee, what it gets next, what it did so far.
pub struct Driven {
    live: Option<Live>,
    next: Vec<u8>,
    answers: u64,
    outcome: Outcome,
}

impl Driven {
    /// A call that was opened, or refused, which is its end.
    pub fn new(opened: Result<Live, SyncExecutionError>, args: Vec<u8>) -> Self {
        let mut outcome = Outcome::default();
        let live = match opened {
            Ok(live) => {
                outcome.handle = Some(live.handle().into());
                Some(live)
            }
            Err(error) => {
                outcome.steps.push(StepReport::of(Err(error)));
                None
            }
        };
        Self { live, next: args, answers: 0, outcome }
    }

    /// Whether there is a step to take.
    pub const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Takes one step, if there is one, and prepares the answer for the next.
    pub fn step(&mut self, opening: &Opening) {
        let Some(mut live) = self.live.take() else {
            return;
        };
        let step = live.resume(&self.next);
        self.outcome.steps.push(StepReport::of(step.clone()));
        let Ok(Step::Yielded(question)) = step else {
            return;
        };
        if opening.answers_max.is_some_and(|max| self.answers >= u64::from(max)) {
            self.outcome.closed.push(name(live.close()));
            return;
        }
        self.next = opening.rule.answer(question, self.answers);
        self.answers += 1;
        self.live = Some(live);
    }

    /// What happened.
    pub fn into_outcome(self) -> Outcome {
        self.outcome
    }
}

/// Drives one call to its end.
pub fn to_end(opened: Result<Live, SyncExecutionError>, args: &[u8], opening: &Opening) -> Outcome {
    let mut driven = Driven::new(opened, args.to_vec());
    while driven.is_live() {
        driven.step(opening);
    }
    driven.into_outcome()
}

/// The same through NEP-481's functions, which have no handle and no close.
pub fn nep481(namespace: &str, method: &str, args: &[u8], opening: &Opening) -> Outcome {
    let mut outcome = Outcome::default();
    let mut step = sync_function_call(namespace, method, args, opening.gas.map_or(0, |gas| gas.0));
    for answers in 0.. {
        outcome.steps.push(StepReport::of(step.clone()));
        let Ok(Step::Yielded(question)) = step else {
            break;
        };
        if opening.answers_max.is_some_and(|max| answers >= u64::from(max)) {
            break;
        }
        step = resume_sync_call(namespace, &opening.rule.answer(question, answers));
    }
    outcome
}

/// Some steps, a close, and a resume and a close too many.
pub fn close_early(opened: Result<Live, SyncExecutionError>, args: &[u8], steps: u32) -> Outcome {
    let mut outcome = Outcome::default();
    let mut live = match opened {
        Ok(live) => live,
        Err(error) => {
            outcome.steps.push(StepReport::of(Err(error)));
            return outcome;
        }
    };
    let handle = live.handle();
    outcome.handle = Some(handle.into());
    for _ in 0..steps {
        outcome.steps.push(StepReport::of(live.resume(args)));
    }
    outcome.closed.push(name(live.close()));
    let mut gone = Live::from_handle(handle);
    outcome.steps.push(StepReport::of(gone.resume(args)));
    outcome.closed.push(name(gone.close()));
    outcome
}

fn name(closed: Closed) -> String {
    match closed {
        Closed::Live => "closed",
        Closed::UnknownHandle => "unknown_handle",
    }
    .to_string()
}
