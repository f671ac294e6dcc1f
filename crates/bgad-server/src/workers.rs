//! Threads that judge, and the bounded queues before them.
//!
//! An image is one job, so a request of many images is spread over the cores, and no core waits for a batch to fill: on a
//! CPU the images of a batch share nothing but the weights. Models take turns, so that a busy one cannot starve another.
//! A job whose client is gone is dropped, not computed.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// One image to judge.
pub(crate) struct Job {
    /// Whether nobody waits for the result any longer.
    pub(crate) abandoned: Box<dyn Fn() -> bool + Send>,
    /// The work; it sends its result itself.
    pub(crate) work: Box<dyn FnOnce() + Send>,
}

/// The queue of this model has no room for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A fixed number of threads behind one queue a model.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
}

#[derive(Default)]
struct Queues {
    lanes: BTreeMap<String, VecDeque<Job>>,
    /// The model that was served last.
    last: String,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Jobs run outside the lock, and a panic cannot leave the queues half changed.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, or `None` once the workers are closed and nothing is left.
    fn next(&self) -> Option<Job> {
        let mut queues = self.lock();
        loop {
            if let Some(job) = queues.take() {
                return Some(job);
            }
            if queues.closed {
                return None;
            }
            queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queues {
    /// A job of the model after the one served last, in the order of names.
    fn take(&mut self) -> Option<Job> {
        let after = self
            .lanes
            .range::<String, _>((std::ops::Bound::Excluded(self.last.clone()), std::ops::Bound::Unbounded));
        let waiting = |(name, lane): (&String, &VecDeque<Job>)| (!lane.is_empty()).then(|| name.clone());
        let name = after.filter_map(waiting).next().or_else(|| self.lanes.iter().find_map(waiting))?;
        let job = self.lanes.get_mut(&name)?.pop_front();
        self.last = name;
        job
    }
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub(crate) fn start(count: usize) -> std::io::Result<Workers> {
        let count = count.max(1);
        let shared = Arc::new(Shared { queues: Mutex::default(), work: Condvar::new() });
        let threads = (0..count)
            .map(|i| {
                let shared = Arc::clone(&shared);
                thread::Builder::new().name(format!("bgad-worker-{i}")).spawn(move || {
                    while let Some(job) = shared.next() {
                        if !(job.abandoned)() {
                            // The client sees that the sender of its result is gone; the thread goes on.
                            let _ = catch_unwind(AssertUnwindSafe(job.work));
                        }
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Workers { shared, threads: Mutex::new(threads) })
    }

    /// Queues the images of one request, all or none. A request that alone is longer than the limit is taken when the
    /// queue is empty.
    pub(crate) fn submit(&self, model: &str, limit: usize, jobs: Vec<Job>) -> Result<(), Full> {
        let mut queues = self.shared.lock();
        if queues.closed {
            return Err(Full);
        }
        if !queues.lanes.contains_key(model) {
            queues.lanes.insert(model.to_owned(), VecDeque::new());
        }
        let lane = queues.lanes.get_mut(model).ok_or(Full)?;
        if lane.len() + jobs.len() > limit {
            // Those whose client is gone make room.
            lane.retain(|job| !(job.abandoned)());
        }
        if !lane.is_empty() && lane.len() + jobs.len() > limit {
            return Err(Full);
        }
        lane.extend(jobs);
        drop(queues);
        self.shared.work.notify_all();
        Ok(())
    }

    /// Images that wait, by model.
    pub(crate) fn depths(&self) -> Vec<(String, usize)> {
        self.shared.lock().lanes.iter().map(|(name, lane)| (name.clone(), lane.len())).collect()
    }

    /// Takes no more work, finishes what is queued and ends the threads.
    pub(crate) fn finish(&self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker catches the panics of its jobs, so there is none to pass on.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn job(work: impl FnOnce() + Send + 'static) -> Job {
        Job { abandoned: Box::new(|| false), work: Box::new(work) }
    }

    /// A single worker that is busy until the sender is dropped.
    fn busy() -> (Workers, mpsc::Sender<()>) {
        let workers = Workers::start(1).unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let wait = job(move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        workers.submit("a", 1, vec![wait]).unwrap();
        begins.recv().unwrap();
        (workers, hold)
    }

    #[test]
    fn a_full_queue_refuses_whole_requests() {
        let (workers, hold) = busy();
        let (done, results) = mpsc::channel();
        let jobs = |n: usize| {
            (0..n).map(|_| done.clone()).map(|done| job(move || done.send(()).unwrap())).collect::<Vec<_>>()
        };
        workers.submit("a", 2, jobs(5)).expect("longer than the limit, but the queue is empty");
        assert_eq!(workers.submit("a", 2, jobs(1)), Err(Full));
        workers.submit("b", 2, jobs(2)).expect("another model has its own queue");
        assert_eq!(workers.depths(), [("a".to_owned(), 5), ("b".to_owned(), 2)]);
        drop(hold);
        workers.finish();
        drop(done);
        assert_eq!(results.iter().count(), 7);
        assert_eq!(workers.submit("a", 2, vec![job(|| {})]), Err(Full), "closed");
    }

    #[test]
    fn models_take_turns() {
        let (workers, hold) = busy();
        let (done, results) = mpsc::channel();
        for (model, n) in [("a", 3), ("b", 2), ("c", 1)] {
            for _ in 0..n {
                let done = done.clone();
                workers.submit(model, 9, vec![job(move || done.send(model).unwrap())]).unwrap();
            }
        }
        drop((hold, done));
        assert_eq!(results.iter().collect::<Vec<_>>(), ["b", "c", "a", "b", "a", "a"]);
    }

    #[test]
    fn abandoned_work_is_not_done_and_makes_room() {
        let (workers, hold) = busy();
        let (done, results) = mpsc::channel();
        let sender = done.clone();
        let gone = Job { abandoned: Box::new(|| true), work: Box::new(move || sender.send("gone").unwrap()) };
        workers.submit("a", 1, vec![gone]).unwrap();
        workers.submit("a", 1, vec![job(move || done.send("done").unwrap())]).expect("room");
        drop(hold);
        assert_eq!(results.iter().collect::<Vec<_>>(), ["done"]);
    }

    #[test]
    fn a_panic_costs_one_job() {
        let workers = Workers::start(1).unwrap();
        let (done, results) = mpsc::channel();
        workers
            .submit("a", 9, vec![job(|| panic!("on purpose")), job(move || done.send(1).unwrap())])
            .unwrap();
        assert_eq!(results.recv(), Ok(1));
    }
}
