//! Link arguments of the binary, whatever RUSTFLAGS say: they make it a tenth smaller and change nothing that runs.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=no-unwind.ld");
    println!("cargo:rerun-if-changed=defmt.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        // The number of a format string is the address of its symbol: nothing may move when the program is loaded. For the
        // binary's own tests too.
        println!("cargo:rustc-link-arg=-no-pie");
        println!("cargo:rustc-link-arg=-Wl,-T,{folder}/defmt.ld");
    } else {
        // Relative relocations of a position-independent executable take a bit each instead of 24 bytes.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // What ships aborts on a panic; tests unwind, and are not built by this profile.
    if env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{folder}/no-unwind.ld");
    }
}
