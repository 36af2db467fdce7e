//! The intermediate form: words in static single assignment, node by node.
//!
//! A value is a constant, a phi, an entry of the stack loaded from memory, a charge, or an instruction; every
//! instruction is a value, those without a result have one that nobody uses. The items of a node are in the
//! order of the code and that is the order of effects; pure ones may be computed later, at their use.
//!
//! `--emit ir` prints it; `docs/evm/compiler.md` explains a printed program.

use alloc::vec::Vec;
use core::fmt;

use crate::blocks::End;
use crate::flow::Flow;
use crate::graph::{Graph, Jump};
use crate::opcode::{Family, Op, row};
use crate::range::Range;
use crate::word::Word;

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V(pub u32);

impl fmt::Debug for V {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// How a value comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Def {
    /// A constant.
    Const(Word),
    /// One of its operands, by the edge through which control came: [`Ir::phis`].
    Phi(u32),
    /// The entry of the stack at this height, relative to the head of the region, from memory.
    Load(i32),
    /// The operand at this place of [`Ir::arguments`], of which more is known from here on.
    Same(u32),
    /// What a routine is called with: the routine, and which of its entries, the return address first.
    Parameter(u32, u32),
    /// A call of a routine. Its results are the values that follow.
    Call {
        /// The routine.
        routine: u32,
        /// Height of the stack, relative to the head.
        height: i32,
        /// Operands in [`Ir::arguments`], the return address first, the top of the stack last.
        arguments: (u32, u8),
    },
    /// A result of the call before: which one, the lowest entry first.
    Given(u32),
    /// Static gas of a section, charged here.
    Charge(u32),
    /// Halts unless the stack has so many entries and room for so many, both relative to the head.
    StackCheck {
        /// Entries; none to check if not positive.
        need: i32,
        /// Highest entry; unchecked if 0.
        growth: i32,
    },
    /// An instruction.
    Inst {
        /// Its byte.
        byte: u8,
        /// What it does.
        op: Op,
        /// Operands in [`Ir::arguments`], the top of the stack first.
        arguments: (u32, u8),
    },
}

/// A node.
#[derive(Clone, Debug)]
pub struct Body {
    /// Phis, at the entry.
    pub phis: Vec<V>,
    /// Items, in order.
    pub items: Vec<V>,
    /// What ends it.
    pub end: End,
    /// What the end consumes, the top of the stack first.
    pub operands: Vec<V>,
    /// Lowest entry of the stack that is not at home at the end.
    pub floor: i32,
    /// The stack at the end, from `floor` up.
    pub exit: Vec<V>,
    /// Whether its end is known not to be reached.
    pub halts: bool,
}

/// A phi.
#[derive(Clone, Debug)]
pub struct Phi {
    /// The node.
    pub node: u32,
    /// Which entry of the stack it is, relative to the head.
    pub slot: i32,
    /// Operands, in the order of the node's predecessors.
    pub operands: Vec<(u32, V)>,
}

/// What comes into a routine and what it gives.
#[derive(Clone, Debug, Default)]
pub struct RoutineValues {
    /// Its parameters: the return address, the arguments.
    pub parameters: Vec<V>,
    /// Ranges of its results, the lowest entry first.
    pub given: Vec<Range>,
    /// Whether it is told the height of the stack.
    pub measured: bool,
}

/// The intermediate form of a contract.
#[derive(Debug, Default)]
pub struct Ir {
    /// Values.
    pub defs: Vec<Def>,
    /// What is known of each value.
    pub ranges: Vec<Range>,
    /// Node in which each value is computed.
    pub homes: Vec<u32>,
    /// What each value is, before more was known of it.
    roots: Vec<V>,
    /// Operands of all instructions.
    pub arguments: Vec<V>,
    /// Phis.
    pub phis: Vec<Phi>,
    /// Bodies of the nodes.
    pub bodies: Vec<Body>,
    /// Accesses of memory that is known to be touched already.
    pub touched: Values,
    /// What comes into routines and what they give, in the order of [`Graph::routines`].
    pub routines: Vec<RoutineValues>,
}

/// A set of values.
#[derive(Debug, Default)]
pub struct Values(Vec<u64>);

impl Values {
    /// Adds a value.
    pub fn insert(&mut self, value: V) {
        let place = value.0 as usize / 64;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= 1 << (value.0 % 64);
    }

    /// Whether a value is in it.
    pub fn contains(&self, value: V) -> bool {
        self.0.get(value.0 as usize / 64).is_some_and(|bits| bits >> (value.0 % 64) & 1 == 1)
    }
}

impl Ir {
    /// A new value.
    pub fn value(&mut self, def: Def, home: u32, range: Range) -> V {
        let value = V(self.defs.len() as u32);
        let root = match def {
            Def::Same(argument) => self.root(self.arguments[argument as usize]),
            _ => value,
        };
        self.roots.push(root);
        self.defs.push(def);
        self.ranges.push(range);
        self.homes.push(home);
        value
    }

    /// A constant.
    pub fn constant(&mut self, word: Word) -> V {
        self.value(Def::Const(word), 0, Range::exactly(word))
    }

    /// How a value comes about.
    pub fn def(&self, value: V) -> &Def {
        &self.defs[value.0 as usize]
    }

    /// What is known of it.
    pub fn range(&self, value: V) -> Range {
        self.ranges[value.0 as usize]
    }

    /// Its value, if it is a constant.
    pub fn as_const(&self, value: V) -> Option<Word> {
        match self.def(value) {
            Def::Const(word) => Some(*word),
            _ => None,
        }
    }

    /// Operands of an instruction.
    pub fn arguments_of(&self, value: V) -> &[V] {
        match self.def(value) {
            Def::Inst { arguments, .. } | Def::Call { arguments, .. } => {
                &self.arguments[arguments.0 as usize..][..arguments.1 as usize]
            }
            Def::Same(argument) => core::slice::from_ref(&self.arguments[*argument as usize]),
            _ => &[],
        }
    }

    /// The value that it is, before more was known of it.
    pub fn root(&self, value: V) -> V {
        self.roots[value.0 as usize]
    }

    /// Forgets everything, and keeps the room for so many values.
    pub fn clear(&mut self, values: usize) {
        self.defs.clear();
        self.ranges.clear();
        self.homes.clear();
        self.roots.clear();
        self.arguments.clear();
        self.phis.clear();
        self.bodies.clear();
        self.touched.0.clear();
        self.defs.reserve(values);
        self.ranges.reserve(values);
        self.homes.reserve(values);
        self.roots.reserve(values);
        self.arguments.reserve(2 * values);
    }

    /// What it does, if it is an instruction.
    pub fn op(&self, value: V) -> Option<Op> {
        match self.def(value) {
            Def::Inst { op, .. } => Some(*op),
            _ => None,
        }
    }

    /// Whether it may be left out if nobody uses it, and computed anywhere its operands are known.
    pub fn is_pure(&self, value: V) -> bool {
        match self.def(value) {
            Def::Const(_) | Def::Same(_) => true,
            Def::Inst { byte, .. } => {
                row(*byte).is_some_and(|row| matches!(row.family, Family::Pure | Family::Frame))
            }
            _ => false,
        }
    }

    /// Whether it may be left out if nobody uses it.
    pub fn is_removable(&self, value: V) -> bool {
        match self.def(value) {
            Def::Const(_) | Def::Load(_) | Def::Phi(_) | Def::Same(_) => true,
            Def::Parameter(..) | Def::Given(_) => true,
            Def::Inst { op: Op::Gas | Op::Msize | Op::Returndatasize, .. } => true,
            _ => self.is_pure(value),
        }
    }
}

/// What [`fmt::Display`] needs to print the form.
#[derive(Debug)]
pub struct Listing<'a> {
    /// The form.
    pub ir: &'a Ir,
    /// Its graph.
    pub graph: &'a Graph,
    /// Its shape.
    pub flow: &'a Flow,
    /// Place in the code of each block.
    pub places: &'a [u32],
}

impl Listing<'_> {
    fn operand(&self, f: &mut fmt::Formatter<'_>, value: V) -> fmt::Result {
        match self.ir.def(value) {
            Def::Const(word) => write!(f, "{word}"),
            _ => write!(f, "v{}", value.0),
        }
    }

    fn operands(&self, f: &mut fmt::Formatter<'_>, values: &[V]) -> fmt::Result {
        for (place, value) in values.iter().enumerate() {
            f.write_str(if place == 0 { " " } else { ", " })?;
            self.operand(f, *value)?;
        }
        Ok(())
    }

    fn item(&self, f: &mut fmt::Formatter<'_>, value: V) -> fmt::Result {
        match self.ir.def(value) {
            Def::Charge(gas) => return writeln!(f, "  charge {gas}"),
            Def::StackCheck { need, growth } => {
                return writeln!(f, "  check stack {need} below, {growth} above");
            }
            Def::Load(slot) => write!(f, "  v{} = entry {slot}", value.0)?,
            Def::Parameter(_, place) => write!(f, "  v{} = parameter {place}", value.0)?,
            Def::Given(place) => write!(f, "  v{} = result {place}", value.0)?,
            Def::Call { routine, .. } => {
                write!(f, "  call r{routine}")?;
                self.operands(f, self.ir.arguments_of(value))?;
            }
            Def::Const(word) => write!(f, "  v{} = {word}", value.0)?,
            Def::Same(_) => write!(f, "  v{} = v{}", value.0, self.ir.root(value).0)?,
            Def::Phi(phi) => {
                write!(f, "  v{} = phi", value.0)?;
                for (from, operand) in &self.ir.phis[*phi as usize].operands {
                    write!(f, " n{from}: ")?;
                    self.operand(f, *operand)?;
                }
            }
            Def::Inst { byte, .. } => {
                let row = row(*byte);
                if row.is_some_and(|row| row.pushes > 0) {
                    write!(f, "  v{} = ", value.0)?;
                } else {
                    f.write_str("  ")?;
                }
                f.write_str(row.map_or("?", |row| row.name))?;
                self.operands(f, self.ir.arguments_of(value))?;
                if self.ir.touched.contains(value) {
                    f.write_str(", touched")?;
                }
            }
        }
        let range = self.ir.range(value);
        if range != Range::FULL {
            write!(f, "  ; {range}")?;
        }
        writeln!(f)
    }

    fn end(&self, f: &mut fmt::Formatter<'_>, node: u32) -> fmt::Result {
        let body = &self.ir.bodies[node as usize];
        let shape = &self.graph.nodes[node as usize];
        let to = |f: &mut fmt::Formatter<'_>| match &shape.jump {
            None | Some(Jump::Nowhere) => f.write_str("halt"),
            Some(Jump::Static(edge)) => write!(f, "n{}", edge.node),
            Some(Jump::Anywhere) => f.write_str("anywhere"),
            Some(Jump::Return) => f.write_str("back"),
            Some(Jump::Among(edges)) => {
                f.write_str("among")?;
                edges.iter().try_for_each(|edge| write!(f, " n{}", edge.node))
            }
        };
        if body.halts {
            return writeln!(f, "  halt");
        }
        match body.end {
            End::Fall => write!(f, "  go n{}", shape.fall.map_or(0, |edge| edge.node))?,
            End::Jump => {
                f.write_str("  go ")?;
                to(f)?;
                if !matches!(shape.jump, Some(Jump::Static(_))) {
                    f.write_str(" by")?;
                    self.operands(f, &body.operands)?;
                }
            }
            End::Jumpi => {
                f.write_str("  if")?;
                self.operands(f, &body.operands[1..])?;
                f.write_str(" go ")?;
                to(f)?;
                write!(f, " else n{}", shape.fall.map_or(0, |edge| edge.node))?;
            }
            End::Stop => f.write_str("  stop")?,
            End::Return => {
                f.write_str("  return")?;
                self.operands(f, &body.operands)?;
            }
            End::Revert => {
                f.write_str("  revert")?;
                self.operands(f, &body.operands)?;
            }
            End::Selfdestruct => {
                f.write_str("  selfdestruct")?;
                self.operands(f, &body.operands)?;
            }
            End::Halt => f.write_str("  halt")?,
        }
        if !body.exit.is_empty() {
            write!(f, "  with {}:", body.floor)?;
            self.operands(f, &body.exit)?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.flow.order {
            let shape = &self.graph.nodes[*node as usize];
            write!(f, "n{node}  at {:#x}", self.places[shape.block as usize])?;
            match (shape.dispatched, self.flow.is_head(*node)) {
                _ if shape.enters => write!(f, ", routine r{}", shape.routine)?,
                (true, _) => f.write_str(", dispatched")?,
                (false, true) => f.write_str(", head")?,
                _ => {
                    let place = *node as usize;
                    write!(f, ", in n{} + {}", self.flow.head[place], self.flow.height[place])?;
                }
            }
            if self.flow.loops[*node as usize] {
                f.write_str(", loop")?;
            }
            if shape.heights.0 == shape.heights.1 {
                writeln!(f, ", stack {}", shape.heights.0)?;
            } else {
                writeln!(f, ", stack {} to {}", shape.heights.0, shape.heights.1)?;
            }
            let body = &self.ir.bodies[*node as usize];
            if shape.enters {
                for value in &self.ir.routines[shape.routine as usize].parameters {
                    self.item(f, *value)?;
                }
            }
            for value in body.phis.iter().chain(&body.items) {
                self.item(f, *value)?;
            }
            self.end(f, *node)?;
        }
        Ok(())
    }
}
