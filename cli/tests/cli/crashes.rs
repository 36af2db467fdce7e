//! `kill -9` at any moment, damage, a full queue: the next command finds a home that is right, or says what is wrong.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

fn spawn(folder: &Folder, arguments: &[&str]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_cotenant"))
        .arg("--home")
        .arg(folder.path("home"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs")
}

#[test]
fn kills_lose_no_acknowledged_call_and_leave_the_home_whole() {
    let folder = Folder::new();
    folder.deploy("alice.near", cotenant_contracts::counter(), &[]);
    assert_eq!(folder.run(&["call", "alice.near", "new", "{}"]).exit, 0);
    let mut acknowledged = 0u64;
    let mut killed = 0u64;
    for round in 0..24u64 {
        let mut child = spawn(&folder, &["call", "alice.near", "increment", "{}"]);
        // Moments spread over the life of a command, in steps that do not divide it.
        std::thread::sleep(Duration::from_micros(round * 7_919 % 90_000));
        let _ = child.kill();
        match child.wait().expect("a status").code() {
            Some(0) => acknowledged += 1,
            Some(other) => panic!("exit {other}"),
            None => killed += 1,
        }
    }
    let (exit, report) = folder.json(&["call", "alice.near", "get", "{}"]);
    assert_eq!(exit, 0, "{report}");
    let count = report["result_base64"].as_str().expect("a result");
    let count = String::from_utf8(base64(count)).expect("digits");
    let count: u64 = count.parse().expect("a number");
    assert!(
        (acknowledged..=acknowledged + killed).contains(&count),
        "{count} {acknowledged} {killed}"
    );
    let (exit, scrubbed) = folder.json(&["state", "scrub"]);
    assert_eq!(exit, 0, "{scrubbed}");
    assert!(scrubbed["records"]["1"].as_u64() >= Some(1), "{scrubbed}");
    assert!(!folder.path("home/faults").exists(), "a foreign kill ends no receipt");
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').map(value).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let word =
            (0..4).fold(0u32, |word, at| word << 6 | u32::from(*group.get(at).unwrap_or(&0)));
        bytes.extend_from_slice(&word.to_be_bytes()[1..group.len().max(1)]);
    }
    bytes
}

#[test]
fn damage_is_named_and_is_no_panic() {
    let folder = Folder::new();
    folder.deploy("alice.near", cotenant_contracts::counter(), &[]);
    let path = folder.path("home/state.redb");
    let whole = std::fs::read(&path).expect("a state");
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    for step in 0..12usize {
        let mut bytes = whole.clone();
        match step {
            0 => bytes.truncate(whole.len() / 2),
            1 => bytes.truncate(700),
            _ => bytes[step * 3_571 % whole.len().min(60_000)] ^= 1 << (step % 8),
        }
        std::fs::write(&path, &bytes).expect("written");
        let ran = folder.run(&["modules", "alice.near", "--json"]);
        match ran.exit {
            0 => assert!(ran.stdout.contains("code_hash"), "{}", ran.stdout),
            4 => assert_eq!(ran.json()["error"]["code"], "Damaged", "{}", ran.stdout),
            other => panic!("exit {other}: {}{}", ran.stdout, ran.stderr),
        }
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    // The checksums of the first 512 pages.
    let mut bytes = whole;
    bytes[4_096..8_192].fill(0x5a);
    std::fs::write(&path, &bytes).expect("written");
    let ran = folder.run(&["state", "scrub", "--json"]);
    assert_eq!(ran.exit, 4, "{}", ran.stdout);
    assert!(ran.json()["error"]["message"].as_str().expect("text").contains("hint:"));
}

#[test]
fn a_file_that_is_no_report_is_refused() {
    let folder = Folder::new();
    let file = folder.file("report", b"nothing");
    let ran = folder.run(&["state", "reproduce", &file, "--json"]);
    assert_eq!((ran.exit, ran.json()["error"]["code"].as_str()), (2, Some("NoFaultReport")));
}
