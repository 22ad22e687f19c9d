//! The functions that an embedder offers to programs, by module and name. They are declared to the job with their
//! types, so an import of another type is a link error, and every call of one reaches the embedder as a question.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepmark_snapshot::job::JobFunction;
use stepmark_state::host_type::HostType;

use crate::caller::{Caller, HostError};
use crate::error::Error;
use crate::typed::{WasmParams, WasmResults};
use crate::value::{Value, ValueType};

/// What a function does: bit patterns in, bit patterns out.
type HostFunctionBody = Arc<dyn Fn(&mut Caller<'_>, &[u64]) -> Result<Vec<u64>, HostError> + Send + Sync>;

#[derive(Clone)]
struct Function {
    params: Vec<HostType>,
    results: Vec<HostType>,
    body: HostFunctionBody,
}

/// Host functions by module and name. What the node itself offers (the system interface, the store) comes first where
/// both have a name.
///
/// A function must answer equal calls equally, or executions of one program differ; that is what the record of answers
/// is for.
#[derive(Clone, Default)]
pub struct Linker {
    functions: BTreeMap<(String, String), Function>,
}

impl std::fmt::Debug for Linker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.functions().iter().map(JobFunction::text)).finish()
    }
}

impl Linker {
    /// No function.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a function whose type is that of the closure: parameters and results are numbers or tuples of up to
    /// eight.
    ///
    /// # Errors
    /// A link error if there is a function of this name; a usage error if it cannot be a name.
    ///
    /// ```
    /// use node_sdk::{Caller, HostError, Linker};
    ///
    /// let mut linker = Linker::new();
    /// linker.func("math", "divide", |_: &mut Caller<'_>, (a, b): (u64, u64)| {
    ///     a.checked_div(b).ok_or_else(|| HostError::new("division by zero"))
    /// })?;
    /// let again = linker.func("math", "divide", |_: &mut Caller<'_>, (): ()| Ok::<(), HostError>(()));
    /// assert_eq!(again.err().unwrap().to_string(), "the function math.divide is defined twice");
    /// # Ok::<(), node_sdk::Error>(())
    /// ```
    pub fn func<P, R, F>(&mut self, module: &str, name: &str, body: F) -> Result<&mut Self, Error>
    where
        P: WasmParams,
        R: WasmResults,
        F: Fn(&mut Caller<'_>, P) -> Result<R, HostError> + Send + Sync + 'static,
    {
        let body = move |caller: &mut Caller<'_>, slots: &[u64]| {
            let params = P::from_slots(slots).ok_or_else(|| HostError::new("too few arguments"))?;
            body(caller, params).map(WasmResults::into_slots)
        };
        self.insert(module, name, (&P::types(), &R::types()), Arc::new(body))
    }

    /// Offers a function whose type is only known when the program runs.
    ///
    /// # Errors
    /// As those of [`func`](Self::func); a usage error for vectors and references, which cannot be passed to host
    /// functions.
    ///
    /// ```
    /// use node_sdk::{Linker, Value, ValueType};
    ///
    /// let mut linker = Linker::new();
    /// linker.func_new("env", "sum", &[ValueType::I64; 3], &[ValueType::I64], |_caller, args| {
    ///     let sum = args.iter().map(|arg| if let Value::I64(n) = arg { *n } else { 0 }).sum();
    ///     Ok(vec![Value::I64(sum)])
    /// })?;
    /// # Ok::<(), node_sdk::Error>(())
    /// ```
    pub fn func_new<F>(
        &mut self,
        module: &str,
        name: &str,
        params: &[ValueType],
        results: &[ValueType],
        body: F,
    ) -> Result<&mut Self, Error>
    where
        F: Fn(&mut Caller<'_>, &[Value]) -> Result<Vec<Value>, HostError> + Send + Sync + 'static,
    {
        let (takes, gives) = (params.to_vec(), results.to_vec());
        let body = move |caller: &mut Caller<'_>, slots: &[u64]| {
            let value = |(ty, slot): (&ValueType, &u64)| Value::from_bits(*ty, (*slot).into());
            let args: Vec<Value> = takes.iter().zip(slots).map(value).collect();
            let found = body(caller, &args)?;
            if !found.iter().map(Value::ty).eq(gives.iter().copied()) {
                return Err(HostError::new("its results are not of the types that it was declared with"));
            }
            Ok(found.iter().map(|value| value.bits() as u64).collect())
        };
        self.insert(module, name, (params, results), Arc::new(body))
    }

    fn insert(
        &mut self,
        module: &str,
        name: &str,
        (params, results): (&[ValueType], &[ValueType]),
        body: HostFunctionBody,
    ) -> Result<&mut Self, Error> {
        if module.is_empty() || name.is_empty() || module.contains('.') {
            return Err(Error::usage(format!(
                "'{module}' and '{name}' cannot name a function: neither is empty, and the module has no dot"
            )));
        }
        let host = |types: &[ValueType]| types.iter().map(|ty| ty.host()).collect::<Option<Vec<_>>>();
        let (Some(params), Some(results)) = (host(params), host(results)) else {
            return Err(Error::usage(format!("{module}.{name}: host functions take and return numbers only")));
        };
        let key = (module.to_owned(), name.to_owned());
        if self.functions.contains_key(&key) {
            return Err(Error::Link(format!("the function {module}.{name} is defined twice")));
        }
        self.functions.insert(key, Function { params, results, body });
        Ok(self)
    }

    /// The functions as the job declares them, in the order of their names.
    pub(crate) fn functions(&self) -> Vec<JobFunction> {
        let declared = |((module, name), function): (&(String, String), &Function)| JobFunction {
            module: module.clone(),
            name: name.clone(),
            params: function.params.clone(),
            results: function.results.clone(),
        };
        self.functions.iter().map(declared).collect()
    }

    /// Performs a call; none if there is no such function.
    pub(crate) fn call(
        &self,
        (module, name): (&str, &str),
        args: &[u64],
        caller: &mut Caller<'_>,
    ) -> Option<Result<Vec<u64>, HostError>> {
        let function = self.functions.get(&(module.to_owned(), name.to_owned()))?;
        Some((function.body)(caller, args))
    }
}
