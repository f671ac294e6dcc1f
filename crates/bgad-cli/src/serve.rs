//! `bgad serve`: the model server.

use std::io::Write as _;

use bgad_server::{Access, Limits, LogFormat, ServeOptions, Source, TlsFiles, Token, serve, start_log};

use crate::args::{LogArgs, LogForm, SafetyArgs, ServeArgs};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::{machine, out};

pub(crate) fn run(args: &ServeArgs) -> Result<Outcome, Failure> {
    machine::use_threads(args.threads)?;
    log(args.log);
    let source = match &args.repository {
        Some(folder) => Source::Repository(folder.clone()),
        None => Source::Files(args.models.clone()),
    };
    let usual = Limits::default();
    let size = |asked: Option<u64>, usual: usize| asked.map_or(Ok(usual), usize::try_from);
    let options = ServeOptions {
        source,
        http: args.http,
        grpc: Some(args.grpc),
        threads: args.threads,
        limits: Limits {
            queue: args.queue,
            deadline: args.deadline,
            body: size(args.body_limit, usual.body)?,
            memory: size(args.memory, usual.memory)?,
            connections: args.connections,
            ..usual
        },
        access: access(&args.safety)?,
        tls: tls(&args.safety),
        insecure: args.safety.insecure,
        poll: args.poll,
        feedback: args.feedback.clone(),
    };
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    serve(options, |at| {
        let grpc = at.grpc.map(|grpc| format!(" and grpc://{grpc}")).unwrap_or_default();
        // A closed stdout keeps nobody from calling.
        let _ = writeln!(out::text(), "bgad: serving {scheme}://{}{grpc}", at.http);
    })?;
    Ok(Outcome::Fine)
}

/// Sends the log to stderr.
pub(crate) fn log(args: LogArgs) {
    let format = match args.log {
        LogForm::Text => LogFormat::Text,
        LogForm::Json => LogFormat::Json,
    };
    start_log(format, args.verbose);
}

pub(crate) fn access(args: &SafetyArgs) -> Result<Access, Failure> {
    let token = |path: &Option<std::path::PathBuf>| path.as_deref().map(Token::read).transpose();
    Ok(Access { token: token(&args.token_file)?, admin: token(&args.admin_token_file)?, local: false })
}

pub(crate) fn tls(args: &SafetyArgs) -> Option<TlsFiles> {
    let (certificate, key) = (args.tls_cert.clone()?, args.tls_key.clone()?);
    Some(TlsFiles { certificate, key, client_ca: args.client_ca.clone() })
}
