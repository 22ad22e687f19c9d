//! Blocks, loops, branches and returns.

use stepmark_core::code::Instr;

use super::FuncEmitter;
use super::stack::Operand;
use crate::rules::Num;
use crate::source::{self, BlockTypes};

/// What a construct is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConstructKind {
    /// The whole function: who branches out of it returns.
    Function,
    Block,
    Loop,
    If,
}

/// An open construct of the program.
#[derive(Clone, Debug)]
pub(crate) struct Construct {
    kind: ConstructKind,
    /// Operands below its parameters.
    height: u32,
    types: BlockTypes,
    /// How many constructs of the companion are open inside it.
    nest: u32,
    /// Whether a branch goes to its end.
    reached: bool,
    /// Whether the companion has a loop around it that sees to its rounds.
    is_twofold: bool,
}

impl Construct {
    pub(crate) fn function(results: &[Num]) -> Construct {
        let types = BlockTypes { params: Vec::new(), results: results.to_vec() };
        Construct { kind: ConstructKind::Function, height: 0, types, nest: 0, reached: false, is_twofold: false }
    }

    /// Types of what a branch to it carries.
    fn carried(&self) -> &[Num] {
        if self.kind == ConstructKind::Loop { &self.types.params } else { &self.types.results }
    }
}

impl FuncEmitter<'_> {
    /// Notes a construct that has just been opened, with its parameters in their temporaries.
    fn opened(&mut self, kind: ConstructKind, types: BlockTypes) {
        let height = self.operands.height() - types.params.len() as u32;
        let construct = Construct { kind, height, types, nest: self.nest, reached: false, is_twofold: false };
        self.constructs.push(construct);
    }

    /// Brings the operands into the form that they have around constructs: nothing that is a copy of a local, and parameters
    /// in their temporaries. The types of the construct.
    fn before_construct(&mut self, instr: &Instr) -> BlockTypes {
        let types = source::block_types(self.program.module, instr).expect("BUG: it is emitted");
        self.settle_top(types.params.len() as u32);
        self.settle_changing();
        types
    }

    pub(crate) fn block(&mut self, index: u32, instr: &Instr) {
        let types = self.before_construct(instr);
        self.open_block();
        self.opened(ConstructKind::Block, types);
        self.begin_region(index + 1);
    }

    pub(crate) fn loop_(&mut self, index: u32, instr: &Instr) {
        let types = self.before_construct(instr);
        let rounds = self.accesses.rounds.remove(&index);
        rounds.iter().for_each(|rounds| self.open_rounds(index + 1, rounds));
        self.open_loop();
        self.opened(ConstructKind::Loop, types);
        self.begin_region(index + 1);
        match rounds {
            Some(_) => {
                self.innermost().is_twofold = true;
                self.compare_rounds();
            }
            None => self.compare_gas(index + 1),
        }
        self.charge(index + 1);
    }

    pub(crate) fn if_(&mut self, index: u32, instr: &Instr) {
        let condition = self.operands.pop();
        let types = self.before_construct(instr);
        self.get(condition);
        self.open_if();
        self.opened(ConstructKind::If, types);
        self.begin_region(index + 1);
        self.charge(index + 1);
    }

    pub(crate) fn else_(&mut self, index: u32) {
        let mut construct = self.constructs.pop().expect("BUG: an else is in an if");
        if self.live {
            self.settle_top(construct.types.results.len() as u32);
        }
        self.sink().else_();
        self.restack(construct.height, &construct.types.params);
        // Now there is an arm for each outcome: the end is reached if one of them does.
        construct.kind = ConstructKind::Block;
        construct.reached |= self.live;
        self.constructs.push(construct);
        self.live = true;
        self.pending.pop();
        self.begin_region(index + 1);
        self.charge(index + 1);
    }

    pub(crate) fn end(&mut self, index: u32) {
        let construct = self.constructs.pop().expect("BUG: constructs are balanced");
        self.pending.pop();
        if construct.kind == ConstructKind::Function {
            if self.live {
                self.refine_top(self.compiled.results.len() as u32);
                self.return_();
            }
            self.live = false;
            return;
        }
        if self.live {
            self.settle_top(construct.types.results.len() as u32);
        }
        self.close();
        if construct.is_twofold {
            self.close();
        }
        self.live |= construct.reached || construct.kind == ConstructKind::If;
        self.restack(construct.height, &construct.types.results);
        if self.live {
            self.charge(index + 1);
        }
    }

    /// Makes temporaries of these types the operands above a height.
    fn restack(&mut self, height: u32, types: &[Num]) {
        self.operands.truncate(height);
        types.iter().for_each(|ty| self.operands.push(Operand::Temporary(*ty)));
    }

    pub(crate) fn br(&mut self, instr: &Instr) {
        let depth = source::branch_depth(self.program.module, instr);
        self.refine_top(self.out(depth).carried().len() as u32);
        self.go_to(depth);
        self.live = false;
    }

    pub(crate) fn br_if(&mut self, index: u32, instr: &Instr) {
        let depth = source::branch_depth(self.program.module, instr);
        let condition = self.operands.pop();
        self.refine_top(self.out(depth).carried().len() as u32);
        self.get(condition);
        if self.is_in_place(depth) {
            let label = self.reach(depth);
            self.sink().br_if(label);
        } else {
            self.open_if();
            self.go_to(depth);
            self.close();
        }
        self.charge(index + 1);
    }

    pub(crate) fn br_table(&mut self, instr: &Instr) {
        let depths = source::branch_depths(self.program.module, instr);
        let selector = self.operands.pop();
        // All of them carry as much.
        self.refine_top(self.out(depths[0]).carried().len() as u32);
        let mut places = depths.clone();
        places.sort_unstable();
        places.dedup();
        if places.iter().all(|depth| self.is_in_place(*depth)) {
            self.get(selector);
            let labels: Vec<u32> = depths.iter().map(|depth| self.reach(*depth)).collect();
            self.table_of(&labels);
        } else {
            self.br_table_by_places(&depths, &places, |emitter| emitter.get(selector));
        }
        self.live = false;
    }

    /// Where a branch has something to do before it goes: a block for each place to go to, behind whose end it is done.
    fn br_table_by_places(&mut self, depths: &[u32], places: &[u32], selector: impl FnOnce(&mut Self)) {
        for _ in places {
            self.open_block();
        }
        selector(self);
        let place = |depth: &u32| places.binary_search(depth).expect("BUG: it is one of the places") as u32;
        let labels: Vec<u32> = depths.iter().map(place).collect();
        self.table_of(&labels);
        for depth in places {
            self.close();
            self.go_to(*depth);
        }
    }

    fn table_of(&mut self, labels: &[u32]) {
        if let [choices @ .., default] = labels {
            self.sink().br_table(choices.iter().copied(), *default);
        }
    }

    /// Goes to the construct `depth` out, with what it is to be given, none of it raw.
    fn go_to(&mut self, depth: u32) {
        let construct = self.out(depth).clone();
        if construct.kind == ConstructKind::Function {
            return self.return_();
        }
        let carried = construct.carried();
        let first = self.operands.height() - carried.len() as u32;
        // Upwards: a place that is written lies at or below that which is read next.
        for (height, ty) in (construct.height..).zip(carried) {
            let (from, operand) = self.operands.at(first + height - construct.height);
            if from != height || !matches!(operand, Operand::Temporary(_)) {
                self.get((from, operand));
                let temporary = self.temporary(height, *ty);
                self.sink().local_set(temporary);
            }
        }
        let label = self.reach(depth);
        self.sink().br(label);
    }

    fn innermost(&mut self) -> &mut Construct {
        self.constructs.last_mut().expect("BUG: a construct is open")
    }

    /// The construct `depth` out of the innermost.
    fn out(&self, depth: u32) -> &Construct {
        &self.constructs[self.constructs.len() - 1 - depth as usize]
    }

    /// Whether what a branch carries already lies where it is to be given.
    fn is_in_place(&self, depth: u32) -> bool {
        let construct = self.out(depth);
        let carried = construct.carried().len() as u32;
        let lies = |depth| matches!(self.operands.peek(depth).1, Operand::Temporary(_));
        construct.kind != ConstructKind::Function
            && (carried == 0 || (self.operands.height() == construct.height + carried && (0..carried).all(lies)))
    }

    /// The companion's label for a branch to the construct `depth` out, which is now known to be reached.
    fn reach(&mut self, depth: u32) -> u32 {
        let place = self.constructs.len() - 1 - depth as usize;
        let construct = &mut self.constructs[place];
        construct.reached |= construct.kind != ConstructKind::Loop;
        self.nest - construct.nest
    }

    /// Returns, with results none of which is raw.
    pub(crate) fn return_(&mut self) {
        if self.points.is_some() {
            return self.return_to_frame();
        }
        for depth in (0..self.compiled.results.len() as u32).rev() {
            self.get(self.operands.peek(depth));
        }
        let gas = self.gas();
        self.sink().local_get(gas).return_();
    }
}
