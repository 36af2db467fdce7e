//! Fibers: a frame that can be suspended in the middle of a host function and resumed later, on the thread
//! that started it.
//!
//! Takes a body; gives a task with `resume(Go | Cancel)`. Answers are delivered before a resume, so nothing
//! but the switch happens here. A suspended fiber is never dropped: dropping it resumes it with
//! [`Signal::Cancel`], and its host function unwinds the guest. What makes switches between native guests
//! sound is in `engine/signal.rs`.

use crate::engine::{FiberBounds, FiberStack};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::RefCell;

/// Idle stacks kept per thread: an EVM's 1,025 frames fit.
const IDLE_MAX: usize = 1_100;

thread_local! {
    static IDLE: RefCell<Vec<FiberStack>> = const { RefCell::new(Vec::new()) };
}

/// What a fiber is told when it is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Go,
    /// Unwind and end.
    Cancel,
}

/// The way out of a fiber's body, to whoever resumed it.
pub type Suspender = Yielder<Signal, ()>;

/// What came of a resume.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It suspended itself.
    Suspended,
    /// It ended.
    Ended(T),
}

/// A body on a stack of its own.
pub struct Fiber<T> {
    coroutine: Option<Coroutine<Signal, (), T, FiberStack>>,
    bounds: FiberBounds,
}

impl<T: 'static> Fiber<T> {
    /// A fiber that runs `body` at its first resume.
    ///
    /// # Errors
    /// When there is no address space for its stack.
    pub fn new(body: impl FnOnce(&Suspender, Signal) -> T + 'static) -> std::io::Result<Self> {
        let stack = match IDLE.with_borrow_mut(Vec::pop) {
            Some(stack) => stack,
            None => FiberStack::new()?,
        };
        let bounds = stack.bounds();
        Ok(Self { bounds, coroutine: Some(Coroutine::with_stack(stack, body)) })
    }

    /// Runs it until it suspends itself or ends. `None` if it has ended before.
    pub fn resume(&mut self, signal: Signal) -> Option<Step<T>> {
        let coroutine = self.coroutine.as_mut()?;
        match self.bounds.enter(|| coroutine.resume(signal)) {
            CoroutineResult::Yield(()) => Some(Step::Suspended),
            CoroutineResult::Return(value) => {
                if let Some(coroutine) = self.coroutine.take() {
                    let stack = coroutine.into_stack();
                    stack.trim();
                    IDLE.with_borrow_mut(|idle| {
                        if idle.len() < IDLE_MAX {
                            idle.push(stack);
                        }
                    });
                }
                Some(Step::Ended(value))
            }
        }
    }
}

impl<T> Drop for Fiber<T> {
    fn drop(&mut self) {
        let Some(coroutine) = self.coroutine.as_mut() else { return };
        if !coroutine.started() {
            return;
        }
        while !coroutine.done() {
            // A body that suspends again after a cancel is told again.
            let _ = self.bounds.enter(|| coroutine.resume(Signal::Cancel));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn a_fiber_goes_on_where_it_was_suspended() {
        let mut fiber = Fiber::new(|suspender, _| {
            let mut resumed = 0;
            for _ in 0..3 {
                if suspender.suspend(()) == Signal::Go {
                    resumed += 1;
                }
            }
            resumed
        })
        .unwrap();
        for _ in 0..3 {
            assert_eq!(fiber.resume(Signal::Go), Some(Step::Suspended));
        }
        assert_eq!(fiber.resume(Signal::Go), Some(Step::Ended(3)));
        assert_eq!(fiber.resume(Signal::Go), None);
    }

    #[test]
    fn dropping_a_suspended_fiber_cancels_it() {
        let cancelled = Rc::new(Cell::new(false));
        let seen = cancelled.clone();
        let mut fiber =
            Fiber::new(move |suspender, _| seen.set(suspender.suspend(()) == Signal::Cancel))
                .unwrap();
        assert_eq!(fiber.resume(Signal::Go), Some(Step::Suspended));
        drop(fiber);
        assert!(cancelled.get());
    }
}
