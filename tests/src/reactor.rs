//! The node through its exported functions as docs/guest-abi.md describes them, written from that page alone and apart
//! from the host runner's own embedding: every import traps, every mutable global of the file is looked at after each
//! call, and on request the linear memory, and nothing else, moves into a fresh instance before each call.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use guest_interp::args;
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_runner::failure::{Failure, IO};
use stepmark_runner::node::engine::{Budget, Deliver, Event, ModuleSession, Progress};
use stepmark_session::output_file::OutputFile;
use stepmark_session::report::RunResult;
use stepmark_session::spec::JobSpec;
use wasmparser::{BinaryReader, ExportSectionReader, GlobalSectionReader, Parser, Payload};
use wasmtime::{Config, Engine, Global, Instance, Linker, Memory, Module, Store, Val};

/// The node's file with its mutable globals exported, compiled.
pub struct ExposedNode {
    /// The changed file.
    pub wasm: Vec<u8>,
    /// Export names of its mutable globals.
    pub globals: Vec<String>,
    module: Module,
    counting: bool,
}

impl ExposedNode {
    /// Exposes the mutable globals of the node's file `wasm`.
    ///
    /// # Errors
    /// If it is not valid, or its kind of state is one that this cannot see.
    pub fn new(wasm: &[u8]) -> Result<Self> {
        Self::compile(wasm, false)
    }

    /// As [`ExposedNode::new`], and a [`Reactor`] of it counts the instructions that it executes.
    ///
    /// # Errors
    /// As [`ExposedNode::new`].
    pub fn counting(wasm: &[u8]) -> Result<Self> {
        Self::compile(wasm, true)
    }

    fn compile(wasm: &[u8], counting: bool) -> Result<Self> {
        let (wasm, globals) = expose_globals(wasm)?;
        let mut config = Config::new();
        config.consume_fuel(counting);
        let module = Module::new(&Engine::new(&config)?, &wasm)?;
        Ok(Self { wasm, globals, module, counting })
    }
}

/// Adds an export for each mutable global; the new file, and the names. State that no export could show, outside memories
/// and globals, is refused: a start function, an imported global, and a table that code could change.
///
/// # Errors
/// If `wasm` is not a module, or has such state.
pub fn expose_globals(wasm: &[u8]) -> Result<(Vec<u8>, Vec<String>)> {
    const EXPORT_SECTION: u8 = 7;
    let mut mutable = Vec::new();
    let mut exports = None;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    ensure!(
                        matches!(import.ty, wasmparser::TypeRef::Func(_)),
                        "{} is imported and no function",
                        import.name
                    );
                }
            }
            Payload::StartSection { .. } => bail!("there is a start function"),
            Payload::GlobalSection(globals) => mutable = mutable_globals(globals)?,
            Payload::ExportSection(section) => exports = Some(section.range()),
            Payload::CodeSectionEntry(body) => changes_no_table(&body)?,
            _ => {}
        }
    }
    let exports = exports.context("there is no export section")?;
    let body = bytes(wasm, exports.clone())?;
    let count = ExportSectionReader::new(BinaryReader::new(body, 0))?.count();
    let names: Vec<String> = mutable.iter().map(|index| format!("mutable global {index}")).collect();

    let mut new = leb(count + u32::try_from(names.len())?);
    new.extend_from_slice(body.get(leb(count).len()..).context("an overlong count")?);
    for (index, name) in mutable.iter().zip(&names) {
        new.extend(leb(u32::try_from(name.len())?));
        new.extend(name.as_bytes());
        new.push(3);
        new.extend(leb(*index));
    }
    let header = 1 + leb(u32::try_from(body.len())?).len();
    let start = exports.start.checked_sub(header).context("no section header")?;
    ensure!(wasm.get(start) == Some(&EXPORT_SECTION), "an overlong section size");
    let mut out = bytes(wasm, 0..start)?.to_vec();
    out.push(EXPORT_SECTION);
    out.extend(leb(u32::try_from(new.len())?));
    out.append(&mut new);
    out.extend_from_slice(bytes(wasm, exports.end..wasm.len())?);
    Ok((out, names))
}

fn bytes(wasm: &[u8], range: Range<usize>) -> Result<&[u8]> {
    wasm.get(range).context("a section outside the file")
}

fn mutable_globals(section: GlobalSectionReader<'_>) -> Result<Vec<u32>> {
    let mut mutable = Vec::new();
    for (index, global) in (0u32..).zip(section) {
        if global?.ty.mutable {
            mutable.push(index);
        }
    }
    Ok(mutable)
}

fn changes_no_table(body: &wasmparser::FunctionBody<'_>) -> Result<()> {
    use wasmparser::Operator::{DataDrop, ElemDrop, TableCopy, TableFill, TableGrow, TableInit, TableSet};
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        let changes = matches!(
            operator,
            TableSet { .. }
                | TableGrow { .. }
                | TableFill { .. }
                | TableCopy { .. }
                | TableInit { .. }
                | ElemDrop { .. }
                | DataDrop { .. }
        );
        ensure!(!changes, "{operator:?} changes state outside memory");
    }
    Ok(())
}

/// Unsigned LEB128, shortest form.
fn leb(mut value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let [low, ..] = (value & 0x7f).to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// An instance and what is watched of it.
struct Place {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    globals: Vec<(String, Global, u64)>,
}

impl Place {
    fn new(node: &ExposedNode) -> Result<Self> {
        let mut store = Store::new(node.module.engine(), ());
        if node.counting {
            store.set_fuel(u64::MAX)?;
        }
        let mut linker = Linker::new(node.module.engine());
        linker.define_unknown_imports_as_traps(&node.module)?;
        let instance = linker.instantiate(&mut store, &node.module)?;
        let memory = instance.get_memory(&mut store, "memory").context("no export `memory`")?;
        let mut globals = Vec::new();
        for name in &node.globals {
            let global = instance.get_global(&mut store, name).context("no such global")?;
            let base = bits(global.get(&mut store))?;
            globals.push((name.clone(), global, base));
        }
        Ok(Self { store, instance, memory, globals })
    }

    fn call(&mut self, name: &str, params: &[Val]) -> Result<i64> {
        let func = self.instance.get_func(&mut self.store, name).with_context(|| format!("no export `{name}`"))?;
        let mut results = [Val::I32(0)];
        func.call(&mut self.store, params, &mut results).map_err(anyhow::Error::from).context(name.to_owned())?;
        for (global, handle, base) in &self.globals {
            let now = bits(handle.get(&mut self.store))?;
            ensure!(now == *base, "{name} left {global} at {now}, its base is {base}");
        }
        match results {
            [Val::I32(value)] => Ok(value.into()),
            [Val::I64(value)] => Ok(value),
            other => bail!("{name} returned {other:?}"),
        }
    }
}

fn bits(value: Val) -> Result<u64> {
    Ok(match value {
        Val::I32(value) => u64::from(value.cast_unsigned()),
        Val::I64(value) => value.cast_unsigned(),
        Val::F32(bits) => bits.into(),
        Val::F64(bits) => bits,
        other => bail!("a global that holds {other:?}"),
    })
}

/// A node behind its exported functions.
pub struct Reactor<'a> {
    node: &'a ExposedNode,
    place: Place,
    move_each_call: bool,
    /// Calls so far.
    pub calls: u64,
    /// Moves into a fresh instance so far.
    pub moves: u64,
}

impl<'a> Reactor<'a> {
    /// A node without a job; with `move_each_call`, each call is made in an instance of its own.
    ///
    /// # Errors
    /// If it cannot be instantiated.
    pub fn new(node: &'a ExposedNode, move_each_call: bool) -> Result<Self> {
        let mut this = Self { node, place: Place::new(node)?, move_each_call, calls: 0, moves: 0 };
        ensure!(this.call("node_abi_version", &[])? == 2, "another version of the interface");
        Ok(this)
    }

    /// A node that goes on from a linear memory.
    ///
    /// # Errors
    /// If it cannot be instantiated, or grown to that size.
    pub fn thaw(node: &'a ExposedNode, image: &[u8]) -> Result<Self> {
        let mut this = Self { node, place: Place::new(node)?, move_each_call: false, calls: 0, moves: 0 };
        this.replace_memory(image)?;
        Ok(this)
    }

    /// Everything that the node knows: its linear memory.
    pub fn image(&self) -> Vec<u8> {
        self.place.memory.data(&self.place.store).to_vec()
    }

    /// Instructions of the node executed since it was instantiated or moved, as wasmtime's fuel counts them: one each,
    /// bulk operations too, and none for those that only give structure.
    ///
    /// # Errors
    /// If its module does not count.
    pub fn instructions(&self) -> Result<u64> {
        Ok(u64::MAX - self.place.store.get_fuel()?)
    }

    /// Moves the memory into a fresh instance in another store.
    ///
    /// # Errors
    /// As [`Reactor::thaw`].
    pub fn move_on(&mut self) -> Result<()> {
        let image = self.image();
        self.place = Place::new(self.node)?;
        self.moves += 1;
        self.replace_memory(&image)
    }

    fn replace_memory(&mut self, image: &[u8]) -> Result<()> {
        let Place { store, memory, .. } = &mut self.place;
        let missing = image.len().checked_sub(memory.data_size(&*store)).context("the image is too small")?;
        memory.grow(&mut *store, u64::try_from(missing / 65_536)?)?;
        memory.data_mut(store).copy_from_slice(image);
        Ok(())
    }

    fn call(&mut self, name: &str, params: &[Val]) -> Result<i64> {
        if self.move_each_call {
            self.move_on()?;
        }
        self.calls += 1;
        self.place.call(name, params)
    }

    /// Puts bytes into the exchange buffer; their number, as the next call wants it.
    fn put(&mut self, bytes: &[u8]) -> Result<Val> {
        let length = i32::try_from(bytes.len())?;
        let address = self.call("node_buffer", &[Val::I32(length)])?;
        ensure!(address != 0, "{length} bytes are too many at once");
        self.place.memory.write(&mut self.place.store, usize::try_from(address)?, bytes)?;
        Ok(Val::I32(length))
    }

    /// What a call left in the buffer; its length or the negated exit code is `value`.
    fn get(&mut self, value: i64) -> Result<Vec<u8>> {
        if let Ok(length) = usize::try_from(value) {
            let address = usize::try_from(self.call("node_buffer", &[Val::I32(0)])?)?;
            let mut bytes = vec![0; length];
            self.place.memory.read(&self.place.store, address, &mut bytes)?;
            return Ok(bytes);
        }
        let length = self.call("node_error", &[])?;
        ensure!(length > 0, "error {value} without a text");
        let text = String::from_utf8(self.get(length)?)?;
        let code = i32::try_from(-value)?;
        Err(Failure::new(code, text).into())
    }

    fn get_all(&mut self, name: &str, params: &[Val]) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let length = self.call(name, params)?;
            if length == 0 {
                return Ok(all);
            }
            all.append(&mut self.get(length)?);
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        let length = self.call(name, &[])?;
        if length == 0 { Ok(None) } else { Ok(Some(String::from_utf8(self.get(length)?)?)) }
    }

    /// A call that returns 0, or the negated exit code.
    fn done(&mut self, name: &str, params: &[Val]) -> Result<()> {
        let value = self.call(name, params)?;
        self.get(value).map(|_| ())
    }
}

/// The errors of the node as they are, everything else as a failure of this embedding.
fn failure(error: anyhow::Error) -> Failure {
    error.downcast::<Failure>().unwrap_or_else(|error| Failure::new(IO, format!("{error:#}")))
}

type Outcome<T> = stepmark_runner::failure::Result<T>;

impl Reactor<'_> {
    /// Starts a job from arguments.
    ///
    /// # Errors
    /// The module's.
    pub fn load_arguments(&mut self, argv: &[String]) -> Outcome<()> {
        let length = self.put(argv.join("\0").as_bytes()).map_err(failure)?;
        let code = self.call("node_load", &[length]).map_err(failure)?;
        self.get(-code).map(|_| ()).map_err(failure)
    }
}

impl ModuleSession for Reactor<'_> {
    fn load(&mut self, job: &JobSpec) -> Outcome<()> {
        self.load_arguments(&args::print(job))
    }

    fn want(&mut self) -> Outcome<Option<String>> {
        self.text("node_want").map_err(failure)
    }

    fn give(&mut self, chunk: &[u8]) -> Outcome<()> {
        let length = self.put(chunk).map_err(failure)?;
        self.done("node_give", &[length]).map_err(failure)
    }

    fn give_end(&mut self, found: bool) -> Outcome<()> {
        self.done("node_give_end", &[Val::I32(found.into())]).map_err(failure)
    }

    fn run(&mut self, budget: Budget) -> Outcome<Event> {
        let [gas, steps] = [budget.gas, budget.steps].map(|value| Val::I64(value.cast_signed()));
        match self.call("node_run", &[gas, steps]).map_err(failure)? {
            0 => Ok(Event::Finished),
            1 => Ok(Event::Snapshot(self.progress()?.snapshot_id)),
            2 => Ok(Event::Paused),
            3 => Ok(Event::Output),
            4 => Ok(Event::Question),
            other => Err(self.get(other).map_or_else(failure, |_| Failure::new(IO, format!("event {other}")))),
        }
    }

    fn question(&mut self) -> Outcome<Option<ExternalCall>> {
        Err(Failure::new(IO, "questions are not asked here"))
    }

    fn answer(&mut self, _: &ExternalReply) -> Outcome<()> {
        Err(Failure::new(IO, "questions are not asked here"))
    }

    fn asking_memory(&mut self, _: u64, _: u32) -> Outcome<Vec<u8>> {
        Err(Failure::new(IO, "questions are not asked here"))
    }

    fn asking_memory_size(&mut self) -> Outcome<u64> {
        Err(Failure::new(IO, "questions are not asked here"))
    }

    fn encode_pause(&mut self) -> Outcome<()> {
        self.done("node_pause", &[]).map_err(failure)
    }

    fn next_file(&mut self) -> Outcome<Option<OutputFile>> {
        Ok(self.text("node_take_name").map_err(failure)?.and_then(|name| OutputFile::parse(&name)))
    }

    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Outcome<bool> {
        let length = self.call("node_take", &[]).map_err(failure)?;
        *chunk = self.get(length).map_err(failure)?;
        Ok(length > 0)
    }

    fn take_output(&mut self, fd: u32) -> Outcome<Vec<u8>> {
        self.get_all("node_output", &[Val::I32(fd.cast_signed())]).map_err(failure)
    }

    fn result(&mut self) -> Outcome<Option<RunResult>> {
        let length = self.call("node_result", &[]).map_err(failure)?;
        let bytes = self.get(length).map_err(failure)?;
        let decoded = |bytes: &Vec<u8>| postcard::from_bytes(bytes).map_err(|error| failure(error.into()));
        Some(bytes).filter(|bytes| !bytes.is_empty()).as_ref().map(decoded).transpose()
    }

    fn exit_code(&mut self) -> Outcome<i32> {
        let code = self.call("node_exit_code", &[]).map_err(failure)?;
        i32::try_from(code).map_err(|error| failure(error.into()))
    }

    fn output_dir(&mut self) -> Outcome<String> {
        self.text("node_output_dir").map_err(failure).map(Option::unwrap_or_default)
    }

    fn start_id(&mut self) -> Outcome<u64> {
        self.call("node_start_id", &[]).map(i64::cast_unsigned).map_err(failure)
    }

    fn job_hash(&mut self) -> Outcome<[u8; 32]> {
        let length = self.call("node_job_hash", &[]).map_err(failure)?;
        let bytes = self.get(length).map_err(failure)?;
        bytes.try_into().map_err(|_| Failure::new(IO, "the job's hash has another length"))
    }

    fn progress(&mut self) -> Outcome<Progress> {
        let length = self.call("node_progress", &[]).map_err(failure)?;
        let bytes = self.get(length).map_err(failure)?;
        let fields: Vec<u64> = bytes.as_chunks().0.iter().map(|field| u64::from_le_bytes(*field)).collect();
        let [gas_total, segment_gas, gas_limit, snapshot_id, gas_stepped, answers] = fields[..] else {
            return Err(Failure::new(IO, "the progress has another length"));
        };
        Ok(Progress { gas_total, segment_gas, gas_limit, snapshot_id, gas_stepped, answers })
    }

    fn take_message(&mut self) -> Outcome<Option<String>> {
        self.text("node_message").map_err(failure)
    }

    fn record_answers(&mut self) -> Outcome<()> {
        self.done("node_record_answers", &[Val::I32(1)]).map_err(failure)
    }

    fn take_answers(&mut self) -> Outcome<Vec<u8>> {
        self.get_all("node_answers", &[]).map_err(failure)
    }
}

impl Deliver for Reactor<'_> {
    fn deliver_name(&mut self) -> Outcome<Option<String>> {
        self.text("node_deliver_name").map_err(failure)
    }

    fn deliver_link(&mut self) -> Outcome<Option<usize>> {
        let position = self.call("node_deliver_link", &[]).map_err(failure)?;
        Ok(usize::try_from(position).ok().and_then(|position| position.checked_sub(1)))
    }

    fn deliver_chunk(&mut self, chunk: &mut Vec<u8>) -> Outcome<bool> {
        let length = self.call("node_deliver", &[]).map_err(failure)?;
        *chunk = self.get(length).map_err(failure)?;
        Ok(length > 0)
    }
}
