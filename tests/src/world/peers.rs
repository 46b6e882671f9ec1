//! Whom the machine talks to: what they answer, and what that means.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::json;

use super::containers::Snapshot;
use super::detail;
use super::dice::Dice;
use super::living::Sent;
use super::looks;
use super::options::SECRET;
use super::signals::Look;
use super::weather::Fault;

/// What the machine knows once an answer has come whole.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// An envelope with these looks, and which it is of those that the orchestrator has made.
    Envelope(BTreeMap<&'static str, Look>, u64),
    /// A dependency's answer; whether it is a good one.
    Dependency(bool),
    /// The engine's list; whether the listed container is in it.
    List(bool),
    /// The living engine's list.
    Containers(Snapshot),
    /// The living engine's word on one container.
    Looked(looks::Look),
    /// An event of its stream.
    Happened(Sent),
    /// The message was taken.
    Taken,
    /// The heartbeat was answered well.
    Beat,
    /// Nothing is to be sent for so many seconds.
    Flood(u64),
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it means once it has come whole.
    pub meaning: Option<Meaning>,
    /// The connection's end is its end.
    pub ends: bool,
    /// A message was taken.
    pub is_taken: bool,
}

impl Answer {
    /// These bytes, whatever they are, and the connection stays.
    pub fn raw(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            meaning: None,
            ends: false,
            is_taken: false,
        }
    }

    /// An HTTP answer, framed in one of the ways that there are.
    pub fn new(status: &str, body: &str, meaning: Option<Meaning>, dice: &mut Dice) -> Self {
        let framing = dice.below(3);
        let framed = match framing {
            0 => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            1 if !body.is_empty() => {
                format!(
                    "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                    body.len()
                )
            }
            _ => format!("Connection: close\r\n\r\n{body}"),
        };
        Self {
            bytes: format!("HTTP/1.1 {status}\r\nApi-Version: 1.41\r\n{framed}").into_bytes(),
            meaning,
            ends: framing == 2 || (framing == 1 && body.is_empty()),
            is_taken: false,
        }
    }
}

/// What is no HTTP.
pub const NO_HTTP: &[u8] = b"\x16\x03\x01 no HTTP\r\n\r\n";

/// What there is to look at.
#[derive(Clone, Debug, Default)]
pub struct Things {
    /// A message is under way whose lines were foretold.
    pub composed: bool,
    /// Hundredths of the memory that are available; none: not readable.
    pub memory: Option<u64>,
    /// Whether there can be a crowd of agents.
    crowd: bool,
    troubles: u32,
    healed: bool,
    /// Counts on while the orchestrator's loop turns.
    generation: u64,
}

/// The orchestrator's loop hangs; it goes on answering.
const FROZEN: u32 = 9;
/// The orchestrator says that it is paused.
const PAUSED: u32 = 10;
/// The listed container is not there.
const ABSENT: u32 = 11;
/// A crowd of agents runs for too long, more than the table has rows.
const CROWD: u32 = 12;
const CROWD_SIZE: u32 = 600;
const TROUBLES: u64 = 13;

impl Things {
    /// Nothing is wrong yet.
    pub fn new(crowd: bool) -> Self {
        Self {
            crowd,
            ..Self::default()
        }
    }

    /// Nothing is wrong any more.
    pub const fn heal(&mut self) {
        (self.troubles, self.healed) = (0, true);
    }

    /// Time passes: now and then something breaks or mends.
    pub fn turn(&mut self, dice: &mut Dice) {
        if !self.healed && dice.chance(25) {
            self.troubles ^= 1 << dice.below(TROUBLES);
        }
        if self.trouble(FROZEN) == Look::Clear {
            self.generation += 1;
        }
        let draws = [Some(2), Some(6), Some(50), None];
        let low = if self.troubles & 64 != 0 {
            dice.pick(&draws)
        } else {
            Some(50)
        };
        self.memory = if self.healed { Some(50) } else { low };
    }

    fn trouble(&self, bit: u32) -> Look {
        if self.troubles & (1 << bit) != 0 {
            Look::Active
        } else {
            Look::Clear
        }
    }

    /// The orchestrator's answer.
    pub fn envelope(&self, fault: Option<Fault>, dice: &mut Dice) -> Answer {
        let drift = detail::drift(self.generation);
        let text = |bit: u32, bad: u64, step: u64| {
            if self.trouble(bit) == Look::Active {
                format!("{}.0", bad + step * drift)
            } else {
                "1.0".to_owned()
            }
        };
        let is_there = dice.chance(90);
        let stage = |name: &str, age: &str| format!(r#"{{"count":1,"oldest_age_s":{age},"stage":"{name}"}}"#);
        let mut stages = stage("te<s>t & co", &text(5, 9000, 60));
        if is_there {
            stages.push(',');
            stages.push_str(&stage("build", &text(0, 8000, 60)));
        }
        let agents = [("a<1>", 7), ("17", 8)].map(|(id, bit)| {
            let age = text(bit, 9000, 60);
            dice.chance(90).then(|| {
                format!(r#"{{"elapsed_s":{age},"id":"{id}","pid":4242,"stage":"build","stime":1,"utime":1}}"#)
            })
        });
        let looks = self.looks(is_there, agents.each_ref().map(Option::is_some));
        let mut agents: Vec<&str> = agents.iter().flatten().map(String::as_str).collect();
        if self.crowd && self.trouble(CROWD) == Look::Active {
            agents.push(crowd());
        }
        let seconds = self.generation % 86_400;
        // The keys stand in the order of the alphabet, whatever is first read of them.
        let body = format!(
            r#"{{"agents":[{}],"cost":{{"today_usd":{}}},"enabled":{},"generated_at":"2026-01-{:02}T{:02}:{:02}:{:02}Z","queue":{{"depth":{},"failed":{},"oldest_age_s":{},"running":{}}},"schema_version":1,"stages":[{stages}]}}"#,
            agents.join(","),
            text(3, 11, 1),
            self.trouble(PAUSED) == Look::Clear,
            1 + self.generation / 86_400 % 28,
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            1 + drift,
            if self.trouble(4) == Look::Active {
                2 + drift
            } else {
                0
            },
            text(1, 4000, 60),
            if self.trouble(2) == Look::Active { 0 } else { 2 },
        );
        served(&body, Meaning::Envelope(looks, self.generation), fault, dice)
    }

    /// What an envelope says of each signal; whether the stage `build` and each of the agents are in it.
    fn looks(&self, is_there: bool, agents: [bool; 2]) -> BTreeMap<&'static str, Look> {
        let if_there = |is_there: bool, bit| if is_there { self.trouble(bit) } else { Look::Clear };
        let mut looks = BTreeMap::from([
            ("stage_stuck:build", if_there(is_there, 0)),
            ("stage_stuck:te<s>t & co", self.trouble(5)),
            ("queue_old", self.trouble(1)),
            ("queue_stalled", self.trouble(2)),
            ("cost_over", self.trouble(3)),
            ("failed_jobs", self.trouble(4)),
            ("slow:te<s>t & co", self.trouble(5)),
            ("slow:build", Look::Clear),
            ("agent_overtime:a<1>", if_there(agents[0], 7)),
            ("agent_overtime:17", if_there(agents[1], 8)),
        ]);
        if self.trouble(PAUSED) == Look::Active {
            // Rules go on; only what the orchestrator itself judges by is not judged.
            looks.retain(|id, _| *id == "failed_jobs" || id.starts_with("slow:"));
        }
        looks
    }

    /// A dependency's answer.
    pub fn dependency(&self, fault: Option<Fault>, dice: &mut Dice) -> Answer {
        match fault {
            // A page is as good as anything else.
            Some(Fault::Page) => Answer::new("302 Found", "<p>", Some(Meaning::Dependency(true)), dice),
            _ => served("fine", Meaning::Dependency(true), fault, dice),
        }
    }

    /// The engine's answer.
    ///
    /// # Errors
    /// A path that the engine is not to be asked.
    pub fn engine(&self, path: &str, fault: Option<Fault>, dice: &mut Dice) -> Result<Answer, String> {
        let is_there = self.trouble(ABSENT) == Look::Clear;
        let names = if is_there {
            vec!["other", "web"]
        } else {
            vec!["other"]
        };
        let list: Vec<_> = names
            .into_iter()
            .map(|name| {
                json!({
                    "Id": if name == "web" { "ab" } else { "cd" }.repeat(32), "Names": [format!("/{name}")], "Image": "i",
                    "State": "running", "Status": "Up 4 minutes", "Labels": {"a": SECRET},
                })
            })
            .collect();
        let path = path.strip_prefix("/v1.41").unwrap_or(path);
        Ok(match path {
            "/_ping" => Answer::new("200 OK", "OK", None, dice),
            "/containers/json?all=1" => {
                served(&json!(list).to_string(), Meaning::List(is_there), fault, dice)
            }
            _ if path.starts_with("/events") => Answer::new("403 Forbidden", "no", None, dice),
            _ if path.starts_with("/containers/") && path.ends_with("/json") => {
                Answer::new("404 Not Found", "{}", None, dice)
            }
            other => return Err(format!("the engine was asked {other}")),
        })
    }
}

/// The agents of a crowd.
fn crowd() -> &'static str {
    static CROWD: OnceLock<String> = OnceLock::new();
    CROWD.get_or_init(|| {
        let one = |number| format!(r#"{{"elapsed_s":9000.0,"id":"crowd-{number}"}}"#);
        (0..CROWD_SIZE).map(one).collect::<Vec<_>>().join(",")
    })
}

/// A good answer, unless something is wrong.
pub fn served(body: &str, meaning: Meaning, fault: Option<Fault>, dice: &mut Dice) -> Answer {
    match fault {
        Some(Fault::Broken) => Answer::new("500 Oops", "", None, dice),
        Some(Fault::Page) => Answer::new("200 OK", "<html>no</html>", None, dice),
        Some(Fault::Garbage) => Answer {
            ends: true,
            ..Answer::raw(NO_HTTP)
        },
        _ => Answer::new("200 OK", body, Some(meaning), dice),
    }
}

/// The Bot API's answer.
pub fn telegram(fault: Option<Fault>, dice: &mut Dice) -> Answer {
    let refused = |code: u16, why: &str, dice: &mut Dice| {
        let body = json!({"ok": false, "error_code": code, "description": why});
        Answer::new(&format!("{code} No"), &body.to_string(), None, dice)
    };
    match fault {
        Some(Fault::Flood(wait)) => {
            let mut body = json!({"ok": false, "error_code": 429, "description": "Too Many Requests"});
            if let Some(wait) = wait {
                body["parameters"] = json!({"retry_after": wait});
            }
            Answer::new(
                "429 Too Many Requests",
                &body.to_string(),
                Some(Meaning::Flood(wait.unwrap_or(0))),
                dice,
            )
        }
        Some(Fault::Bad(why)) => refused(400, why, dice),
        Some(Fault::Unauthorized) => refused(401, "Unauthorized", dice),
        Some(Fault::Forbidden) => refused(403, "Forbidden: bot was kicked", dice),
        // Some of these are cut or lost on their way; the message itself has arrived. Those that keep connections from
        // coming about are nothing to one that stands.
        Some(
            Fault::Silent
            | Fault::Stall
            | Fault::Reset
            | Fault::Cut
            | Fault::Lost
            | Fault::Slow
            | Fault::Refused
            | Fault::BlackHole
            | Fault::Unreachable,
        )
        | None => {
            let mut answer = served(
                r#"{"ok":true,"result":{"message_id":1}}"#,
                Meaning::Taken,
                None,
                dice,
            );
            answer.is_taken = true;
            answer
        }
        other => served("{}", Meaning::Taken, other, dice),
    }
}

/// The name server's answer to a question about an address.
///
/// # Errors
/// The question is malformed.
pub fn resolve(query: &[u8], fault: Option<Fault>) -> Result<Option<Vec<u8>>, String> {
    let question = query
        .get(12..)
        .filter(|rest| rest.len() > 5)
        .ok_or("a short question")?;
    let end = question
        .iter()
        .position(|byte| *byte == 0)
        .ok_or("a name without its end")?
        + 5;
    let question = question.get(..end).ok_or("a cut question")?;
    let is_v4 = question[end - 4..end - 2] == [0, 1];
    let flags: [u8; 2] = match fault {
        Some(Fault::Silent) => return Ok(None),
        Some(Fault::Garbage) => return Ok(Some(b"no answer".to_vec())),
        Some(_) => [0x81, 0x82],
        None => [0x81, 0x80],
    };
    let answers = u8::from(is_v4 && fault.is_none());
    let mut answer = query[..2].to_vec();
    answer.extend(flags);
    answer.extend([0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(question);
    if answers > 0 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Ok(Some(answer))
}
