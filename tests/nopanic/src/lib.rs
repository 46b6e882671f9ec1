//! Entries of the core, each as a symbol of its own; `check.sh` links each alone, with what it can reach.
//!
//! The panic handler calls a function that does not exist: an entry from which it can be reached does not link.
#![no_std]

use core::panic::PanicInfo;

use heapless::String;
use watchdog_core::channel::alertmanager::{self, Clock};
use watchdog_core::channel::reply::Reply;
use watchdog_core::config::{self, Config, Facts, Name, Pair};
use watchdog_core::decide::{Event, Policy, State, decide};
use watchdog_core::digest::{Context, Message};
use watchdog_core::json::{self, Reader};
use watchdog_core::net::{Closed, FileFault, FileSystem, HostFile, Input};
use watchdog_core::probe::docker::{Close, Docker, Request};
use watchdog_core::probe::host::Host;
use watchdog_core::probe::orchestrator::Orchestrator;
use watchdog_core::rule::{Rule, Scalar};
use watchdog_core::signal::{Kind, Observation, SignalId};
use watchdog_core::table::Table;
use watchdog_core::text::{Detail, Subject, detail};
use watchdog_core::time::{Instant, Millis, Utc};
use watchdog_core::watchdog::{Mode, Watchdog};
use watchdog_core::wire::certificate;
use watchdog_core::wire::dns::Resolver;
use watchdog_core::wire::dns::message::{self, Carrier, Query, Question};
use watchdog_core::wire::dns::{address, hosts, resolv_conf};
use watchdog_core::wire::http::{Piece, Response};

unsafe extern "C" {
    // There is no such function.
    fn watchdog_core_can_panic() -> !;
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it can not be called, since nothing that holds this call can be linked.
    unsafe { watchdog_core_can_panic() }
}

/// What is done with what an entry finds: unknown to the compiler, so that nothing is left out.
#[inline(never)]
fn see<T>(value: T) {
    core::hint::black_box(value);
}

#[unsafe(no_mangle)]
pub fn entry_decide(
    observation: Observation,
    prev: &State,
    now: Instant,
    policy: &Policy,
) -> (State, Option<Event>) {
    decide(observation, prev, now, policy)
}

#[unsafe(no_mangle)]
pub fn entry_table_stage(table: &mut Table, kind: Kind, subject: &Subject, seen: Observation, bad: f64) {
    table.stage(kind, subject, seen, bad, format_args!("{}", subject.as_str()));
}

#[unsafe(no_mangle)]
pub fn entry_table_register(table: &mut Table, id: SignalId, now: Instant) {
    table.register(id, now);
}

#[unsafe(no_mangle)]
pub fn entry_table_settle(table: &mut Table, now: Instant, config: &Config) {
    table.settle(now, config);
    table.settle_facts(now, config);
}

#[unsafe(no_mangle)]
pub fn entry_table_delivery(table: &mut Table, place: usize, now: Instant, config: &Config) {
    table.send(place, 0, config);
    table.accepted(0, now, config);
    table.rejected(0);
    see(table.totals());
    see(table.undelivered(config, now));
}

#[unsafe(no_mangle)]
pub fn entry_json(reader: &mut Reader, bytes: &[u8]) -> bool {
    let fed = reader.feed(bytes, &mut |event| see(event));
    fed.is_ok() && reader.finish(&mut |event| see(event)).is_ok()
}

#[unsafe(no_mangle)]
pub fn entry_json_sequence(reader: &mut Reader, bytes: &[u8]) -> bool {
    let mut bytes = bytes;
    while let Ok(Some(rest)) = reader.feed_sequence(bytes, &mut |event| see(event)) {
        bytes = rest;
    }
    reader.is_between_documents()
}

#[unsafe(no_mangle)]
pub fn entry_rule_compile(name: &Name, text: &str) -> bool {
    Rule::compile(name, text).map(see).is_ok()
}

#[unsafe(no_mangle)]
pub fn entry_rule_holds(rule: &Rule, found: Scalar<'_>) -> Observation {
    rule.holds(found)
}

#[unsafe(no_mangle)]
pub fn entry_http_answer(response: &mut Response, bytes: &[u8], closed: Closed) -> bool {
    let fed = response.feed(bytes, &mut |piece: Piece<'_>| see(piece));
    fed.is_ok() && response.closed(closed).is_ok()
}

#[unsafe(no_mangle)]
pub fn entry_dns_message(bytes: &[u8], carrier: Carrier, question: &Question<'_>, query: &mut Query) {
    see(message::parse(bytes, carrier, question));
    see(question.emit(query));
}

#[unsafe(no_mangle)]
pub fn entry_dns_texts(hosts: &mut hosts::Reader, conf: &mut resolv_conf::Reader, bytes: &[u8], text: &str) {
    hosts.feed(bytes, &mut |address, name| see((address, name)));
    hosts.end(&mut |address, name| see((address, name)));
    conf.feed(bytes);
    see(conf.end().tries());
    see(address::parse(text));
}

#[unsafe(no_mangle)]
pub fn entry_dns_resolver(resolver: &mut Resolver, now: Instant, input: Input<'_>, host: &str) {
    match input {
        Input::Datagram(from, bytes) => resolver.handle_datagram(now, from, bytes),
        Input::Received(connection, bytes) => resolver.handle_received(now, connection, bytes),
        Input::Closed(connection, why) => resolver.handle_closed(now, connection, why),
        Input::Connected(connection) => resolver.handle_connected(connection),
        _ => resolver.resolv_conf_end(now),
    }
    if let Some(name) = resolver.register(host) {
        see(resolver.lookup(now, name));
    }
    see(resolver.poll(now));
    see(resolver.deadline());
}

#[unsafe(no_mangle)]
pub fn entry_certificate(der: &[u8]) -> Option<Utc> {
    certificate::not_after(der)
}

#[unsafe(no_mangle)]
pub fn entry_host_texts(host: &mut Host, config: &config::Host, file: HostFile, bytes: &[u8]) {
    host.file_part(config, file, bytes);
    host.file_end(file, Ok(()));
}

#[unsafe(no_mangle)]
pub fn entry_host_figures(host: &mut Host, place: u8, figures: Result<FileSystem, FileFault>) {
    host.file_system(place, figures);
    see(host.next());
    see(host.is_complete());
}

#[unsafe(no_mangle)]
pub fn entry_host_settle(host: &mut Host, now: Instant, config: &config::Host, table: &mut Table) {
    see(host.settle(now, config, table).is_readable);
}

#[unsafe(no_mangle)]
pub fn entry_digest(message: &mut Message, table: &mut Table, context: &Context<'_>) {
    message.begin(context);
    message.add_signals(table, context);
    message.end(table);
    message.conclude(table);
}

#[unsafe(no_mangle)]
pub fn entry_envelope(
    orchestrator: &mut Orchestrator,
    bytes: &[u8],
    limits: &config::Orchestrator,
    table: &mut Table,
    now: Instant,
) {
    let fed = orchestrator.feed(
        bytes,
        limits,
        table,
        &mut |event: &json::Event<'_>, _: &mut Table| see(event),
    );
    see(fed.is_ok() && orchestrator.finish(now, limits, table).is_ok());
    orchestrator.abandon(table);
}

#[unsafe(no_mangle)]
pub fn entry_docker_read(
    docker: &mut Docker,
    request: Request,
    bytes: &[u8],
    now: Instant,
    config: &config::Docker,
) {
    see(docker.body(request, bytes, now, config));
}

#[unsafe(no_mangle)]
pub fn entry_docker_end(docker: &mut Docker, request: Request, close: Close, now: Instant) {
    docker.end(request, close, now);
    see(docker.next());
    see(docker.deadline());
}

#[unsafe(no_mangle)]
pub fn entry_docker_settle(docker: &mut Docker, now: Instant, config: &config::Docker, table: &mut Table) {
    see(docker.settle(now, config, table).is_ok());
    docker.wake(now);
    see(docker.facts(now, table));
}

#[unsafe(no_mangle)]
pub fn entry_telegram_reply(reply: &mut Reply, bytes: &[u8]) {
    reply.begin();
    reply.feed(bytes);
    reply.end();
    see(reply.description());
}

#[unsafe(no_mangle)]
pub fn entry_alerts(table: &mut Table, config: &Config, clock: Clock, out: &mut String<16384>) -> bool {
    alertmanager::emit_alerts(0, table, config, clock, out).is_ok()
}

#[unsafe(no_mangle)]
pub fn entry_times(text: &str, wall: Utc, span: Millis) -> Detail {
    see(Utc::parse_rfc3339(text));
    detail(format_args!("{wall} {span}"))
}

#[unsafe(no_mangle)]
pub fn entry_config(pairs: &[Pair<'_>], facts: &Facts<'_>, config: &mut Config) {
    config::parse(pairs, facts, config, &mut |fault| see(fault));
}

#[unsafe(no_mangle)]
pub fn entry_machine_start(
    watchdog: &mut Watchdog<'static>,
    now: Instant,
    config: &'static Config,
    mode: Mode,
) {
    watchdog.start(now, config, 1, mode);
}

#[unsafe(no_mangle)]
pub fn entry_machine_handle(watchdog: &mut Watchdog<'static>, now: Instant, input: Input<'_>) {
    watchdog.handle(now, input);
}

#[unsafe(no_mangle)]
pub fn entry_machine_poll(watchdog: &mut Watchdog<'static>, now: Instant) -> Instant {
    see(watchdog.poll(now));
    watchdog.deadline()
}

/// The test of the test.
#[cfg(feature = "planted")]
#[unsafe(no_mangle)]
pub fn entry_planted(of: &[u8], place: usize) -> u8 {
    of[place]
}
