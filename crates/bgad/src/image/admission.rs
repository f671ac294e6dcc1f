//! How many bytes of pictures all threads together hold while they decode: a thread waits until there is room for its own.
//!
//! ```text
//! files     bytes of files that were read                             1 GiB
//! pixels    bytes of pictures while they are decoded and resized      2 GiB
//! ```
//!
//! A picture that needs more than all of it is let in alone. Files are asked for before pixels, never the other way round,
//! and a thread that holds some is given more at once, so that no two threads wait for each other.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard};

/// A budget that all threads share.
pub(crate) struct Admission {
    room: usize,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    used: u64,
    most: u64,
}

/// For the bytes of files.
pub(crate) static FILES: Admission = Admission::new(0, 1 << 30);
/// For decoded pictures.
pub(crate) static PIXELS: Admission = Admission::new(1, 2 << 30);

thread_local! {
    /// How many permits of each budget this thread holds.
    static HELD: [Cell<usize>; 2] = const { [Cell::new(0), Cell::new(0)] };
}

/// Leave to hold so many bytes, until it is dropped. It stays on its thread.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    admission: &'a Admission,
    bytes: u64,
    stays: PhantomData<*const ()>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admission({})", self.room)
    }
}

impl Admission {
    const fn new(room: usize, most: u64) -> Admission {
        Admission { room, state: Mutex::new(State { used: 0, most }), freed: Condvar::new() }
    }

    /// Waits until `bytes` are free, and takes them.
    pub(crate) fn admit(&self, bytes: u64) -> Permit<'_> {
        let mut state = self.lock();
        let holds = HELD.with(|held| held[self.room].replace(held[self.room].get() + 1)) > 0;
        // Whoever needs more than there is waits for all the others.
        while !holds && state.used > 0 && state.used.saturating_add(bytes) > state.most {
            state = self.freed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.used = state.used.saturating_add(bytes);
        Permit { admission: self, bytes, stays: PhantomData }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let room = self.admission.room;
        HELD.with(|held| held[room].set(held[room].get() - 1));
        let mut state = self.admission.lock();
        state.used = state.used.saturating_sub(self.bytes);
        drop(state);
        self.admission.freed.notify_all();
    }
}

/// Sets how many bytes all threads together hold while they read and decode pictures: a third for files, the rest for
/// pixels. Without it 3 GiB.
pub fn limit_memory(bytes: u64) {
    FILES.lock().most = bytes / 3;
    PIXELS.lock().most = bytes - bytes / 3;
    [&FILES, &PIXELS].iter().for_each(|admission| admission.freed.notify_all());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn threads_together_stay_within_the_budget() {
        let admission = Admission::new(0, 100);
        let (held, highest) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let permit = admission.admit(40);
                        highest.fetch_max(held.fetch_add(40, Ordering::SeqCst) + 40, Ordering::SeqCst);
                        thread::yield_now();
                        held.fetch_sub(40, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(highest.into_inner(), 80);
        assert_eq!(admission.lock().used, 0);
    }

    #[test]
    fn a_picture_larger_than_the_budget_is_let_in_and_a_holder_is_never_made_to_wait() {
        let admission = Admission::new(1, 100);
        let alone = admission.admit(1000);
        drop(admission.admit(1000));
        drop(alone);
        assert_eq!(admission.lock().used, 0);
    }
}
