//! The line: a folder that pictures come into, and the wires on which answers go out.
//!
//! ```text
//! picture -> whole? -> judged -> image kept -> record on the disk -> Modbus, MQTT, webhook
//! ```
//!
//! Nobody is told anything before the record is on the disk, and whatever fails, what is told is a fault.

mod folder;
mod journal;
mod keep;
mod modbus;
mod mqtt;
mod panel;
mod station;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::access::AccessError;
use crate::refusal::{Busy, Refusal};
use crate::serve::{Addresses, ServeError, ServeOptions, run_with, runtime, system};
use crate::server::Server;

use folder::Folder;
use journal::{Journal, Outcome};
use keep::Keeper;
use modbus::SharedPanel;
use mqtt::Mqtt;
use station::{Station, Trigger};
use webhook::Webhook;

pub use keep::KeepRule;
pub use mqtt::MqttBroker;
pub use station::Pace;

/// After the Modbus door failed to accept.
const AGAIN: Duration = Duration::from_millis(200);

/// What a line is told.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Folder that pictures come into.
    pub folder: PathBuf,
    /// Folder of records and kept images.
    pub out: PathBuf,
    /// Time after which a file that does not change is whole.
    pub settle: Duration,
    /// Between two listings of the folder where the system sends no events.
    pub relist: Duration,
    /// When frames are judged.
    pub pace: Pace,
    /// Which images are kept.
    pub keep: KeepRule,
    /// Name of this station in the records.
    pub station: Option<String>,
    /// Address of the Modbus door.
    pub modbus: Option<SocketAddr>,
    /// Where results are published.
    pub mqtt: Option<MqttBroker>,
    /// Where records are posted.
    pub webhook: Option<String>,
}

/// Where a running line listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAddresses {
    /// The HTTP door.
    pub http: SocketAddr,
    /// The Modbus door.
    pub modbus: Option<SocketAddr>,
}

/// Judges what comes into a folder until SIGTERM or SIGINT; serves HTTP beside it. `started` is told once parts are
/// judged.
///
/// # Errors
///
/// A [`ServeError`] that says why the line did not start.
pub fn watch(
    options: ServeOptions,
    line: WatchOptions,
    started: impl FnOnce(LineAddresses),
) -> Result<(), ServeError> {
    let threads = crate::serve::threads(&options);
    let runtime = runtime()?;
    runtime.block_on(async {
        let modbus = match line.modbus {
            None => None,
            Some(address) if !address.ip().is_loopback() && !options.insecure => {
                return Err(AccessError::Modbus { address }.into());
            }
            Some(address) => Some(crate::serve::bind(address).await?),
        };
        let modbus_at = modbus.as_ref().map(crate::serve::local).transpose()?;
        let (calls, called) = mpsc::channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = None;
        let extra = trigger_route(calls);
        let result = run_with(
            options,
            threads,
            |server| {
                let begun = begin(&line, server, Wires { threads, modbus, called, stop: Arc::clone(&stop) })?;
                running = Some(begun);
                Ok(extra)
            },
            |Addresses { http, .. }| started(LineAddresses { http, modbus: modbus_at }),
        )
        .await;
        stop.store(true, Ordering::Relaxed);
        if let Some((thread, _webhook)) = running {
            // The station finishes its part, says that it stops, and ends.
            tokio::task::block_in_place(|| thread.join()).map_err(|_| ServeError::System {
                what: "the line failed",
                source: std::io::Error::other("its thread panicked"),
            })?;
        }
        result
    })
}

struct Wires {
    threads: usize,
    modbus: Option<TcpListener>,
    called: mpsc::Receiver<Trigger>,
    stop: Arc<AtomicBool>,
}

type Running = (std::thread::JoinHandle<()>, Option<Webhook>);

fn begin(line: &WatchOptions, server: &Arc<Server>, wires: Wires) -> Result<Running, ServeError> {
    let (journal, judged) = Journal::open(&line.out).map_err(system("cannot open the file of records"))?;
    let folder = Folder::watch(&line.folder, line.settle, line.relist, judged);
    let folder = folder.map_err(system("cannot watch the folder"))?;
    let keeper = Keeper::open(line.out.join("images"), line.keep);
    let keeper = keeper.map_err(system("cannot open the folder of kept images"))?;
    let (panel, plc) = SharedPanel::new(matches!(line.pace, Pace::Triggered { .. }));
    let mqtt = line.mqtt.as_ref().map(|broker| Mqtt::start(broker, Arc::clone(server))).transpose()?;
    let webhook = line.webhook.clone().map(|url| Webhook::start(line.out.clone(), url, Arc::clone(server)));
    let webhook = webhook.transpose().map_err(system("cannot start the webhook"))?;
    if let Some(listener) = wires.modbus {
        tokio::spawn(answer_plcs(listener, panel.clone(), Arc::clone(server)));
    }
    let mut called = wires.called;
    if line.pace == Pace::Free {
        // Nobody would answer.
        called.close();
    }
    let station = Station {
        server: Arc::clone(server),
        runtime: Handle::current(),
        folder,
        journal,
        keeper,
        panel,
        mqtt,
        station: line.station.clone(),
        pace: line.pace,
        threads: wires.threads,
        plc,
        calls: called,
        stop: wires.stop,
        last_beat: Instant::now(),
    };
    let thread = std::thread::Builder::new().name("bgad-line".to_owned()).spawn(move || station.run());
    Ok((thread.map_err(system("cannot start the line"))?, webhook))
}

/// Answers PLCs; an error of one connection, or of accepting it, does not end the door.
async fn answer_plcs(listener: TcpListener, panel: SharedPanel, server: Arc<Server>) {
    let modbus = modbus::door(listener);
    loop {
        if let Err(error) = modbus::serve(&modbus, panel.clone()).await {
            server.metrics.fault("modbus");
            tracing::error!(%error, "the Modbus door failed; it is opened again");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    part_id: Option<String>,
}

/// `POST /trigger` judges the next frame of the folder.
fn trigger_route(calls: mpsc::Sender<Trigger>) -> Router {
    Router::new().route("/trigger", post(trigger)).with_state(calls)
}

async fn trigger(
    State(calls): State<mpsc::Sender<Trigger>>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(asked)) = asked else {
        return Refusal::invalid("a trigger has no other parameter than part_id").into_response();
    };
    let (answer, outcome) = oneshot::channel();
    let trigger = Trigger { at: Instant::now(), part_id: asked.part_id, answer: Some(answer) };
    if calls.try_send(trigger).is_err() {
        return Refusal::Busy(Busy::Line).into_response();
    }
    match outcome.await {
        Ok(Outcome::Judged(record)) => Json(record).into_response(),
        Ok(Outcome::Fault(fault)) => Refusal::Internal(fault.error).into_response(),
        Err(_) => Refusal::Busy(Busy::Line).into_response(),
    }
}
