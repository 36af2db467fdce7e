//! What the code of a module does that the meters and the reset of an instance depend on.

use std::ops::Range;

use wasmparser::{BlockType, FunctionBody, Operator};

use super::sections::Sections;
use super::{MeterError, analysis};

/// What was found in the code of a module.
#[derive(Default)]
pub struct Survey {
    /// One for each function that the module defines.
    pub functions: Vec<Shape>,
    /// Where the operators of wide arithmetic are.
    pub wide_operators: Vec<(Range<usize>, analysis::Wide)>,
    /// Whether a table is written.
    pub writes_tables: bool,
    /// Whether a data or element segment is dropped.
    pub drops_segments: bool,
    /// Whether the memory may grow.
    pub grows_memory: bool,
}

/// What was found in the code of a function.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Shape {
    /// It calls.
    pub calls: bool,
    /// It has a branch to its own end, other than `return`.
    pub branches_out: bool,
    /// It has an operator that is charged by its operand.
    pub charges_by_operand: bool,
    /// Its loops that have no loop, no call and no charge by operand in them, in order.
    pub inner_loops: Vec<InnerLoop>,
}

/// A loop whose every charge is known before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerLoop {
    /// Where its `loop` is.
    pub start: usize,
    /// Where the operators in it are: from behind its `loop` up to its `end`.
    pub body: (usize, usize),
    /// Its type.
    pub ty: BlockType,
}

impl Survey {
    /// Reads every operator of every function.
    pub fn of(sections: &Sections<'_>) -> Result<Survey, MeterError> {
        let mut survey = Survey::default();
        for body in &sections.bodies {
            let shape = survey.function(body)?;
            survey.functions.push(shape);
        }
        Ok(survey)
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<Shape, MeterError> {
        let mut shape = Shape::default();
        let mut operators = body.get_operators_reader()?;
        // A branch of this depth leaves the function.
        let mut depth = 0_u32;
        // The loop opened last, if it may be an inner one, and the depth in it.
        let mut candidate: Option<(InnerLoop, u32)> = None;
        while !operators.eof() {
            let (operator, start) = operators.read_with_offset()?;
            let end = operators.original_position();
            match operator {
                Operator::Block { .. } | Operator::If { .. } => depth += 1,
                Operator::Loop { blockty: ty } => {
                    depth += 1;
                    candidate = Some((InnerLoop { start, body: (end, end), ty }, depth));
                }
                Operator::End => {
                    if let Some((inner, _)) = candidate.take_if(|(_, within)| *within == depth) {
                        let body = (inner.body.0, start);
                        shape.inner_loops.push(InnerLoop { body, ..inner });
                    }
                    depth = depth.saturating_sub(1);
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    shape.branches_out |= relative_depth == depth;
                }
                Operator::BrTable { targets } => {
                    shape.branches_out |= targets.default() == depth;
                    for target in targets.targets() {
                        shape.branches_out |= target? == depth;
                    }
                }
                Operator::Call { .. } | Operator::CallIndirect { .. } => {
                    shape.calls = true;
                    candidate = None;
                }
                _ => {
                    if self.operator(&operator, start..end) {
                        shape.charges_by_operand = true;
                        candidate = None;
                    }
                }
            }
        }
        Ok(shape)
    }

    /// Whether the operator is charged by its operand.
    fn operator(&mut self, operator: &Operator<'_>, range: Range<usize>) -> bool {
        match operator {
            Operator::MemoryGrow { .. } => {
                self.grows_memory = true;
                return true;
            }
            Operator::MemoryInit { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. } => return true,
            Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableGrow { .. } => {
                self.writes_tables = true;
                return true;
            }
            Operator::TableSet { .. } => self.writes_tables = true,
            Operator::DataDrop { .. } | Operator::ElemDrop { .. } => self.drops_segments = true,
            Operator::I64Add128 | Operator::I64Sub128 => {
                self.wide_operators.push((range, analysis::Wide::FourToTwo));
            }
            Operator::I64MulWideS | Operator::I64MulWideU => {
                self.wide_operators.push((range, analysis::Wide::TwoToTwo));
            }
            _ => {}
        }
        false
    }
}
