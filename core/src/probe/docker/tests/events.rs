//! What events say between two ticks.

use super::*;
use crate::probe::docker::stream::EVENTS_RETRY;

/// One event as an engine of API 1.41 writes it.
fn event(action: &str, name: &str, attributes: &str, ns: i64) -> String {
    let id = id_of(name);
    format!(
        "{{\"status\":\"{action}\",\"id\":\"{id}\",\"from\":\"app:1\",\"Type\":\"container\",\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"{id}\",\"Attributes\":{{{attributes}\"image\":\"app:1\",\"name\":\"{name}\"}}}},\"scope\":\"local\",\"time\":{},\"timeNano\":{ns}}}\n",
        ns / 1_000_000_000
    )
}

const T: i64 = 1_767_323_045_000_000_000;
const MINUTE: i64 = 60_000_000_000;

impl Bench {
    /// A bench whose stream is open, with `web` running.
    fn streaming() -> Self {
        let mut bench = Self::new();
        bench.tick(&[up("web")]).unwrap();
        assert!(bench.docker.wants_events());
        assert_eq!(bench.docker.head(Request::Events, 200, None), Want::More);
        assert!(!bench.docker.wants_events());
        bench.now = bench.now.after(Millis::from_secs(2));
        bench
    }

    fn hear(&mut self, text: &str) -> Want {
        let mut want = Want::More;
        for piece in text.as_bytes().chunks(self.split.min(text.len()).max(1)) {
            want = self.docker.body(Request::Events, piece, self.now, &self.config);
        }
        want
    }

    /// Lets the wait for an intent pass, and answers what is asked then.
    fn wait(&mut self) {
        if let Some(deadline) = self.docker.deadline() {
            self.docker.wake(deadline);
            self.now = deadline;
        }
        assert_eq!(self.docker.deadline(), None);
        self.drain();
    }

    fn has_news(&self) -> bool {
        self.docker.store.iter().any(|container| container.has_news)
    }
}

#[test]
fn a_death_without_intent_is_a_fact_after_150_ms() {
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 3, false, START, 0));
    bench.hear(&event("die", "web", r#""exitCode":"3","#, T));
    assert_eq!(bench.docker.next(), None, "it waits for an intent");
    let deadline = bench.docker.deadline().unwrap();
    assert_eq!(deadline.since(bench.now), Millis::from_millis(150));
    bench.docker.wake(bench.now);
    assert_eq!(bench.docker.next(), None, "a call too early does nothing");
    bench.wait();
    assert!(bench.has_news());
    assert_eq!(bench.down("web"), "fact: exited 3");
    // The next list says the same, and no second look is needed.
    let before = bench.inspects_asked();
    bench
        .tick(&[row("web", "exited", "Exited (3) 12 seconds ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 3");
    assert_eq!(bench.inspects_asked(), before);
}

/// What happened while the engine was away is no news, nor when the stream tells it again behind the first good list.
#[test]
fn restarts_that_are_replayed_after_an_outage_do_not_count() {
    let mut bench = Bench::streaming();
    for outage in 0..4 {
        let at = T + outage * 1_000_000;
        bench.docker.begin_tick(bench.now, INTERVAL);
        assert!(bench.docker.close_tick().is_err());
        bench.docker.end(Request::Events, Close::Broken, bench.now);
        bench.inspect("web", inspection("running", 0, false, START, 0));
        bench.tick(&[row("web", "running", "Up 1 minute")]).unwrap();
        bench.docker.head(Request::Events, 200, None);
        bench.hear(&(event("die", "web", r#""exitCode":"3","#, at) + &event("start", "web", "", at + 1_000)));
        bench.tick(&[row("web", "running", "Up 1 minute")]).unwrap();
        assert_eq!(bench.restarting("web"), "clear", "{outage}");
    }
}

/// The look shows that the death that was heard is of a life before: then nothing is known of the end, and the engine was away.
#[test]
fn a_death_of_a_life_before_says_nothing_of_an_end_in_an_outage() {
    let ended_at = |started: &str, status: &str, lost: bool| {
        let mut bench = Bench::streaming();
        bench.hear(&event("die", "web", r#""exitCode":"1","#, T));
        bench.wait();
        if lost {
            bench.docker.begin_tick(bench.now, INTERVAL);
            assert!(bench.docker.close_tick().is_err());
        }
        bench.inspect("web", inspection("exited", 137, false, started, 0));
        bench.tick(&[row("web", "exited", status)]).unwrap();
        bench.down("web")
    };
    let (life_heard, life_behind) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let seconds_ago = "Exited (137) 12 seconds ago";
    assert_eq!(
        ended_at(life_heard, seconds_ago, true),
        "fact: exited 137 (SIGKILL)"
    );
    assert_eq!(ended_at(life_behind, seconds_ago, true), "clear");
    assert_eq!(
        ended_at(life_heard, seconds_ago, false),
        "fact: exited 137 (SIGKILL)"
    );
    // Where the engine was there, the code is all there is to go by.
    assert_eq!(ended_at(life_behind, seconds_ago, false), "clear");
}

/// A refusal allows one look a tick; the first that is granted again allows as many as ever, for the deaths behind it too.
#[test]
fn once_looks_are_granted_again_the_next_death_is_looked_at() {
    let mut bench = Bench::streaming();
    bench.inspects.insert("web".into(), (403, String::new()));
    bench
        .tick(&[row("web", "running", "Up 1 second"), up("db")])
        .unwrap();
    for (name, at) in [("web", T), ("db", T + 1_000)] {
        bench.inspect(name, inspection("exited", 3, false, START, 0));
        bench.hear(&event("die", name, r#""exitCode":"3","#, at));
        bench.wait();
        assert!(bench.has_news(), "{name}");
        assert_eq!(bench.down(name), "fact: exited 3");
    }
}

#[test]
fn what_someone_wanted_is_no_fact() {
    // Each sequence is an operator's doing; the container ends with a status that would else be its own.
    let kill = |signal: &str| event("kill", "web", &format!(r#""signal":"{signal}","#), T);
    let die = event("die", "web", r#""exitCode":"1","#, T + 1_000);
    let stop = |ns| event("stop", "web", "", ns);
    for story in [
        kill("15") + &stop(T + 500) + &die,
        kill("15") + &kill("9") + &die + &stop(T + 900),
        kill("2") + &die,
        kill("3") + &die,
        kill("SIGKILL") + &die,
        die.clone() + &stop(T + 100_000_000),
        stop(T) + &die,
    ] {
        let mut bench = Bench::streaming();
        bench.inspect("web", inspection("exited", 1, false, START, 0));
        bench.hear(&story);
        bench.wait();
        assert!(!bench.has_news(), "{story}");
        bench
            .tick(&[row("web", "exited", "Exited (1) 12 seconds ago")])
            .unwrap();
        assert_eq!(bench.down("web"), "clear", "{story}");
    }
}

#[test]
fn what_nobody_wanted_is() {
    let die = event("die", "web", r#""exitCode":"1","#, T);
    for story in [
        event("kill", "web", r#""signal":"1","#, T - 5) + &die,
        event("kill", "web", r#""signal":"10","#, T - 5) + &die,
        event("kill", "web", r#""signal":"x","#, T - 5) + &die,
        // An intent that a start has cleared.
        event("kill", "web", r#""signal":"15","#, T - 90) + &event("start", "web", "", T - 50) + &die,
        event("stop", "web", "", T - 2_000_000_000) + &die,
        // A thread dump that it survived, more than a minute ago.
        event("kill", "web", r#""signal":"3","#, T - 61_000_000_000) + &die,
    ] {
        let mut bench = Bench::streaming();
        bench.inspect(
            "web",
            inspection("exited", 1, false, START, 0).replace("SIGQUIT", ""),
        );
        bench.hear(&story);
        bench.wait();
        assert_eq!(bench.down("web"), "fact: exited 1", "{story}");
        assert!(bench.has_news());
    }
}

#[test]
fn the_containers_own_stop_signal_means_intent() {
    // SIGQUIT is one of the four anyway, so the container's own is SIGUSR1 here: only inspect knows.
    let mut bench = Bench::streaming();
    bench.inspect(
        "web",
        inspection("exited", 1, false, START, 0).replace("SIGQUIT", "SIGUSR1"),
    );
    bench.hear(&event("kill", "web", r#""signal":"10","#, T));
    bench.hear(&event("die", "web", r#""exitCode":"1","#, T + 9));
    bench.wait();
    assert_eq!(bench.down("web"), "clear");
    assert!(!bench.has_news());
}

#[test]
fn a_stop_that_comes_late_still_counts() {
    // 700 ms behind the death: the fact was told, and is taken back.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 1, false, START, 0));
    bench.hear(&event("die", "web", r#""exitCode":"1","#, T));
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 1");
    bench.hear(&event("stop", "web", "", T + 700_000_000));
    assert_eq!(bench.down("web"), "clear");
}

#[test]
fn one_that_its_policy_brings_back_is_not_down() {
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("restarting", 1, false, START, 1));
    bench.hear(&event("die", "web", r#""exitCode":"1","#, T));
    bench.wait();
    assert_eq!(bench.down("web"), "clear");
    assert!(!bench.has_news());
    bench.hear(&event("start", "web", "", T + 100_000_000));
    assert_eq!(bench.down("web"), "clear");
}

#[test]
fn an_exit_by_itself_with_137_is_told_from_a_kill() {
    // With events, 137 needs no guess: nobody sent a signal, so the container ended by itself.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 137, false, START, 0));
    bench.hear(&event("die", "web", r#""exitCode":"137","#, T));
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 137 (SIGKILL)");
    assert_eq!(bench.oom("web"), "clear");
}

#[test]
fn a_want_of_memory_is_a_fact_at_once_and_counts_once() {
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 137, true, START, 0));
    bench.hear(&event("oom", "web", "", T));
    assert!(bench.has_news());
    let told_at = bench.now;
    assert!(bench.oom("web").starts_with("fact: out of memory"));
    bench.hear(&event("die", "web", r#""exitCode":"137","#, T + 5_000_000));
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 137 (SIGKILL)");
    bench.now = told_at.after(Millis::from_secs(600));
    assert_eq!(
        bench.oom("web"),
        "clear",
        "inspect's word for the same kill is no second one"
    );
}

#[test]
fn a_kill_of_a_life_counts_once_however_late_that_life_is_looked_at() {
    // Looked at once, then started again; in that life the kernel kills a child, and only its end brings the next look.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("running", 0, false, START, 0));
    bench.hear(&event("health_status: unhealthy", "web", "", T));
    bench.drain();
    bench.hear(
        &(event("start", "web", "", T + MINUTE) + &event("oom", "web", "", T + MINUTE + 1_000_000_000)),
    );
    bench.now = bench.now.after(Millis::from_secs(1_200));
    assert_eq!(bench.oom("web"), "clear");
    let later = START.replace("03:04", "03:05");
    bench.inspect("web", inspection("exited", 3, true, &later, 0));
    bench.hear(&event("die", "web", r#""exitCode":"3","#, T + 3));
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 3");
    assert_eq!(bench.oom("web"), "clear");
}

#[test]
fn an_event_that_overtakes_a_look_wins() {
    // Someone stopped it and started it again; the answer to the look in between comes last, and would show an end
    // without any intent.
    let mut bench = Bench::streaming();
    let id = Id::parse(&id_of("web")).unwrap();
    let look = Request::Inspect(id);
    bench.docker.begin(bench.now);
    bench.docker.head(look, 200, None);
    bench.now = bench.now.after(Millis::from_millis(3));
    bench.hear(&event("start", "web", "", T));
    bench.docker.body(
        look,
        inspection("exited", 1, true, START, 0).as_bytes(),
        bench.now,
        &bench.config,
    );
    bench.docker.end(look, Close::Whole, bench.now);
    assert_eq!(bench.down("web"), "clear");
    assert_eq!(bench.oom("web"), "clear");
    assert!(!bench.has_news());
}

#[test]
fn an_unhealthy_one_is_told_with_its_last_words() {
    let mut bench = Bench::streaming();
    let log = r#""Health":{"Status":"unhealthy","Log":[{"Output":"no route"}]},"FinishedAt""#;
    bench.inspect(
        "web",
        inspection("running", 0, false, START, 0).replace(r#""FinishedAt""#, log),
    );
    bench.hear(&event("health_status: unhealthy", "web", "", T));
    bench.drain();
    assert!(bench.has_news());
    assert_eq!(bench.unhealthy("web"), "fact: unhealthy: no route");
    bench.hear(&event("health_status: healthy", "web", "", T + 1));
    assert_eq!(bench.unhealthy("web"), "clear");
}

#[test]
fn an_event_that_overtakes_the_list_wins() {
    // The list was asked for before the container died and arrives behind the event, still saying that it runs.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 3, false, START, 0));
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.docker.head(Request::List, 200, None);
    bench.now = bench.now.after(Millis::from_millis(3));
    bench.hear(&event("die", "web", r#""exitCode":"3","#, T));
    bench.docker.body(
        Request::List,
        format!("[{}]", up("web")).as_bytes(),
        bench.now,
        &bench.config,
    );
    bench.docker.end(Request::List, Close::Whole, bench.now);
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 3");
}

#[test]
fn unknown_containers_are_taken_in_when_they_show_themselves_running() {
    // Made, started and dead between two lists: its events were there, so its end was seen. Labels count here too.
    let mut bench = Bench::streaming();
    bench.inspect("job", inspection("exited", 3, false, START, 0));
    bench.inspect("off", inspection("exited", 3, false, START, 0));
    let off = r#""watchdog.enable":"false","#;
    bench.hear(&(event("start", "job", "", T) + &event("start", "off", off, T)));
    bench.hear(&(event("die", "job", "", T + 5) + &event("die", "off", off, T + 5)));
    bench.wait();
    assert_eq!(bench.down("job"), "fact: exited 3");
    assert_eq!(bench.down("off"), "gone");
    bench.hear(&event("health_status: unhealthy", "ghost", "", T));
    assert_eq!(bench.unhealthy("ghost"), "gone");
}

#[test]
fn a_rename_takes_the_signals_along() {
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 3, false, START, 0));
    bench.hear(&event("die", "web", "", T));
    bench.wait();
    let renamed =
        event("rename", "web", r#""oldName":"/web","#, T).replace(r#""name":"web""#, r#""name":"api""#);
    bench.hear(&renamed);
    assert_eq!(bench.down("api"), "fact: exited 3");
    assert_eq!(bench.down("web"), "gone");
}

#[test]
fn split_at_every_byte_the_stream_says_the_same() {
    let story = event("kill", "web", r#""signal":"1","#, T)
        + "\r\n"
        + &event("exec_die", "web", r#""exitCode":"0","#, T)
        + &event("die", "web", r#""exitCode":"3","#, T).replace("container", "image")
        + &event("oom", "web", "", T + 1).replace('\n', "")
        + &event("die", "web", r#""exitCode":"3","#, T + 2);
    for split in 1..60 {
        let mut bench = Bench::streaming();
        bench.split = split;
        bench.inspect("web", inspection("exited", 3, false, START, 0));
        assert_eq!(bench.hear(&story), Want::More);
        bench.wait();
        assert_eq!(bench.down("web"), "fact: exited 3", "{split}");
        assert!(bench.oom("web").starts_with("fact"), "{split}");
    }
}

#[test]
fn the_stream_goes_on_from_the_last_event() {
    let mut bench = Bench::streaming();
    let path = |bench: &Bench| {
        let mut path = String::new();
        bench.docker.write_path(Request::Events, &mut path).unwrap();
        path
    };
    let filters = "filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22die%22%2C%22health_status%22%2C%22kill%22%2C%22oom%22%2C%22rename%22%2C%22start%22%2C%22stop%22%5D%7D";
    assert_eq!(path(&bench), format!("/v1.41/events?{filters}"));
    bench.hear(&event("exec_start", "web", "", T + 42));
    assert_eq!(
        path(&bench),
        format!("/v1.41/events?since=1767323045.000000043&{filters}")
    );
    // A clock that was set back is followed: what counts is where the stream ended.
    bench.hear(&event("exec_start", "web", "", T - 1_000_000_001));
    assert_eq!(
        path(&bench),
        format!("/v1.41/events?since=1767323044.000000000&{filters}")
    );
    // What is no time changes nothing, and the end of time is no since.
    bench.hear(&event("exec_start", "web", "", T).replace(&T.to_string(), "\"x\""));
    assert_eq!(
        path(&bench),
        format!("/v1.41/events?since=1767323044.000000000&{filters}")
    );
    bench.hear(&event("exec_start", "web", "", i64::MAX));
    assert_eq!(path(&bench), format!("/v1.41/events?{filters}"));
}

#[test]
fn a_stream_that_ends_is_opened_again_at_the_next_tick() {
    let mut bench = Bench::streaming();
    bench.hear(&event("die", "web", "", T)[..40]);
    bench.docker.end(Request::Events, Close::Broken, bench.now);
    assert!(!bench.docker.wants_events());
    assert_eq!(bench.docker.summary().events, EventsState::Closed);
    bench.tick(&[up("web")]).unwrap();
    assert!(bench.docker.wants_events());
    assert_eq!(bench.docker.head(Request::Events, 200, None), Want::More);
    assert_eq!(bench.hear(&event("oom", "web", "", T)), Want::More);
    assert!(
        bench.oom("web").starts_with("fact"),
        "half an event of before is forgotten"
    );
}

#[test]
fn ends_while_the_stream_was_gone_are_no_news_unless_an_event_comes_late() {
    // The engine restarted between two ticks: the stream ended, and what it ended with it is no alarm.
    let ended = [row("web", "exited", "Exited (1) 9 seconds ago")];
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 1, false, START, 0));
    bench.tick(&[up("web")]).unwrap();
    bench.docker.end(Request::Events, Close::Whole, bench.now);
    bench.tick(&ended).unwrap();
    assert_eq!(bench.down("web"), "clear");
    // It was a proxy's time-out and not the engine: the replay tells of a death that nobody wanted.
    bench.docker.head(Request::Events, 200, None);
    bench.hear(&event("die", "web", r#""exitCode":"1","#, T));
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 1");
    assert!(bench.has_news());
}

#[test]
fn a_stream_that_never_stands_excuses_nothing() {
    // A proxy that answers /events with an empty body, every time: deaths are told all the same.
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.tick(&[up("web")]).unwrap();
        assert!(bench.docker.wants_events());
        bench.docker.head(Request::Events, 200, None);
        bench.docker.end(Request::Events, Close::Whole, bench.now);
        assert!(!bench.docker.wants_events());
    }
    bench.docker.end(Request::Events, Close::Broken, bench.now);
    bench.inspect("web", inspection("exited", 3, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (3) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 3");
}

#[test]
fn a_stream_that_stood_is_opened_again_at_once() {
    let mut bench = Bench::streaming();
    bench.tick(&[up("web")]).unwrap();
    bench.docker.end(Request::Events, Close::Whole, bench.now);
    assert!(bench.docker.wants_events());
    bench.docker.end(Request::Events, Close::Broken, bench.now);
    assert!(
        !bench.docker.wants_events(),
        "and in vain: not again before the next tick"
    );
    bench.tick(&[up("web")]).unwrap();
    assert!(bench.docker.wants_events());
}

#[test]
fn events_that_come_behind_the_list_have_the_last_word() {
    // The list judged by the code alone, wrongly both times; then the events arrive.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 1, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (1) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 1");
    bench.hear(&(event("kill", "web", r#""signal":"15","#, T) + &event("die", "web", "", T + 1)));
    bench.wait();
    assert_eq!(bench.down("web"), "clear");

    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 137, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (137) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "clear");
    bench.hear(&event("die", "web", "", T));
    bench.wait();
    assert_eq!(bench.down("web"), "fact: exited 137 (SIGKILL)");
    assert!(bench.has_news());
}

#[test]
fn a_list_within_the_wait_does_not_judge() {
    // It says exited before the intent could come; the intent comes.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 1, false, START, 0));
    bench.hear(&event("die", "web", "", T));
    bench
        .docker
        .begin_tick(bench.now.after(Millis::from_millis(1)), INTERVAL);
    bench.list = format!("[{}]", row("web", "exited", "Exited (1) 1 second ago"));
    bench.drain();
    bench.docker.close_tick().unwrap();
    assert_eq!(bench.down("web"), "unknown");
    bench.hear(&event("stop", "web", "", T + 20_000_000));
    bench.wait();
    assert_eq!(bench.down("web"), "clear");
}

#[test]
fn a_refusal_is_told_and_tried_again_later() {
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    assert_eq!(bench.docker.head(Request::Events, 403, None), Want::Nothing);
    bench.docker.end(Request::Events, Close::Whole, bench.now);
    bench.tick(&[up("web")]).unwrap();
    assert!(!bench.docker.wants_events());
    assert_eq!(bench.docker.summary().events, EventsState::Refused(403));
    // Polling alone goes on.
    bench.inspect("web", inspection("exited", 3, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (3) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 3");
    bench.now = bench.now.after(EVENTS_RETRY);
    bench.tick(&[up("web")]).unwrap();
    assert!(bench.docker.wants_events());
}

/// A passing trouble of the engine or of a proxy must not switch events off for long: they tell an intent.
#[test]
fn a_passing_trouble_is_tried_again_at_the_next_tick() {
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    assert_eq!(bench.docker.head(Request::Events, 503, None), Want::Nothing);
    bench.docker.end(Request::Events, Close::Whole, bench.now);
    assert!(!bench.docker.wants_events());
    bench.tick(&[up("web")]).unwrap();
    assert!(bench.docker.wants_events());
}

#[test]
fn a_stream_that_is_none_is_closed() {
    for text in ["<html>", "}", "{\"a\":}", &"[".repeat(100)] {
        let mut bench = Bench::streaming();
        assert_eq!(bench.hear(text), Want::Nothing, "{text}");
        assert_eq!(bench.hear(&event("oom", "web", "", T)), Want::Nothing);
        bench.docker.end(Request::Events, Close::Broken, bench.now);
        assert_eq!(bench.oom("web"), "clear");
    }
    // Documents that are no events are passed over.
    let mut bench = Bench::streaming();
    assert_eq!(
        bench.hear("7 null [] {} \"x\" {\"Type\":7,\"Actor\":[]}\n"),
        Want::More
    );
    assert_eq!(bench.hear(&event("oom", "web", "", T)), Want::More);
    assert!(bench.oom("web").starts_with("fact"));
}

#[test]
fn without_an_engine_no_events_are_wanted() {
    let mut bench = Bench::new();
    assert!(!bench.docker.wants_events());
    bench.docker.begin_tick(bench.now, INTERVAL);
    assert!(!bench.docker.wants_events());
    bench.docker.end(Request::Ping, Close::Broken, bench.now);
    assert!(bench.docker.close_tick().is_err());
    assert!(!bench.docker.wants_events());
}

#[test]
fn a_kill_seen_with_a_new_life_counts_once() {
    let mut bench = Bench::new();
    bench.inspect("web", inspection("running", 0, false, START, 0));
    bench.tick(&[row("web", "running", "Up 2 seconds")]).unwrap();
    // The list still shows it ended; the look behind it shows the next life, in which the kernel has killed a child.
    let later = START.replace("-02T", "-03T");
    bench.inspect("web", inspection("running", 0, true, &later, 1));
    bench
        .tick(&[row("web", "exited", "Exited (1) 1 second ago")])
        .unwrap();
    bench.now = bench.now.after(Millis::from_secs(1_200));
    bench.tick(&[row("web", "running", "Up 20 minutes")]).unwrap();
    assert_eq!(bench.oom("web"), "clear");
    bench
        .tick(&[row("web", "running", "Up 20 minutes (unhealthy)")])
        .unwrap();
    assert_eq!(bench.oom("web"), "clear");
}

#[test]
fn a_kill_of_a_life_whose_start_was_not_heard_counts() {
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("running", 0, false, START, 0));
    bench.hear(&event("health_status: unhealthy", "web", "", T));
    bench.drain();
    // Life B: its start and a kill in it are heard. Life C began unheard; the kernel killed in it.
    bench.hear(&(event("start", "web", "", T + 1) + &event("oom", "web", "", T + 2)));
    bench.now = bench.now.after(Millis::from_secs(1_200));
    assert_eq!(bench.oom("web"), "clear");
    let later = START.replace("2026", "2027");
    bench.inspect("web", inspection("exited", 3, true, &later, 2));
    bench
        .tick(&[row("web", "exited", "Exited (3) 1 second ago")])
        .unwrap();
    assert_ne!(bench.oom("web"), "clear");
}

#[test]
fn a_kill_outlives_a_container_made_anew_whose_start_was_heard() {
    for heard in [false, true] {
        let mut bench = Bench::streaming();
        bench.hear(&event("oom", "web", "", T));
        bench.tick(&[up("web")]).unwrap();
        bench.now = bench.now.after(Millis::from_secs(30));
        let other = id_of("other");
        if heard {
            bench.hear(&event("start", "web", "", T + MINUTE).replace(&id_of("web"), &other));
        }
        bench.tick(&[up("web").replace(&id_of("web"), &other)]).unwrap();
        assert_ne!(bench.oom("web"), "clear", "heard: {heard}");
    }
}

#[test]
fn a_kill_that_was_heard_counts_once_though_the_start_before_it_was_not() {
    // Looked at, then started again while the stream was away; the kill is heard, and the next look says it too.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("running", 0, false, START, 0));
    bench.hear(&event("health_status: unhealthy", "web", "", T));
    bench.drain();
    bench.hear(&event("oom", "web", "", T + 2 * MINUTE));
    bench.now = bench.now.after(Millis::from_secs(1_200));
    let later = START.replace("03:04", "03:05");
    bench.inspect("web", inspection("running", 0, true, &later, 0));
    bench.tick(&[row("web", "running", "Up 2 seconds")]).unwrap();
    bench
        .tick(&[row("web", "running", "Up 20 minutes (unhealthy)")])
        .unwrap();
    assert_eq!(bench.oom("web"), "clear");
}

#[test]
fn a_death_that_was_heard_says_nothing_of_a_later_end_that_was_not() {
    // It died by itself, which was heard; while nothing was, it was started, and stopped from outside.
    let mut bench = Bench::streaming();
    bench.inspect("web", inspection("exited", 1, false, START, 0));
    bench.hear(&event("die", "web", r#""exitCode":"1","#, T));
    bench.wait();
    bench
        .tick(&[row("web", "exited", "Exited (1) 10 seconds ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 1");
    bench.now = bench.now.after(Millis::from_secs(1_200));
    bench.inspect("web", inspection("exited", 143, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (143) 5 seconds ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "clear");
}
