//! The texts of the host: `/proc`, `/etc/hosts`, `/etc/resolv.conf`.

use watchdog_core::limits::DETAIL_BYTES_MAX;
use watchdog_core::net::FileSystem;
use watchdog_core::probe::host::{Host, Want};
use watchdog_core::table::Table;
use watchdog_core::time::Instant;
use watchdog_core::wire::dns::{hosts, resolv_conf};

/// Asserts that a text reads alike however it is cut, whichever of the host's texts it is taken for, that the probe
/// asks a bounded number of times, and that every detail keeps its bound.
pub fn host_texts(data: &[u8]) {
    crate::with_room(|| {
        let [whole, others @ ..] =
            crate::cuts(data).map(|pieces| (probe(&pieces), names(&pieces), servers(&pieces)));
        for other in others {
            assert_eq!(whole, other, "a cut changes what is read");
        }
    });
}

fn probe(pieces: &[&[u8]]) -> String {
    let config = crate::configuration();
    let (mut host, mut table) = (Box::new(Host::new()), Box::new(Table::new()));
    let now = Instant::from_millis(1_000_000);
    host.begin_tick(now, &config.host);
    let mut asked = 0;
    while let Some(want) = host.next() {
        asked += 1;
        assert!(asked < 100, "a tick asks for each text and path once");
        match want {
            Want::File(file) => {
                pieces
                    .iter()
                    .for_each(|piece| host.file_part(&config.host, file, piece));
                host.file_end(file, Ok(()));
            }
            Want::Stat(place) => {
                let figures = FileSystem {
                    device: 1,
                    blocks: 100,
                    blocks_available: 1,
                    ..FileSystem::default()
                };
                host.file_system(place, Ok(figures));
            }
        }
    }
    assert!(host.is_complete());
    let summary = host.settle(now, &config.host, &mut table);
    table.settle(now, config);
    for row in table.rows() {
        assert!(row.detail().len() <= DETAIL_BYTES_MAX);
    }
    format!("{summary:?} {:?}", table.rows())
}

fn names(pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = hosts::Reader::new();
    let mut found = Vec::new();
    let mut sink = |address, name: &str| found.push(format!("{address} {name}"));
    pieces.iter().for_each(|piece| reader.feed(piece, &mut sink));
    reader.end(&mut sink);
    found
}

fn servers(pieces: &[&[u8]]) -> resolv_conf::Conf {
    let mut reader = Box::new(resolv_conf::Reader::new());
    reader.begin();
    pieces.iter().for_each(|piece| reader.feed(piece));
    let conf = reader.end();
    assert!(!conf.servers.is_empty(), "there is always somebody to ask");
    conf.clone()
}
