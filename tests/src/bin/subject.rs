//! What runs inside the containers that the engine tests break: one static program for every way to end.
//!
//! It is the only file of its image (`FROM scratch`), so it uses nothing but `std`. It must never run
//! outside a container with a memory limit in mode `eat`. Tests: `tests/tests/engine.rs`.
//!
//! - `until FILE CODE`: runs until FILE exists, then exits with CODE;
//! - `after MILLISECONDS CODE`: exits with CODE after so long;
//! - `eat`: takes memory until the kernel ends it;
//! - `absent FILE`: exits 0 if FILE does not exist and 1 if it does, for use as a health check.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

/// How often `until` looks, and how long `eat` rests between two bites.
const PACE: Duration = Duration::from_millis(20);

/// Bytes a bite of `eat`: small enough for the limit to be met between two of them.
const BITE_BYTES: usize = 1 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["until", file, code] => until(Path::new(file), code),
        ["after", milliseconds, code] => after(milliseconds, code),
        ["eat"] => eat(),
        ["absent", file] => absent(Path::new(file)),
        _ => {
            eprintln!("usage: subject until FILE CODE | after MILLISECONDS CODE | eat | absent FILE");
            ExitCode::from(64)
        }
    }
}

fn until(file: &Path, code: &str) -> ExitCode {
    while !file.exists() {
        sleep(PACE);
    }
    exit_code(code)
}

fn after(milliseconds: &str, code: &str) -> ExitCode {
    sleep(Duration::from_millis(milliseconds.parse().unwrap_or(0)));
    exit_code(code)
}

/// Every page is written to, since one that is only asked for costs no memory.
fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; BITE_BYTES]);
        println!("eaten {} MiB", eaten.len());
        sleep(PACE);
    }
}

fn absent(file: &Path) -> ExitCode {
    if file.exists() {
        println!("{} is there", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn exit_code(code: &str) -> ExitCode {
    code.parse::<u8>().map_or(ExitCode::from(64), ExitCode::from)
}
