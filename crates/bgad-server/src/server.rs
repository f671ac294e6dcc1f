//! What every door leads to: models, workers, limits, counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::access::Access;
use crate::drift::Alarm;
use crate::feedback::Feedback;
use crate::library::Library;
use crate::metrics::Metrics;
use crate::picture::{Judged, Order, Picture};
use crate::record::{PartInfo, Record};
use crate::refusal::{Busy, Refusal};
use crate::version::Version;
use crate::workers::{Job, Workers};

/// What a server takes on at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Images that wait for each model.
    pub queue: usize,
    /// From the request to its answer: what waits longer is refused.
    pub deadline: Duration,
    /// Bytes of a request, compressed and decompressed.
    pub body: usize,
    /// Bytes of all requests that are being received or answered.
    pub memory: usize,
    /// Time in which a body must arrive.
    pub arrival: Duration,
    /// Time in which the head of a request must arrive; a connection that is quiet longer is closed.
    pub head: Duration,
    /// Connections of each listener.
    pub connections: usize,
    /// Time that requests in work have to finish after SIGTERM.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queue: 64,
            deadline: Duration::from_secs(30),
            body: 64 << 20,
            memory: 512 << 20,
            arrival: Duration::from_secs(30),
            head: Duration::from_secs(60),
            connections: 16 << 10,
            drain: Duration::from_secs(30),
        }
    }
}

/// The state of a server; [`app`](crate::app) gives it its routes.
pub struct Server {
    pub(crate) library: Library,
    pub(crate) workers: Workers,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) feedback: Option<Feedback>,
    /// Permits of one KiB.
    memory: Arc<Semaphore>,
    stopping: AtomicBool,
}

/// Memory that a request holds until it is answered.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<OwnedSemaphorePermit>);

impl Server {
    /// A server of these models with a number of worker threads.
    ///
    /// # Errors
    ///
    /// What the system says if a thread cannot be started.
    pub fn new(library: Library, threads: usize, limits: Limits, access: Access) -> std::io::Result<Server> {
        Ok(Server {
            library,
            workers: Workers::start(threads)?,
            metrics: Metrics::new(),
            memory: Arc::new(Semaphore::new(limits.memory >> 10)),
            limits,
            access,
            feedback: None,
            stopping: AtomicBool::new(false),
        })
    }

    /// Keeps what operators answer in this folder.
    ///
    /// # Errors
    ///
    /// What the system says if the folder cannot be made.
    pub fn with_feedback(mut self, folder: std::path::PathBuf) -> std::io::Result<Server> {
        self.feedback = Some(Feedback::open(folder)?);
        Ok(self)
    }

    /// Whether requests are welcome.
    pub(crate) fn ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && self.library.ready()
    }

    /// From now on the server says that it is not ready; requests are still answered.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Takes memory for so many more bytes of a request.
    pub(crate) fn hold(&self, held: &mut Held, bytes: usize) -> Result<(), Refusal> {
        let permits = u32::try_from(bytes.div_ceil(1 << 10)).map_err(|_| Refusal::Busy(Busy::Memory))?;
        let more = Arc::clone(&self.memory).try_acquire_many_owned(permits);
        let more = more.map_err(|_| Refusal::Busy(Busy::Memory))?;
        match &mut held.0 {
            Some(permit) => permit.merge(more),
            None => held.0 = Some(more),
        }
        Ok(())
    }

    /// Judges pictures in their order; dropping the future abandons those that wait.
    pub(crate) async fn judge(
        &self,
        version: &Arc<Version>,
        pictures: Vec<Picture>,
    ) -> Result<Vec<Judged>, Refusal> {
        self.carry_out(version, pictures.into_iter().map(Order::from).collect()).await
    }

    /// As [`Server::judge`], with what was ordered besides.
    async fn carry_out(&self, version: &Arc<Version>, orders: Vec<Order>) -> Result<Vec<Judged>, Refusal> {
        let arrived = Instant::now();
        let result = self.judge_all(version, orders, arrived).await;
        match &result {
            Ok(_) => version.usage.success.add(arrived.elapsed()),
            Err(_) => version.usage.failure.add(arrived.elapsed()),
        }
        result
    }

    async fn judge_all(
        &self,
        version: &Arc<Version>,
        orders: Vec<Order>,
        arrived: Instant,
    ) -> Result<Vec<Judged>, Refusal> {
        let (mut jobs, mut results) = (Vec::new(), Vec::new());
        let deadline = arrived + self.limits.deadline;
        for order in orders {
            let (send, receive) = oneshot::channel();
            jobs.push(job(Arc::clone(version), order, send, (arrived, deadline)));
            results.push(receive);
        }
        let queued = self.workers.submit(&version.model, self.limits.queue, jobs);
        queued.map_err(|_| Refusal::Busy(Busy::Queue))?;
        let mut judged = Vec::with_capacity(results.len());
        for (i, result) in results.into_iter().enumerate() {
            let result = tokio::time::timeout_at(deadline.into(), result).await;
            let result = result.map_err(|_| Refusal::Busy(Busy::Deadline))?;
            let one = result.map_err(|_| Refusal::Internal("judging the image failed".to_owned()))?;
            judged.push(one.map_err(|refusal| match refusal {
                Refusal::Invalid(message) => Refusal::Invalid(format!("image {i}: {message}")),
                other => other,
            })?);
        }
        for one in &judged {
            version.usage.judged(one);
            self.metrics.judged(version, one);
            for Alarm { signal, distance } in version.drift.add(&one.inspection) {
                tracing::warn!(model = version.model, version = version.number, signal, distance, "drift");
            }
        }
        Ok(judged)
    }

    /// Judges one picture; the result is its record.
    pub(crate) async fn record(
        &self,
        version: &Arc<Version>,
        order: impl Into<Order>,
        part: PartInfo,
    ) -> Result<(Record, Judged), Refusal> {
        let judged = self.carry_out(version, vec![order.into()]).await?.pop();
        let judged = judged.ok_or_else(|| Refusal::Internal("the image has no result".to_owned()))?;
        Ok((Record::new(version, &judged, part), judged))
    }
}

/// A job that decodes and inspects one picture, unless nobody waits for it or its time is over.
fn job(
    version: Arc<Version>,
    order: Order,
    result: oneshot::Sender<Result<Judged, Refusal>>,
    (arrived, deadline): (Instant, Instant),
) -> Job {
    let result = Arc::new(std::sync::Mutex::new(Some(result)));
    let watched = Arc::clone(&result);
    let gone = move || {
        let sender = watched.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sender.as_ref().is_none_or(oneshot::Sender::is_closed) || Instant::now() > deadline
    };
    let work = move || {
        let judged = order.judge(&version, arrived);
        let sender = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // A client that went away meanwhile has no use for it.
            let _ = sender.send(judged);
        }
    };
    Job { abandoned: Box::new(gone), work: Box::new(work) }
}
