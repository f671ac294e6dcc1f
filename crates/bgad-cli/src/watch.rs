//! `bgad watch`: the line.

use std::io::Write as _;
use std::time::Duration;

use bgad_server::{
    ClientTlsFiles, KeepRule, Limits, MqttBroker, Pace, ServeOptions, Source, WatchOptions, watch,
};

use crate::args::WatchArgs;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::serve::{access, log, tls};
use crate::{machine, out};

/// Size of kept pictures unless told otherwise.
const QUOTA: u64 = 10_000_000_000;
/// Between two looks for a new model file.
const POLL: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &WatchArgs) -> Result<Outcome, Failure> {
    machine::use_threads(args.threads)?;
    log(args.log);
    let options = ServeOptions {
        source: Source::Files(vec![args.model.clone()]),
        http: args.http,
        grpc: None,
        threads: args.threads,
        limits: Limits::default(),
        access: access(&args.safety)?,
        tls: tls(&args.safety),
        insecure: args.safety.insecure,
        poll: POLL,
        feedback: Some(args.out.clone()),
    };
    let pace = match args.triggered {
        false => Pace::Free,
        true => {
            Pace::Triggered { timeout: args.trigger_timeout, frame_age: args.frame_age.unwrap_or_default() }
        }
    };
    let login = args.mqtt_user.clone().zip(args.mqtt_password_file.clone());
    let certificate = args.mqtt_cert.clone().zip(args.mqtt_key.clone());
    let mqtt_tls = args.mqtt_ca.clone().map(|ca| ClientTlsFiles { ca, certificate });
    let line = WatchOptions {
        folder: args.folder.clone(),
        out: args.out.clone(),
        settle: args.settle,
        relist: args.relist,
        pace,
        keep: KeepRule { one_in_ok: args.keep_ok, quota: args.quota.unwrap_or(QUOTA) },
        station: args.station.clone(),
        modbus: args.modbus,
        mqtt: args.mqtt.clone().map(|(host, port)| MqttBroker {
            host,
            port,
            topic: args.topic.clone(),
            login,
            tls: mqtt_tls,
        }),
        webhook: args.webhook.clone(),
    };
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    watch(options, line, |at| {
        let modbus = at.modbus.map(|modbus| format!(" and modbus://{modbus}")).unwrap_or_default();
        // A closed stdout keeps no part from being judged.
        let _ = writeln!(out::text(), "bgad: watching; {scheme}://{}{modbus}", at.http);
    })?;
    Ok(Outcome::Fine)
}
