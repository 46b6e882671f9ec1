//! Replays what is committed under `seeds/` and `regressions/` on stable: no property of a target fails on any of it.

use std::fs;
use std::path::Path;

/// Runs every file of a target; none at all would be a test that can not fail.
fn replay(name: &str, target: fn(&[u8])) {
    let mut count = 0;
    for folder in ["seeds", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
        let Ok(files) = fs::read_dir(&folder) else {
            continue;
        };
        for file in files {
            let path = file.expect("the folder can be read").path();
            println!("{}", path.display());
            let data = fs::read(&path).expect("the file can be read");
            target(&data);
            // What is cut short must be survived as well.
            data.iter()
                .enumerate()
                .step_by(1 + data.len() / 64)
                .for_each(|(end, _)| target(&data[..end]));
            count += 1;
        }
    }
    assert!(count > 1, "{name} has no seeds");
}

macro_rules! targets {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name), watchdog_fuzz::$name);
        }
    )*};
}

targets!(json envelope rule config http_head http_body dns docker_list docker_inspect docker_events);
targets!(telegram_reply host_texts table_ops watchdog cert);

/// Each certificate among the seeds is whole and written by the rules: its end is read.
#[test]
fn the_seeds_of_certificates_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/cert");
    let mut count = 0;
    for file in fs::read_dir(folder).expect("the seeds are there") {
        let path = file.expect("the folder can be read").path();
        let der = fs::read(&path).expect("the file can be read");
        let end = watchdog_core::wire::certificate::not_after(&der);
        assert!(end.is_some(), "{} is not read", path.display());
        count += 1;
    }
    assert!(count >= 10, "{count} seeds");
}
