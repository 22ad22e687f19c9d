//! The store: all functions, tables, memories and globals of all instances, and the instantiation that makes them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::instance::func_of_ref;
use super::link::{HostImports, InstanceLinker};
use super::{Exceptions, Instance, MemoryInstance, Table};
use crate::code::Locals;
use crate::module::binary::Reader;
use crate::module::{
    ConstExpr, ConstOp, ElementMode, ExternKind, ExternType, FuncType, GlobalType, Items, Module, RefType, SizeLimits,
    TableType, ValType,
};
use stepmark_state::error::JobError;
use stepmark_state::limits::{Limits, WASM_PAGE};
use stepmark_state::trap::Trap;

/// What stands behind a function address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuncKind {
    /// A function of the module.
    Wasm,
    /// The embedder's function of this number.
    Host(u32),
}

/// A function.
#[derive(Clone, Copy, Debug)]
pub struct Func {
    /// The instance that defines it (for a host function: that imports it).
    pub instance: u32,
    /// Its index there.
    pub index: u32,
    /// Number of its type in the store: equal types have equal numbers.
    pub type_number: u32,
    /// Parameter slots.
    pub params: u32,
    /// Result slots.
    pub results: u32,
    /// Local slots beside the parameters, which a call sets to zero.
    pub zeroed: u32,
    /// What it is.
    pub kind: FuncKind,
}

/// Something that an import or export stands for, by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extern {
    /// A function.
    Func(u32),
    /// A table.
    Table(u32),
    /// A memory.
    Memory(u32),
    /// A global.
    Global(u32),
    /// A tag.
    Tag(u32),
}

/// A tag of exceptions. Two tags are the same if their addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The instance that defines it.
    pub instance: u32,
    /// Its index there.
    pub index: u32,
    /// Number of its type in the store.
    pub type_number: u32,
}

/// Everything that instances share.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Instances, in the order of linking.
    pub instances: Vec<Instance>,
    /// Functions.
    pub funcs: Vec<Func>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Memories.
    pub memories: Vec<MemoryInstance>,
    /// Global values, as bit patterns; a vector takes two.
    pub globals: Vec<u64>,
    /// Types of the globals, at the address of each of their slots; they name types by number.
    pub global_types: Vec<GlobalType>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Exceptions that references point to.
    pub exceptions: Exceptions,
    /// Numbers of the next memory and the next table among the spaces: those of contracts that have returned are not used
    /// again.
    pub next_spaces: (u32, u32),
    /// Bytes of all memories and elements of all tables, kept with every change: a program may ask to grow with each step.
    totals: Totals,
    pub(crate) types: Vec<FuncType>,
    /// Number of the first type of each recursion group.
    type_numbers: BTreeMap<Vec<FuncType>, u32>,
}

/// What the job's limits bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    memory_bytes: u64,
    table_elements: u64,
}

/// Sizes of memories and tables. Nothing else changes them, or their number.
impl Store {
    fn add_memory(&mut self, memory: MemoryInstance) {
        self.totals.memory_bytes += memory.pages() * WASM_PAGE;
        self.memories.push(memory);
    }

    fn add_table(&mut self, table: Table) {
        self.totals.table_elements += table.size();
        self.tables.push(table);
    }

    /// Makes a memory `pages` long, which will never have more than `most`.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub(super) fn resize_memory(&mut self, memory: u32, pages: u64, most: u64) -> Result<(), JobError> {
        let memory = &mut self.memories[memory as usize];
        let old = memory.pages();
        memory.resize(pages, most)?;
        self.totals.memory_bytes = self.totals.memory_bytes - old * WASM_PAGE + pages * WASM_PAGE;
        Ok(())
    }

    /// Makes a table `size` elements long.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub(super) fn resize_table(&mut self, table: u32, size: u64, value: u64) -> Result<(), JobError> {
        let table = &mut self.tables[table as usize];
        let old = table.size();
        table.resize(size, value)?;
        self.totals.table_elements = self.totals.table_elements - old + size;
        Ok(())
    }

    /// Forgets all memories and tables but the first so many.
    pub(super) fn truncate_spaces(&mut self, memories: usize, tables: usize) {
        let bytes = |memory: MemoryInstance| memory.pages() * WASM_PAGE;
        self.totals.memory_bytes -= self.memories.drain(memories..).map(bytes).sum::<u64>();
        self.totals.table_elements -= self.tables.drain(tables..).map(|table| table.size()).sum::<u64>();
    }

    /// Whether the program's and the job's limits allow a memory to grow by `pages`.
    pub(crate) fn may_grow_memory(&self, memory: u32, pages: u64, limits: &Limits) -> bool {
        let memory = &self.memories[memory as usize];
        let total = self.totals.memory_bytes.saturating_add(pages.saturating_mul(WASM_PAGE));
        memory.pages().saturating_add(pages) <= memory.max_pages() && total <= limits.memory_bytes
    }

    /// Grows a memory within its and the job's limits; its old size in pages.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub fn grow_memory(&mut self, memory: u32, pages: u64, limits: &Limits) -> Result<u64, JobError> {
        let (old, max) = (self.memories[memory as usize].pages(), self.memories[memory as usize].max_pages());
        let left = limits.memory_bytes.saturating_sub(self.totals.memory_bytes) / WASM_PAGE;
        self.resize_memory(memory, old + pages, max.min(old + left))?;
        Ok(old)
    }

    /// Whether the program's and the job's limits allow a table to grow by this many elements.
    pub(crate) fn may_grow_table(&self, table: u32, by: u64, limits: &Limits) -> bool {
        let table = &self.tables[table as usize];
        let total = self.totals.table_elements.saturating_add(by);
        table.size().saturating_add(by) <= table.max_size() && total <= limits.table_elements
    }

    /// Grows a table within its limits; its old size.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub fn grow_table(&mut self, table: u32, by: u64, value: u64) -> Result<u64, JobError> {
        let old = self.tables[table as usize].size();
        self.resize_table(table, old + by, value)?;
        Ok(old)
    }

    pub(crate) fn check_memory_copy(
        &self,
        target: u32,
        source: u32,
        to: u64,
        from: u64,
        length: u64,
    ) -> Result<Ranges, Trap> {
        let source = self.memories[source as usize].check(from, length)?;
        Ok((source, self.memories[target as usize].check(to, length)?))
    }

    pub(crate) fn copy_memory(&mut self, target: u32, source: u32, (from, to): Ranges) {
        if target == source {
            return self.memories[target as usize].copy_within(from, to);
        }
        let bytes = self.memories[source as usize].bytes[from].to_vec();
        self.memories[target as usize].write(to, &bytes);
    }

    pub(crate) fn check_table_copy(
        &self,
        target: u32,
        source: u32,
        to: u64,
        from: u64,
        length: u64,
    ) -> Result<Ranges, Trap> {
        let source = self.tables[source as usize].check(from, length)?;
        Ok((source, self.tables[target as usize].check(to, length)?))
    }

    pub(crate) fn copy_table(&mut self, target: u32, source: u32, (from, to): Ranges) {
        if target == source {
            return self.tables[target as usize].copy_within(from, to);
        }
        let values = self.tables[source as usize].elements[from].to_vec();
        self.tables[target as usize].write(to, &values);
    }
}

impl Store {
    /// Puts everything that running changes back to where `start` has it: a store of the same instances, of which this one is
    /// a copy. Of memories and tables only the pages that were written are copied.
    pub fn reset_to(&mut self, start: &Store) {
        for (memory, start) in self.memories.iter_mut().zip(&start.memories) {
            memory.reset_to(start);
        }
        for (table, start) in self.tables.iter_mut().zip(&start.tables) {
            table.reset_to(start);
        }
        self.globals.clone_from(&start.globals);
        self.exceptions.clone_from(&start.exceptions);
        self.totals = start.totals;
        self.next_spaces = start.next_spaces;
        for (instance, start) in self.instances.iter_mut().zip(&start.instances) {
            instance.dropped_data.clone_from(&start.dropped_data);
            instance.dropped_elements.clone_from(&start.dropped_elements);
        }
    }
}

/// Source and target of a copy.
pub(crate) type Ranges = (Range<usize>, Range<usize>);

impl Store {
    /// The bit pattern of a reference to a function: 0 is null, else 1 + (instance << 32 | index).
    pub fn func_ref(&self, func: u32) -> u64 {
        let func = &self.funcs[func as usize];
        (u64::from(func.instance) << 32 | u64::from(func.index)) + 1
    }

    /// The address of the function that a reference points to; `None` for null or a reference to nothing.
    #[inline]
    pub fn func_of_ref(&self, reference: u64) -> Option<u32> {
        func_of_ref(&self.instances, reference)
    }

    /// Address of the memory with this number among the spaces.
    pub fn memory_of(&self, number: u32) -> usize {
        let place = self.memories.binary_search_by_key(&number, |memory| memory.number);
        place.expect("BUG: a number of a space is one of the store's")
    }

    /// Address of the table with this number among the spaces.
    pub(crate) fn table_of(&self, number: u32) -> usize {
        let place = self.tables.binary_search_by_key(&number, |table| table.number);
        place.expect("BUG: a number of a space is one of the store's")
    }

    /// The type of a function.
    pub fn func_type(&self, func: u32) -> &FuncType {
        &self.types[self.funcs[func as usize].type_number as usize]
    }

    /// The type of a tag: its parameters are the payload.
    pub fn tag_type(&self, tag: u32) -> &FuncType {
        &self.types[self.tags[tag as usize].type_number as usize]
    }

    /// What an instance exports under `name`.
    pub fn export(&self, instance: u32, name: &str) -> Option<Extern> {
        let instance = &self.instances[instance as usize];
        let export = instance.module.export(name)?;
        let address = instance.address(export.kind, export.index);
        Some(match export.kind {
            ExternKind::Func => Extern::Func(address),
            ExternKind::Table => Extern::Table(address),
            ExternKind::Memory => Extern::Memory(address),
            ExternKind::Global => Extern::Global(address),
            ExternKind::Tag => Extern::Tag(address),
        })
    }

    /// Links a module and allocates what it defines, without writing its active segments.
    ///
    /// # Errors
    /// A link error that names wanted and found; a program error if its least sizes exceed the job's limits.
    pub fn link(
        &mut self,
        name: &str,
        module: Arc<Module>,
        linker: &InstanceLinker,
        host: &dyn HostImports,
        limits: &Limits,
    ) -> Result<u32, JobError> {
        let mut instance = Instance {
            name: name.to_owned(),
            funcs: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            types: self.number_types(&module),
            dropped_data: vec![false; module.data().len()],
            dropped_elements: vec![false; module.elements().len()],
            module: module.clone(),
        };
        let number = self.instances.len() as u32;
        for index in 0..module.imports().len() {
            self.import(&mut instance, number, index, linker, host)?;
        }
        self.check_sizes(&module, limits)?;
        self.define(&mut instance, number, &module)?;
        self.instances.push(instance);
        Ok(number)
    }

    fn import(
        &mut self,
        instance: &mut Instance,
        number: u32,
        index: usize,
        linker: &InstanceLinker,
        host: &dyn HostImports,
    ) -> Result<(), JobError> {
        let module = instance.module.clone();
        let import = &module.imports()[index];
        let name = format!("{:?}.{:?}", import.module, import.name);
        let wanted = numbered(&import.ty, &instance.types);
        if let ExternType::Func(wanted) = &wanted
            && let Some((id, found)) = host.resolve(&import.module, &import.name)
        {
            if *wanted != found {
                return Err(incompatible(&name, &import.ty, &ExternType::Func(found)));
            }
            let type_number = self.type_number(&found);
            self.import_host(instance, number, &found, type_number, id);
            return Ok(());
        }
        let exported = linker.instance(&import.module).and_then(|i| self.export(i, &import.name));
        let Some(exported) = exported else {
            if let ExternType::Func(ty) = &wanted
                && let Some(id) = host.stand_in(&module, index as u32)
            {
                let type_number = instance.types[module.func_type_index(instance.funcs.len() as u32) as usize];
                self.import_host(instance, number, ty, type_number, id);
                return Ok(());
            }
            return Err(JobError::link(format!(
                "unknown import {name}: wanted {}, found nothing of that name",
                import.ty
            )));
        };
        let found = self.extern_type(exported);
        if !self.matches_import(instance, &wanted, exported) {
            return Err(incompatible(&name, &import.ty, &found));
        }
        match exported {
            Extern::Func(address) => instance.funcs.push(address),
            Extern::Table(address) => instance.tables.push(address),
            Extern::Memory(address) => instance.memories.push(address),
            Extern::Global(address) => instance.globals.push(address),
            Extern::Tag(address) => instance.tags.push(address),
        }
        Ok(())
    }

    fn import_host(&mut self, instance: &mut Instance, number: u32, ty: &FuncType, type_number: u32, id: u32) {
        let index = instance.funcs.len() as u32;
        let func = self.add_func(number, index, ty, type_number, 0, FuncKind::Host(id));
        instance.funcs.push(func);
    }

    /// Whether what was found satisfies what was wanted (specification, section 3.5 "import matching"). Functions and tags have
    /// the number of their type to compare.
    fn matches_import(&self, instance: &Instance, wanted: &ExternType, found: Extern) -> bool {
        let module = &instance.module;
        let number = |ty: u32| instance.types[ty as usize];
        match (wanted, found) {
            (ExternType::Func(_), Extern::Func(address)) => {
                number(module.func_type_index(instance.funcs.len() as u32)) == self.funcs[address as usize].type_number
            }
            (ExternType::Tag(_), Extern::Tag(address)) => {
                number(module.tags()[instance.tags.len()]) == self.tags[address as usize].type_number
            }
            _ => types_match(wanted, &self.extern_type(found)),
        }
    }

    fn check_sizes(&self, module: &Module, limits: &Limits) -> Result<(), JobError> {
        let pages: u64 = module.memories().iter().skip(module.imported_memories() as usize).map(|m| m.min).sum();
        let bytes = self.totals.memory_bytes.saturating_add(pages.saturating_mul(WASM_PAGE));
        if bytes > limits.memory_bytes {
            let limit = limits.memory_bytes;
            return Err(JobError::program(format!(
                "the memories need {bytes} bytes at the start, the job's limit is {limit}"
            )));
        }
        let tables = module.tables().iter().skip(module.imported_tables() as usize);
        let elements = tables.fold(self.totals.table_elements, |sum, (t, _)| sum.saturating_add(t.limits.min));
        if elements > limits.table_elements {
            let limit = limits.table_elements;
            return Err(JobError::program(format!(
                "the tables need {elements} elements at the start, the job's limit is {limit}"
            )));
        }
        Ok(())
    }

    fn define(&mut self, instance: &mut Instance, number: u32, module: &Module) -> Result<(), JobError> {
        for index in module.imported_funcs()..module.func_count() {
            let ty = module.func_type(index);
            let zeroed = local_slots(module, index) - ty.param_slots();
            let type_number = instance.types[module.func_type_index(index) as usize];
            let func = self.add_func(number, index, ty, type_number, zeroed, FuncKind::Wasm);
            instance.funcs.push(func);
        }
        for (index, ty) in (0..).zip(module.tags()).skip(module.imported_tags() as usize) {
            instance.tags.push(self.tags.len() as u32);
            self.tags.push(Tag { instance: number, index, type_number: instance.types[*ty as usize] });
        }
        for limits in module.memories().iter().skip(module.imported_memories() as usize) {
            instance.memories.push(self.memories.len() as u32);
            self.add_memory(MemoryInstance::new(*limits, self.next_spaces.0)?);
            self.next_spaces.0 += 1;
        }
        for (ty, init) in module.globals().iter().skip(module.imported_globals() as usize) {
            let value = self.constant(instance, init.as_ref().expect("BUG: a defined global has a value"));
            instance.globals.push(self.globals.len() as u32);
            let ty = GlobalType { value: ty.value.renumbered(&|i| instance.types[i as usize]), ..*ty };
            for half in [value as u64, (value >> 64) as u64].iter().take(ty.value.slots() as usize) {
                self.globals.push(*half);
                self.global_types.push(ty);
            }
        }
        for (ty, init) in module.tables().iter().skip(module.imported_tables() as usize) {
            let value = init.as_ref().map_or(0, |init| self.constant(instance, init));
            let element = renumbered_ref(ty.element, &instance.types);
            let ty = TableType { element, ..*ty };
            instance.tables.push(self.tables.len() as u32);
            self.add_table(Table::new(ty, value as u64, self.next_spaces.1)?);
            self.next_spaces.1 += 1;
        }
        Ok(())
    }

    fn add_func(
        &mut self,
        instance: u32,
        index: u32,
        ty: &FuncType,
        type_number: u32,
        zeroed: u32,
        kind: FuncKind,
    ) -> u32 {
        let (params, results) = (ty.param_slots(), ty.result_slots());
        self.funcs.push(Func { instance, index, type_number, params, results, zeroed, kind });
        self.funcs.len() as u32 - 1
    }

    /// Numbers of a module's types. Groups are equal if their types are, which name types of groups before by their
    /// numbers and those of their own by their place in it (specification, section 3.1 "rolling and unrolling").
    fn number_types(&mut self, module: &Module) -> Vec<u32> {
        let mut numbers: Vec<u32> = Vec::with_capacity(module.types().len());
        for size in module.type_groups() {
            let first = numbers.len();
            let group = &module.types()[first..first + *size as usize];
            let in_group = |index: u32| OWN_GROUP + (index - first as u32);
            let number = |index: u32| numbers.get(index as usize).copied().unwrap_or_else(|| in_group(index));
            let rolled = group.iter().map(|ty| ty.renumbered(&number)).collect();
            let first = self.group_number(rolled);
            numbers.extend(first..first + size);
        }
        numbers
    }

    /// Number of the first type of a group, its types with their numbers in it.
    fn group_number(&mut self, rolled: Vec<FuncType>) -> u32 {
        if let Some(number) = self.type_numbers.get(&rolled) {
            return *number;
        }
        let first = self.types.len() as u32;
        let unroll = |index: u32| if index >= OWN_GROUP { first + (index - OWN_GROUP) } else { index };
        self.types.extend(rolled.iter().map(|ty| ty.renumbered(&unroll)));
        self.type_numbers.insert(rolled, first);
        first
    }

    fn type_number(&mut self, ty: &FuncType) -> u32 {
        self.group_number(vec![ty.clone()])
    }

    fn extern_type(&self, exported: Extern) -> ExternType {
        match exported {
            Extern::Func(a) => ExternType::Func(self.func_type(a).clone()),
            Extern::Table(a) => {
                let table = &self.tables[a as usize];
                let mut ty = table.ty();
                ty.limits.min = table.size();
                ExternType::Table(ty)
            }
            Extern::Memory(a) => {
                let memory = &self.memories[a as usize];
                ExternType::Memory(SizeLimits { min: memory.pages(), ..memory.limits() })
            }
            Extern::Global(a) => ExternType::Global(self.global_types[a as usize]),
            Extern::Tag(a) => ExternType::Tag(self.types[self.tags[a as usize].type_number as usize].clone()),
        }
    }

    /// The value of a global, zero-extended.
    pub fn global(&self, address: u32) -> u128 {
        let low = u128::from(self.globals[address as usize]);
        match self.global_types[address as usize].value.slots() {
            1 => low,
            _ => low | u128::from(self.globals[address as usize + 1]) << 64,
        }
    }

    /// The value of a constant expression, zero-extended.
    fn constant(&self, instance: &Instance, expr: &ConstExpr) -> u128 {
        use crate::code::Op;
        use crate::numeric as n;
        let mut stack: Vec<u128> = Vec::new();
        for op in expr {
            let value = match *op {
                ConstOp::Value(bits) => bits,
                ConstOp::Null => 0,
                ConstOp::Func(index) => self.func_ref(instance.funcs[index as usize]).into(),
                ConstOp::Global(index) => self.global(instance.globals[index as usize]),
                ConstOp::Binary(op) => {
                    let (b, a) = (stack.pop().unwrap_or(0), stack.pop().unwrap_or(0));
                    match op {
                        Op::I32Add => n::i32_add(a as u32, b as u32).into(),
                        Op::I32Sub => n::i32_sub(a as u32, b as u32).into(),
                        Op::I32Mul => n::i32_mul(a as u32, b as u32).into(),
                        Op::I64Add => n::i64_add(a as u64, b as u64).into(),
                        Op::I64Sub => n::i64_sub(a as u64, b as u64).into(),
                        _ => n::i64_mul(a as u64, b as u64).into(),
                    }
                }
            };
            stack.push(value);
        }
        stack.pop().expect("BUG: a constant expression has one value")
    }

    /// Writes an instance's active segments, elements first, as instantiation does.
    ///
    /// # Errors
    /// The trap of the first segment that does not fit; what earlier ones wrote stays, as the specification has it.
    pub fn write_segments(&mut self, number: u32) -> Result<(), Trap> {
        let module = self.instances[number as usize].module.clone();
        for (i, segment) in module.elements().iter().enumerate() {
            if let ElementMode::Active { table, offset } = &segment.mode {
                let start = self.constant(&self.instances[number as usize], offset) as u64;
                let table = self.instances[number as usize].tables[*table as usize];
                self.table_init(number, i as u32, table, start, 0, segment.items.count() as u64)?;
            }
            if !matches!(segment.mode, ElementMode::Passive) {
                self.instances[number as usize].dropped_elements[i] = true;
            }
        }
        for (i, segment) in module.data().iter().enumerate() {
            if let Some((memory, offset)) = &segment.active {
                let start = self.constant(&self.instances[number as usize], offset) as u64;
                let memory = self.instances[number as usize].memories[*memory as usize];
                self.memory_init(number, i as u32, memory, start, 0, segment.bytes.len() as u64)?;
                self.instances[number as usize].dropped_data[i] = true;
            }
        }
        Ok(())
    }

    /// Sets what an instance's memories and tables hold to zeros, as if nothing had been written.
    pub fn clear(&mut self, number: u32) {
        let instance = &self.instances[number as usize];
        for address in &instance.memories {
            let memory = &mut self.memories[*address as usize];
            memory.bytes.fill(0);
            memory.dirty.fill(0);
        }
        for address in &instance.tables {
            let table = &mut self.tables[*address as usize];
            table.elements.fill(0);
            table.dirty.fill(0);
        }
    }

    /// Bounds of `table.init`: items of the segment, elements of the table.
    pub(crate) fn check_table_init(
        &self,
        number: u32,
        segment: u32,
        table: u32,
        to: u64,
        from: u64,
        length: u64,
    ) -> Result<Ranges, Trap> {
        let instance = &self.instances[number as usize];
        let dropped = instance.dropped_elements[segment as usize];
        let items = if dropped { 0 } else { instance.module.elements()[segment as usize].items.count() };
        let source = subrange(from, length, items).ok_or(Trap::TableOutOfBounds)?;
        Ok((source, self.tables[table as usize].check(to, length)?))
    }

    /// `table.init`: copies `length` items of a segment from `from` on to the table from `to` on.
    ///
    /// # Errors
    /// [`Trap::TableOutOfBounds`], with nothing written.
    pub(crate) fn table_init(
        &mut self,
        number: u32,
        segment: u32,
        table: u32,
        to: u64,
        from: u64,
        length: u64,
    ) -> Result<(), Trap> {
        let (items, range) = self.check_table_init(number, segment, table, to, from, length)?;
        if items.is_empty() {
            return Ok(());
        }
        let instance = &self.instances[number as usize];
        let values: Vec<u64> = match &instance.module.elements()[segment as usize].items {
            Items::Funcs(funcs) => {
                funcs[items].iter().map(|func| self.func_ref(instance.funcs[*func as usize])).collect()
            }
            Items::Exprs(exprs) => exprs[items].iter().map(|expr| self.constant(instance, expr) as u64).collect(),
        };
        self.tables[table as usize].write(range, &values);
        Ok(())
    }

    /// Bounds of `memory.init`: bytes of the segment, bytes of the memory.
    pub(crate) fn check_memory_init(
        &self,
        number: u32,
        segment: u32,
        memory: u32,
        to: u64,
        from: u64,
        length: u64,
    ) -> Result<Ranges, Trap> {
        let instance = &self.instances[number as usize];
        let dropped = instance.dropped_data[segment as usize];
        let bytes = if dropped { 0 } else { instance.module.data_bytes(segment).len() };
        let source = subrange(from, length, bytes).ok_or(Trap::MemoryOutOfBounds)?;
        Ok((source, self.memories[memory as usize].check(to, length)?))
    }

    /// `memory.init`: copies `length` bytes of a segment from `from` on to the memory from `to` on.
    ///
    /// # Errors
    /// [`Trap::MemoryOutOfBounds`], with nothing written.
    pub(crate) fn memory_init(
        &mut self,
        number: u32,
        segment: u32,
        memory: u32,
        to: u64,
        from: u64,
        length: u64,
    ) -> Result<(), Trap> {
        let (source, target) = self.check_memory_init(number, segment, memory, to, from, length)?;
        if source.is_empty() {
            return Ok(());
        }
        let module = self.instances[number as usize].module.clone();
        self.memories[memory as usize].write(target, &module.data_bytes(segment)[source]);
        Ok(())
    }
}

/// `from .. from + length` if it ends at `size` or before.
fn subrange(from: u64, length: u64, size: usize) -> Option<Range<usize>> {
    let end = from.checked_add(length)?;
    (end <= size as u64).then_some(from as usize..end as usize)
}

/// In a rolled type: the first type of its own group, and from there on the others.
const OWN_GROUP: u32 = 1 << 31;

/// Local slots of a defined function, parameters included.
pub fn local_slots(module: &Module, func: u32) -> u32 {
    let range = module.body(func).expect("BUG: a defined function has a body");
    Locals::new(&module.func_type(func).params, Reader::new(&module.bytes()[range]).declared_locals()).slots()
}

fn renumbered_ref(ty: RefType, numbers: &[u32]) -> RefType {
    match ValType::Ref(ty).renumbered(&|index| numbers[index as usize]) {
        ValType::Ref(ty) => ty,
        _ => ty,
    }
}

/// A type of a module in terms of the store's type numbers.
fn numbered(ty: &ExternType, numbers: &[u32]) -> ExternType {
    let number = |index: u32| numbers[index as usize];
    match ty {
        ExternType::Func(ty) => ExternType::Func(ty.renumbered(&number)),
        ExternType::Tag(ty) => ExternType::Tag(ty.renumbered(&number)),
        ExternType::Global(ty) => ExternType::Global(GlobalType { value: ty.value.renumbered(&number), ..*ty }),
        ExternType::Table(ty) => ExternType::Table(TableType { element: renumbered_ref(ty.element, numbers), ..*ty }),
        ExternType::Memory(limits) => ExternType::Memory(*limits),
    }
}

fn incompatible(name: &str, wanted: &ExternType, found: &ExternType) -> JobError {
    JobError::link(format!("incompatible import type for {name}: wanted {wanted}, found {found}"))
}

/// Whether a global, memory or table satisfies what was wanted of it.
fn types_match(wanted: &ExternType, found: &ExternType) -> bool {
    let sizes = |wanted: &SizeLimits, found: &SizeLimits| {
        found.is64 == wanted.is64
            && found.min >= wanted.min
            && wanted.max.is_none_or(|max| found.max.is_some_and(|found| found <= max))
    };
    match (wanted, found) {
        (ExternType::Global(a), ExternType::Global(b)) if a.mutable || b.mutable => a == b,
        (ExternType::Global(a), ExternType::Global(b)) => b.value.matches(a.value),
        (ExternType::Memory(a), ExternType::Memory(b)) => sizes(a, b),
        (ExternType::Table(a), ExternType::Table(b)) => a.element == b.element && sizes(&a.limits, &b.limits),
        _ => false,
    }
}
