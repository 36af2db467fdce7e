//! 128 KiB of stack instead of a megabyte: a private module starts with the pages it declares.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size=131072");
}
