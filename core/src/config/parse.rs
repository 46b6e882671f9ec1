//! Pairs of name and value in, a [`Config`] and its faults out.
//!
//! Must never stop at a fault: the default serves in the place of a faulty value, and every fault is told, once. What is not given gets its
//! default too, so a `Config` is whole afterwards. Limits: [`DEPENDENCIES_MAX`], [`RULES_MAX`]; any number of pairs.
//! Tests: [`super::tests`]. Fuzz target: `config`.

use heapless::Vec;

use super::fault::{Fault, Instead, Shown, What, Why};
use super::url::{self, UrlFault};
use super::variables::{
    DEPENDENCY_PREFIX, Lens, NOT_YET_ACTIVE, PREFIX, Preset, RULE_PREFIX, SOCKET_USUAL, VARIABLES, Value,
    Variable, is_known,
};
use super::{
    Config, Facts, Name, Origin, Pair, Telegram, address, dependency, list, nearest, telegram, value,
};
use crate::limits::{DEPENDENCIES_MAX, RULES_MAX};
use crate::net::{FileFault, Level};
use crate::rule::Rule;
use crate::signal::Kind;
use crate::text::{append, shown};
use crate::time::Millis;

/// The time-out where none is given, unless the interval is shorter.
const TIMEOUT_USUAL: Millis = Millis::from_secs(5);
/// What an instance is called whose host has no name.
const NAMELESS: &str = "watchdog";

/// Fills a configuration, which is [`Config::EMPTY`] before, and reports every fault, unknown name and notice.
///
/// Pairs may come in any order; of two that are equal in name and origin the first counts. Names that do not begin with
/// `WATCHDOG_` are passed over.
pub fn parse(pairs: &[Pair<'_>], facts: &Facts<'_>, config: &mut Config, report: &mut dyn FnMut(&Fault<'_>)) {
    let mut telegram = telegram::blank();
    for variable in VARIABLES {
        match variable.value {
            Value::Rules => rules(pairs, variable, config, report),
            Value::Dependencies => dependencies(pairs, variable, config, report),
            _ => single(pairs, facts, variable, config, &mut telegram, report),
        }
    }
    join_telegram(pairs, telegram, config, report);
    for pair in pairs {
        let is_ours = pair.name.starts_with(PREFIX) && pair.value != Ok("");
        if is_ours && !is_known(pair.name) {
            report(&Fault {
                variable: pair.name,
                what: What::Unknown(nearest::nearest(pair.name)),
            });
        }
    }
}

/// What the pairs hold for one variable.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// Nothing, or an empty text.
    Nothing,
    /// This.
    Value(&'a str, Origin),
    /// A value and a file.
    Both,
    /// A file that could not be read.
    Unreadable(FileFault),
}

/// Finds what is given for a variable. Only a file's text is trimmed here: white space in a secret is told, not mended.
pub(super) fn given<'a>(pairs: &[Pair<'a>], name: &str) -> Given<'a> {
    let find = |from_file: Origin, pair: &&Pair<'a>| {
        let is_from_file = pair.origin == Origin::File;
        pair.name == name && is_from_file == (from_file == Origin::File)
    };
    let plain = pairs
        .iter()
        .find(|pair| find(Origin::Env, pair))
        .and_then(|pair| pair.value.ok())
        .filter(|text| !text.trim().is_empty());
    let file = pairs
        .iter()
        .find(|pair| find(Origin::File, pair))
        .map(|pair| pair.value.map(str::trim))
        .filter(|text| *text != Ok(""));
    match (plain, file) {
        (None, None) => Given::Nothing,
        (Some(text), None) => Given::Value(text, Origin::Env),
        (None, Some(Ok(text))) => Given::Value(text, Origin::File),
        (None, Some(Err(fault))) => Given::Unreadable(fault),
        (Some(_), Some(_)) => Given::Both,
    }
}

/// What a value is written to; a place that is not there is passed over, which makes reading a check.
pub(super) struct Target<'a> {
    pub(super) config: Option<&'a mut Config>,
    pub(super) telegram: Option<&'a mut Telegram>,
}

fn single(
    pairs: &[Pair<'_>],
    facts: &Facts<'_>,
    variable: &Variable,
    config: &mut Config,
    telegram: &mut Telegram,
    report: &mut dyn FnMut(&Fault<'_>),
) {
    set_default(variable, facts, config, telegram);
    let (value, why) = match given(pairs, variable.name()) {
        Given::Nothing => return,
        Given::Both => (Shown::Nothing, Why::BothGiven),
        Given::Unreadable(fault) => (Shown::Nothing, Why::Unreadable(fault)),
        Given::Value(text, _) => {
            let interval = config.interval;
            let target = Target {
                config: Some(config),
                telegram: Some(telegram),
            };
            match read(&variable.value, text, pairs, interval, target) {
                Ok(()) => return notice(variable, text, report),
                Err(why) => (Shown::new(text, variable.masking()), why),
            }
        }
    };
    report(&Fault {
        variable: variable.name(),
        what: What::Faulty(value, why, variable.expects(), instead(variable, facts, config)),
    });
}

fn notice(variable: &Variable, text: &str, report: &mut dyn FnMut(&Fault<'_>)) {
    if NOT_YET_ACTIVE.contains(&variable.name()) && !value::is_off(text.trim()) {
        report(&Fault {
            variable: variable.name(),
            what: What::NotYetActive,
        });
    }
}

/// Puts the default into a variable's field. That the texts of the table can be read is shown by a test.
pub(super) fn set_default(
    variable: &Variable,
    facts: &Facts<'_>,
    config: &mut Config,
    telegram: &mut Telegram,
) {
    let text = match variable.preset() {
        Preset::Text(text) => text,
        Preset::SocketIfThere => socket_if_there(facts),
        Preset::Unset | Preset::ResolvConf => return,
        Preset::HostName => return set_host_name(facts, &mut config.name),
        Preset::ShorterOfIntervalAnd5s => {
            config.timeout = TIMEOUT_USUAL.min(config.interval);
            return;
        }
        Preset::RaiseTicks => {
            config.orchestrator.down_ticks = config.raise_ticks;
            return;
        }
    };
    let interval = config.interval;
    let target = Target {
        config: Some(config),
        telegram: Some(telegram),
    };
    let _ = read(&variable.value, text, &[], interval, target);
}

const fn socket_if_there(facts: &Facts<'_>) -> &'static str {
    if facts.docker_socket_exists {
        SOCKET_USUAL
    } else {
        "off"
    }
}

/// A host's name is not the operator's to mend here: what does not fit is cut, what cannot be shown becomes a space.
fn set_host_name(facts: &Facts<'_>, name: &mut Name) {
    let mut kept = Vec::new();
    let mut characters = facts.host_name.trim().chars().map(shown);
    while let Some(character) = characters.next()
        && kept.len().saturating_add(character.len_utf8()) <= kept.capacity()
    {
        let _ = append(&mut kept, character.encode_utf8(&mut [0; 4]));
    }
    *name = Name::from_utf8(kept).unwrap_or_default();
    if name.is_empty() {
        *name = Name::try_from(NAMELESS).unwrap_or_default();
    }
}

fn instead<'a>(variable: &Variable, facts: &Facts<'a>, config: &Config) -> Instead<'a> {
    match (&variable.value, variable.preset()) {
        (Value::Token | Value::ChatId, _) => Instead::StdoutAlone,
        (_, Preset::Text(text)) => Instead::Using(text),
        (_, Preset::SocketIfThere) => Instead::Using(socket_if_there(facts)),
        (_, Preset::HostName) => Instead::Using("the host name"),
        (_, Preset::RaiseTicks) => Instead::Using("WATCHDOG_RAISE_TICKS"),
        (_, Preset::ResolvConf) => Instead::Using("/etc/resolv.conf"),
        (_, Preset::ShorterOfIntervalAnd5s) => Instead::UsingSpan(config.timeout),
        (_, Preset::Unset) => Instead::Unset,
    }
}

/// Reads a value into its field, or tells why it does not serve and leaves the field alone.
pub(super) fn read(
    kind: &Value,
    raw: &str,
    pairs: &[Pair<'_>],
    interval: Millis,
    target: Target<'_>,
) -> Result<(), Why<'static>> {
    let text = raw.trim();
    let to = target.config;
    match kind {
        Value::Bool(lens) => put(lens, to, value::boolean(text)),
        Value::Instance(lens) => put(lens, to, instance(text)),
        Value::Span(lens, bounds) => put(lens, to, value::span(text, *bounds)),
        Value::Timeout(lens, bounds) => {
            let span = value::span(text, *bounds);
            if span.is_some_and(|span| span > interval) {
                return Err(Why::AboveInterval(interval));
            }
            put(lens, to, span)
        }
        Value::Limit(lens, bounds) => put(lens, to, or_off(text, |text| value::span(text, *bounds))),
        Value::Ticks(lens) => put(lens, to, value::ticks(text)),
        Value::FlapChanges(lens) => put(lens, to, flap_changes(text)),
        Value::Log(lens) => put(lens, to, level(text)),
        Value::Percent(lens) => put(lens, to, or_off(text, value::percent)),
        Value::Number(lens) => put(lens, to, or_off(text, value::number)),
        Value::Single(lens) => put(lens, to, or_off(text, value::single)),
        Value::Mutes(lens) => put(lens, to, list::mutes(text, pairs)),
        Value::UrlOrOff(lens) if value::is_off(text) => put(lens, to, Some(None)),
        Value::UrlOrOff(lens) | Value::SecretUrl(lens) => {
            put(lens, to, Some(Some(url::parse_web(text).map_err(Why::Url)?)))
        }
        Value::BaseUrls(lens) => put(lens, to, Some(list::base_urls(text).map_err(of_url)?)),
        Value::Engine(lens) if value::is_off(text) => put(lens, to, Some(None)),
        Value::Engine(lens) => put(lens, to, Some(Some(address::engine(text).map_err(Why::Url)?))),
        Value::Containers(lens) => put(lens, to, list::containers(text)),
        Value::DiskPaths(lens) => put(lens, to, list::disk_paths(text)),
        Value::Folder(lens) => put(lens, to, list::file_path(text)),
        Value::File(lens) => put(lens, to, list::file_path(text).map(Some)),
        Value::Listen(lens) => put(lens, to, or_off(text, address::listen)),
        Value::Nameserver(lens) => put(lens, to, address::nameserver(text).map(Some)),
        Value::Token | Value::ChatId | Value::ThreadId | Value::ApiUrl | Value::Proxy => {
            read_telegram(kind, raw, target.telegram)
        }
        // Families have many names, and their own way.
        Value::Rules | Value::Dependencies => Err(Why::NotExpected),
    }
}

fn read_telegram(kind: &Value, raw: &str, to: Option<&mut Telegram>) -> Result<(), Why<'static>> {
    let text = raw.trim();
    let mut nowhere = telegram::blank();
    let to = to.unwrap_or(&mut nowhere);
    match kind {
        Value::Token => to.token = telegram::token(raw).ok_or(Why::NotExpected)?,
        Value::ChatId => to.chat_id = telegram::chat_id(text).ok_or(Why::NotExpected)?,
        Value::ThreadId => to.thread_id = Some(telegram::thread_id(text).ok_or(Why::NotExpected)?),
        Value::ApiUrl => to.api_url = url::parse_base(text).map_err(Why::Url)?,
        Value::Proxy => to.proxy = Some(url::parse_proxy(text).map_err(Why::Url)?),
        _ => return Err(Why::NotExpected),
    }
    Ok(())
}

fn put<T>(lens: &Lens<T>, to: Option<&mut Config>, value: Option<T>) -> Result<(), Why<'static>> {
    let value = value.ok_or(Why::NotExpected)?;
    if let Some(config) = to {
        *(lens.at)(config) = value;
    }
    Ok(())
}

fn or_off<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if value::is_off(text) {
        return Some(None);
    }
    read(text).map(Some)
}

fn of_url(fault: Option<UrlFault>) -> Why<'static> {
    fault.map_or(Why::NotExpected, Why::Url)
}

fn instance(text: &str) -> Option<Name> {
    let is_shown_as_it_is = text.chars().all(|character| shown(character) == character);
    Name::try_from(text).ok().filter(|_| is_shown_as_it_is)
}

fn flap_changes(text: &str) -> Option<u8> {
    value::whole(text, 2, crate::limits::FLAP_CHANGES_MAX as u64)
        .and_then(|changes| u8::try_from(changes).ok())
}

fn level(text: &str) -> Option<Level> {
    [Level::Error, Level::Warn, Level::Info, Level::Debug]
        .into_iter()
        .find(|level| text.eq_ignore_ascii_case(level.as_str()))
}

/// Telegram serves when token and chat are both valid. One that stands alone is told; one that is faulty has been told.
fn join_telegram(
    pairs: &[Pair<'_>],
    telegram: Telegram,
    config: &mut Config,
    report: &mut dyn FnMut(&Fault<'_>),
) {
    const TOKEN: &str = "WATCHDOG_TELEGRAM_TOKEN";
    const CHAT_ID: &str = "WATCHDOG_TELEGRAM_CHAT_ID";
    let has_token = !telegram.token.reveal().is_empty();
    let has_chat = !telegram.chat_id.is_empty();
    config.telegram = (has_token && has_chat).then_some(telegram);
    let is_given = |name| !matches!(given(pairs, name), Given::Nothing);
    let (variable, missing) = match (is_given(TOKEN), is_given(CHAT_ID)) {
        (true, false) if has_token => (TOKEN, CHAT_ID),
        (false, true) if has_chat => (CHAT_ID, TOKEN),
        _ => return,
    };
    report(&Fault {
        variable,
        what: What::Faulty(Shown::Nothing, Why::Without(missing), "", Instead::StdoutAlone),
    });
}

/// Calls `visit` with the name of each member of a family, sorted so that the order is the same at each start. Sorting
/// in place would need room for any number of names; looking for the next one each time needs none.
pub(super) fn for_each_member<'a>(pairs: &[Pair<'a>], prefix: &str, mut visit: impl FnMut(&'a str)) {
    let names = || {
        pairs
            .iter()
            .map(|pair| pair.name)
            .filter(|name| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
    };
    let mut last = "";
    while let Some(next) = names().filter(|name| *name > last).min() {
        visit(next);
        last = next;
    }
}

fn rules(pairs: &[Pair<'_>], variable: &Variable, config: &mut Config, report: &mut dyn FnMut(&Fault<'_>)) {
    config.rules.clear();
    for_each_member(pairs, RULE_PREFIX, |full_name| {
        let text = match given(pairs, full_name) {
            Given::Value(text, _) => text.trim(),
            Given::Nothing | Given::Both | Given::Unreadable(_) => return,
        };
        let what = match rule(full_name, text, config) {
            Ok(()) if NOT_YET_ACTIVE.contains(&variable.name()) => What::NotYetActive,
            Ok(()) => return,
            Err(why) => What::Faulty(
                Shown::new(text, variable.masking()),
                why,
                variable.expects(),
                Instead::LeftOut,
            ),
        };
        report(&Fault {
            variable: full_name,
            what,
        });
    });
}

fn rule(full_name: &str, text: &str, config: &mut Config) -> Result<(), Why<'static>> {
    let name = member_name(full_name, RULE_PREFIX).ok_or(Why::BadName)?;
    if Kind::BUILT_IN.iter().any(|kind| kind.name() == name) {
        return Err(Why::TakenName);
    }
    let rule = Rule::compile(&name, text).map_err(Why::Rule)?;
    config.rules.push(rule).map_err(|_| Why::TooMany(RULES_MAX))
}

fn dependencies(
    pairs: &[Pair<'_>],
    variable: &Variable,
    config: &mut Config,
    report: &mut dyn FnMut(&Fault<'_>),
) {
    config.dependencies.clear();
    for_each_member(pairs, DEPENDENCY_PREFIX, |full_name| {
        let (value, why) = match given(pairs, full_name) {
            Given::Nothing => return,
            Given::Both => (Shown::Nothing, Why::BothGiven),
            Given::Unreadable(fault) => (Shown::Nothing, Why::Unreadable(fault)),
            Given::Value(text, _) => match dependency(full_name, text.trim(), config) {
                Ok(()) => return notice_cert(full_name, config, report),
                Err(why) => (Shown::new(text.trim(), variable.masking()), why),
            },
        };
        report(&Fault {
            variable: full_name,
            what: What::Faulty(value, why, variable.expects(), Instead::NotWatched),
        });
    });
}

fn dependency<'a>(full_name: &str, text: &'a str, config: &mut Config) -> Result<(), Why<'a>> {
    let name = member_name(full_name, DEPENDENCY_PREFIX).ok_or(Why::BadName)?;
    let dependency = dependency::parse(&name, text, config.raise_ticks).map_err(Why::Dependency)?;
    config
        .dependencies
        .push(dependency)
        .map_err(|_| Why::TooMany(DEPENDENCIES_MAX))
}

fn notice_cert(full_name: &str, config: &Config, report: &mut dyn FnMut(&Fault<'_>)) {
    const CERT: &str = "cert";
    let has_cert = config.dependencies.last().is_some_and(|last| last.cert.is_some());
    if has_cert && NOT_YET_ACTIVE.contains(&CERT) {
        report(&Fault {
            variable: full_name,
            what: What::KeyNotYetActive(CERT),
        });
    }
}

/// Tells a member's own name in lower case; nothing for one that is not `[A-Z0-9_]+` or too long.
pub(super) fn member_name(full_name: &str, prefix: &str) -> Option<Name> {
    let name = full_name.strip_prefix(prefix)?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let mut name = Name::try_from(name).ok().filter(|_| is_name)?;
    name.make_ascii_lowercase();
    Some(name)
}
