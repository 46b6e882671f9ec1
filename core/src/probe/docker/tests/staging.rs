//! What reaches the table.

use super::*;
use crate::random::Random;

fn settle(bench: &mut Bench, rows: &[String], table: &mut Table) -> Result<Summary, Fault> {
    bench.list = format!("[{}]", rows.join(","));
    bench.now = bench.now.after(INTERVAL);
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.drain();
    bench.docker.settle(bench.now, &bench.config, table)
}

fn staged(table: &Table, kind: Kind, name: &str) -> Option<(Observation, String)> {
    table
        .staged(kind, &Subject::new(name))
        .map(|(observation, detail)| (observation, detail.to_string()))
}

#[test]
fn a_fact_that_may_not_count_at_once_is_gone_if_it_is_no_more() {
    // While the engine holds its containers a fact is staged between ticks; the next tick finds nothing wrong, and what
    // was staged before must not outweigh that.
    let mut config = Box::new(config::Config::EMPTY);
    config.raise_ticks = 1;
    let mut table = Box::new(Table::new());
    let engine = crate::signal::SignalId {
        kind: Kind::DockerDown,
        subject: Subject::NONE,
    };
    let now = Instant::from_millis(1_000_000);
    table.register(engine, now);
    table.stage(
        Kind::DockerDown,
        &Subject::NONE,
        Observation::Active,
        0.0,
        format_args!(""),
    );
    table.settle(now, &config);
    let web = Subject::new("web");
    table.stage_fact(
        Kind::ContainerDown,
        &web,
        Observation::Active,
        0.0,
        format_args!("exited 1"),
    );
    table.settle_facts(now, &config);
    assert_eq!(staged(&table, Kind::ContainerDown, "web"), None);
    assert!(!table.is_firing(Kind::ContainerDown, &web));
}

#[test]
fn a_good_tick_stages_every_container_and_every_absent_name() {
    // One died, one is sick, one is absent; a fact between ticks is staged alone.
    let mut bench = Bench::listing(&["absent"]);
    let mut table = Box::new(Table::new());
    settle(&mut bench, &[up("dead"), up("sick"), up("late")], &mut table).unwrap();
    bench.inspect("dead", inspection("exited", 3, false, START, 0));
    let rows = [
        row("dead", "exited", "Exited (3) 1 second ago"),
        row("sick", "running", "Up 1 hour (unhealthy)"),
        up("late"),
    ];
    settle(&mut bench, &rows, &mut table).unwrap();
    let active = |words: &str| Some((Observation::Active, words.to_string()));
    assert_eq!(staged(&table, Kind::ContainerDown, "dead"), active("exited 3"));
    assert_eq!(
        staged(&table, Kind::ContainerUnhealthy, "sick"),
        active("unhealthy")
    );
    assert_eq!(staged(&table, Kind::ContainerDown, "absent"), active("not found"));
    assert_eq!(
        staged(&table, Kind::ContainerDown, "sick"),
        None,
        "a clear one takes no row"
    );

    let mut table = Box::new(Table::new());
    assert_eq!(
        bench.docker.facts(bench.now, &mut table),
        0,
        "the tick told them all"
    );
    let id = id_of("late");
    let oom = format!(
        r#"{{"Type":"container","Action":"oom","Actor":{{"ID":"{id}","Attributes":{{"name":"late"}}}},"timeNano":1}}"#
    );
    bench.docker.head(Request::Events, 200, None);
    bench
        .docker
        .body(Request::Events, oom.as_bytes(), bench.now, &bench.config);
    assert_eq!(bench.docker.facts(bench.now, &mut table), 1);
    assert!(staged(&table, Kind::ContainerOom, "late").is_some());
    assert_eq!(
        staged(&table, Kind::ContainerDown, "dead"),
        None,
        "only what is new"
    );
    assert_eq!(bench.docker.facts(bench.now, &mut table), 0);
}

#[test]
fn a_failed_tick_stages_nothing() {
    let mut bench = Bench::listing(&["absent", "web"]);
    let mut table = Box::new(Table::new());
    settle(&mut bench, &[up("web")], &mut table).unwrap();
    let mut table = Box::new(Table::new());
    let broken = [row("web", "exited", "Exited (3) 1 second ago"), "}".to_string()];
    assert!(settle(&mut bench, &broken, &mut table).is_err());
    for name in ["absent", "web"] {
        for kind in KINDS {
            assert_eq!(staged(&table, kind, name), None);
        }
    }
}

/// Everything that a probe says of the containers that it knows.
fn everything(bench: &Bench) -> Vec<String> {
    let names = bench
        .docker
        .store
        .iter()
        .map(|container| container.seen.name.to_string());
    names
        .flat_map(|name| KINDS.map(|kind| format!("{}:{name} {}", kind.name(), bench.says(kind, &name))))
        .collect()
}

#[test]
fn spoilt_documents_say_the_same_however_they_are_split() {
    // Bytes of a list, an inspection and a stream are overwritten, doubled or dropped at random; read whole and
    // read in small pieces, the probe knows the same afterwards, and it never breaks.
    let list = format!(
        "[{},{}]",
        row_with(
            "web",
            "exited",
            "Exited (137) 2 seconds ago",
            r#","Health":{"Status":"unhealthy"}"#
        ),
        row("api", "running", "Up 3 seconds (unhealthy)")
    );
    let look = inspection("exited", 137, true, START, 2);
    let id = id_of("api");
    let stream = format!(
        r#"{{"Type":"container","Action":"kill","Actor":{{"ID":"{id}","Attributes":{{"signal":"9","name":"api"}}}},"timeNano":7}}
{{"Type":"container","Action":"die","Actor":{{"ID":"{id}","Attributes":{{"exitCode":"9","name":"api"}}}},"timeNano":8}}"#
    );
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let mut spoil = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.below(4) {
                let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                match random.below(3) {
                    0 => {
                        bytes[place] = b"\"{}[],:\\ 0ex<\xff\x00"[usize::try_from(random.below(15)).unwrap()]
                    }
                    1 => bytes.insert(place, bytes[place]),
                    _ => drop(bytes.remove(place)),
                }
            }
            bytes
        };
        let (list, look, stream) = (spoil(&list), spoil(&look), spoil(&stream));
        let run = |split: usize| {
            let mut bench = Bench::listing(&["api"]);
            bench.tick(&[up("web"), up("api")]).unwrap();
            bench.docker.head(Request::Events, 200, None);
            for piece in stream.chunks(split) {
                bench
                    .docker
                    .body(Request::Events, piece, bench.now, &bench.config);
            }
            bench.now = bench.now.after(INTERVAL);
            bench.docker.wake(bench.now);
            bench.docker.begin_tick(bench.now, INTERVAL);
            while let Some(request) = bench.docker.next() {
                let body = if request == Request::List { &list } else { &look };
                bench.docker.head(request, 200, Some((1, 41)));
                for piece in body.chunks(split) {
                    bench.docker.body(request, piece, bench.now, &bench.config);
                }
                bench.docker.end(request, Close::Whole, bench.now);
            }
            (bench.docker.close_tick(), everything(&bench))
        };
        let whole = run(usize::MAX);
        for split in [1, 3, 64] {
            assert_eq!(run(split), whole, "seed {seed}, pieces of {split}");
        }
    }
}
