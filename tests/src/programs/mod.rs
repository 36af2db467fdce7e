//! Random call programs on the real host (`cotenant_submodules::model`): what the model predicts and what
//! every engine does.
//!
//! Takes a [`Program`] of the generator; gives a [`Case`], the same program with amounts that make sense in
//! gas, or nothing if its outcome depends on what steps cost, for the model counts in units. What is
//! never compared is the gas itself with the model's; that is compared between engines.

mod run;
mod wat;

pub use run::{deploy, observe};
pub use wat::module_text;

use cotenant_submodules::calls::{CallLimits, CallNode, Ending, GasSplit};
use cotenant_submodules::model::{Module, Outcome, Program, Step, naive};
use cotenant_submodules::{SyncExecutionError, Visibility};

/// Gas of one unit of the model: no step costs more gas than its units times this.
pub const UNIT_GAS: u64 = 50_000_000_000;
/// Bytes of a Wasm page.
pub const PAGE_BYTES: u64 = 65_536;
/// Pages of a public module's memory.
const PUBLIC_PAGES: u64 = 1_024;
/// What every root call has, in units: 1,000 Tgas.
const ROOT_UNITS: u64 = 20_000;
/// A bound that ends a callee before its first step, in units and in gas.
const TOO_LITTLE: u64 = 1;

/// A program for the real host, and what the model says of it.
pub struct Case {
    /// The program with gas in gas.
    pub program: Program,
    /// What it must do, but for burnt and used gas, which are 0.
    pub expected: Outcome,
}

impl Case {
    /// The case of a program; `None` if its outcome depends on what its steps cost.
    pub fn new(program: &Program) -> Option<Self> {
        let units = suited(program);
        let dear = naive::run(&for_model(&units));
        Self::of(&units, dear)
    }

    /// The case of a program on a chain: the limits are the host's, the account is a new and rich one. `None`
    /// also if it is long, or if a few bytes of memory decide, for the model does not count registers.
    pub fn on_a_chain(program: &Program, limits: CallLimits, balance: u128) -> Option<Self> {
        let mut units = suited(program);
        units.limits = limits;
        units.limits.memory_bytes_max = limits.memory_bytes_max + PAGE_BYTES / 2;
        units.ledger.balance = balance;
        units.storage.clear();
        let roomy = naive::run(&for_model(&units));
        units.limits.memory_bytes_max = limits.memory_bytes_max - PAGE_BYTES / 2;
        let dear = naive::run(&for_model(&units));
        if roomy != dear {
            return None;
        }
        // Where gas ends a frame the host's limits would let steps that cost nothing go on for ever.
        (frames(&dear.tree) < 100 && !ran_out(&dear.tree)).then(|| Self::of(&units, dear))?
    }

    /// The same account entered by another method. It must not depend on what steps cost.
    pub fn enter(&mut self, method: &str) {
        method.clone_into(&mut self.program.root_method);
        self.expected = without_gas(naive::run(&for_model(&self.program)));
    }

    fn of(units: &Program, dear: Outcome) -> Option<Self> {
        let gas = in_gas(units);
        // Steps that cost next to nothing, and steps that cost more than any does in gas.
        let cheap = without_gas(naive::run(&for_model(&gas)));
        let mut dear = without_gas(dear);
        for receipt in &mut dear.receipts {
            receipt.gas *= UNIT_GAS;
        }
        (cheap == dear).then_some(Self { program: gas, expected: cheap })
    }
}

fn frames(node: &CallNode) -> usize {
    1 + node.callees.iter().map(frames).sum::<usize>()
}

/// Whether a frame ran out of gas after its first step.
fn ran_out(node: &CallNode) -> bool {
    let out = node.ending == Ending::Failed(SyncExecutionError::OutOfGas);
    (out && node.gas_burnt > TOO_LITTLE) || node.callees.iter().any(ran_out)
}

/// The program with memories in pages, with gas that is plenty or too little, with promises that a guest can
/// name, and with an end that costs something.
fn suited(program: &Program) -> Program {
    let mut suited = program.clone();
    suited.gas = ROOT_UNITS;
    // Some budgets are about private modules, the others about public ones, which are much larger.
    let budget = program.limits.memory_bytes_max;
    let pages = if budget.is_multiple_of(2) { budget / 20 } else { budget * 2 };
    // Half a page for what frames hold besides their memory.
    suited.limits.memory_bytes_max = pages * PAGE_BYTES + PAGE_BYTES / 2;
    for module in &mut suited.modules {
        module.memory_bytes = PAGE_BYTES
            * match module.visibility {
                Visibility::Public => PUBLIC_PAGES,
                Visibility::Private => module.memory_bytes / 10 + 1,
            };
        for method in &mut module.methods {
            method.steps = suited_steps(&method.steps);
        }
    }
    suited
}

fn suited_steps(steps: &[Step]) -> Vec<Step> {
    let mut suited = vec![Step::Burn(9)];
    // A guest has indices of its own promises only; those of callees may come after them.
    let mut own_is_last = false;
    for step in steps {
        let mut step = step.clone();
        match &mut step {
            Step::Open { gas, .. } | Step::NepStart { gas, .. } => {
                *gas = match *gas {
                    0 | u64::MAX => *gas,
                    1..300 => TOO_LITTLE,
                    some => some * 4,
                }
            }
            Step::Grow(bytes) => *bytes = *bytes / 8 * PAGE_BYTES,
            Step::CreatePromise { gas, deposit, after_last, .. } => {
                // A receipt whose call has no gas is not valid on NEAR.
                *gas = (*gas).max(1);
                // One yoctoNEAR is free for accounts without balance, a rule of NEAR's.
                *deposit = if *deposit == 1 { 2 } else { *deposit };
                *after_last &= own_is_last;
                own_is_last = true;
            }
            _ => {}
        }
        own_is_last &=
            !matches!(step, Step::Resume { .. } | Step::NepStart { .. } | Step::NepResume { .. });
        suited.push(step);
    }
    suited.push(Step::Return(Vec::new()));
    suited
}

fn in_gas(units: &Program) -> Program {
    let scaled = |units: u64| match units {
        0 | TOO_LITTLE | u64::MAX => units,
        some => some.saturating_mul(UNIT_GAS),
    };
    let mut program = units.clone();
    program.gas = scaled(program.gas);
    for step in program.modules.iter_mut().flat_map(|module| &mut module.methods) {
        for step in &mut step.steps {
            match step {
                Step::Open { gas, .. } | Step::NepStart { gas, .. } => *gas = scaled(*gas),
                Step::CreatePromise { gas, .. } => *gas *= UNIT_GAS,
                _ => {}
            }
        }
    }
    program
}

/// What a guest learns of its gas it cannot tell the model: it checks it itself.
fn for_model(program: &Program) -> Program {
    let mut program = program.clone();
    let methods = program.modules.iter_mut().flat_map(|module| &mut module.methods);
    for step in methods.flat_map(|method| &mut method.steps) {
        if *step == Step::ReadGas {
            *step = Step::Burn(9);
        }
    }
    program
}

fn without_gas(mut outcome: Outcome) -> Outcome {
    outcome.gas_burnt = 0;
    outcome.gas_used = 0;
    strip(&mut outcome.tree);
    outcome
}

/// Takes the gas out of a call tree.
pub fn strip(node: &mut CallNode) {
    node.gas_burnt = 0;
    node.gas_used = 0;
    node.split = GasSplit::default();
    node.callees.iter_mut().for_each(strip);
}

/// Checks the relations that gas must have in a tree: what a frame burnt is its own work, part by part, and what its
/// callees burnt, and no callee used more than it was opened with.
///
/// # Errors
/// Which relation does not hold, and where.
pub fn check_gas(program: &Program, node: &CallNode) -> Result<(), String> {
    let callees: u64 = node.callees.iter().map(|callee| callee.gas_burnt).sum();
    let at = format!("in {:?}.{}", node.namespace, node.method);
    if callees > node.gas_burnt || node.gas_burnt > node.gas_used {
        return Err(format!(
            "{at}: callees {callees}, burnt {}, {}",
            node.gas_burnt, node.gas_used
        ));
    }
    let own = node.split.total();
    if own + callees != node.gas_burnt || node.profile().total() != node.gas_burnt {
        return Err(format!(
            "{at}: burnt {}, callees {callees}, itself {own}: {:?}",
            node.gas_burnt, node.split
        ));
    }
    let module = program.module(&node.namespace).map(|position| &program.modules[position]);
    for callee in &node.callees {
        let bound = module.map_or(0, |module| bound(module, &node.method, callee));
        if callee.gas_used > bound {
            return Err(format!("{at}: a callee used {} of {bound}", callee.gas_used));
        }
        check_gas(program, callee)?;
    }
    Ok(())
}

/// The largest bound with which a method opens this callee.
fn bound(module: &Module, method: &str, callee: &CallNode) -> u64 {
    let steps = module.methods.iter().filter(|other| other.name == method);
    let opened = steps.flat_map(|method| &method.steps).filter_map(|step| match step {
        Step::Open { namespace, method, gas, .. }
        | Step::NepStart { namespace, method, gas, .. } => {
            let same =
                namespace == callee.namespace.as_str().as_bytes() && *method == callee.method;
            same.then_some(if *gas == 0 { u64::MAX } else { *gas })
        }
        _ => None,
    });
    opened.max().unwrap_or(0)
}
