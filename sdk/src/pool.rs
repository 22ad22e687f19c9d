//! Instances of one program for many callers: each is lent to one at a time, and reset when it comes back.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::vm::Vm;

/// A bounded pool of instances: see [`VmBuilder::pool`](crate::VmBuilder::pool).
///
/// ```
/// use node_sdk::{Value, Vm};
///
/// let wasm = wat::parse_str(
///     r#"(module (memory 1) (func (export "f") (param i32) (result i32)
///         (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get 0))) (i32.load (i32.const 0))))"#,
/// ).unwrap();
/// let pool = Vm::builder().module(wasm).pool(4)?;
/// std::thread::scope(|scope| {
///     for number in 0..16 {
///         let pool = &pool;
///         scope.spawn(move || {
///             let mut vm = pool.get();
///             // Whoever had the instance before has left nothing behind.
///             assert_eq!(vm.run_func(None, "f", &[Value::I32(number)]), Ok(vec![Value::I32(number)]));
///         });
///     }
/// });
/// assert!(pool.instances() <= 4);
/// # Ok::<(), node_sdk::Error>(())
/// ```
pub struct Pool {
    inner: Mutex<Inner>,
    returned: Condvar,
    most: usize,
}

struct Inner {
    /// Instances that nobody has.
    free: VecDeque<Vm>,
    /// Instances that there are, lent ones too.
    instances: usize,
    /// Kept as it was after linking, for more instances.
    model: Vm,
}

impl Pool {
    pub(crate) fn new(model: Vm, most: usize) -> Self {
        let inner = Inner { free: VecDeque::new(), instances: 0, model };
        Self { inner: Mutex::new(inner), returned: Condvar::new(), most: most.max(1) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance, as it was after linking. Waits while as many are lent as the pool may have.
    pub fn get(&self) -> PooledVm<'_> {
        let mut inner = self.inner();
        loop {
            if let Some(vm) = self.take(&mut inner) {
                return PooledVm { pool: self, vm: Some(vm) };
            }
            inner = self.returned.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same; none instead of waiting.
    pub fn try_get(&self) -> Option<PooledVm<'_>> {
        let vm = self.take(&mut self.inner())?;
        Some(PooledVm { pool: self, vm: Some(vm) })
    }

    /// The instance that came back last, whose memory is warmest, or a new one.
    fn take(&self, inner: &mut Inner) -> Option<Vm> {
        if let Some(vm) = inner.free.pop_back() {
            return Some(vm);
        }
        if inner.instances == self.most {
            return None;
        }
        inner.instances = inner.instances.saturating_add(1);
        Some(inner.model.fork())
    }

    /// Instances that there are, lent ones too.
    pub fn instances(&self) -> usize {
        self.inner().instances
    }

    fn put_back(&self, mut vm: Vm) {
        // Outside the lock: it costs what the borrower has written.
        vm.reset();
        self.inner().free.push_back(vm);
        self.returned.notify_one();
    }
}

/// An instance that is lent; it goes back when this is dropped.
pub struct PooledVm<'a> {
    pool: &'a Pool,
    /// There until it is dropped.
    vm: Option<Vm>,
}

impl Deref for PooledVm<'_> {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        self.vm.as_ref().unwrap_or_else(|| unreachable!("BUG: a lent instance is there until it is dropped"))
    }
}

impl DerefMut for PooledVm<'_> {
    fn deref_mut(&mut self) -> &mut Vm {
        self.vm.as_mut().unwrap_or_else(|| unreachable!("BUG: a lent instance is there until it is dropped"))
    }
}

impl Drop for PooledVm<'_> {
    fn drop(&mut self) {
        if let Some(vm) = self.vm.take() {
            self.pool.put_back(vm);
        }
    }
}
