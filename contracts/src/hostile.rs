//! The attackers: a module or more for every row of `docs/hostile.md` that is about modules or calls.
//!
//! Small ones are text in `hostile/`, whose first line says what is expected and the next ones why; those
//! that are too large to write are made in `giants`. All are called the same way: method `run`, no arguments,
//! and as a private module with everything granted and every yield answered with nothing.

mod giants;

/// What a host must do with an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The deploy fails.
    Refused,
    /// It deploys, and every call of `run` fails: by a trap, without gas, or with a host's error.
    Traps,
    /// It deploys and `run` succeeds; what it attacks must just hold.
    Runs,
}

/// A module made to harm its host.
#[derive(Clone, Debug)]
pub struct Attacker {
    /// The row of the table it belongs to.
    pub row: u8,
    /// `row_NN_what_it_is`.
    pub name: &'static str,
    /// What it attacks and how.
    pub about: String,
    /// What is expected of it as a public module.
    pub expect: Expect,
    /// What is expected of it as a private module.
    pub expect_private: Expect,
    /// The module, or what pretends to be one.
    pub bytes: Vec<u8>,
}

/// Name, source and bytes of every text module.
const TEXT_MODULES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/hostile.rs"));

/// Every attacker, by name. The large ones are made anew by each call: together they are some 20 MB.
///
/// # Panics
/// If the first lines of a text module do not say what is expected, which the tests of this crate exclude.
pub fn attackers() -> Vec<Attacker> {
    let mut attackers: Vec<Attacker> = TEXT_MODULES
        .iter()
        .map(|(name, source, bytes)| {
            let (expect, expect_private, about) =
                header(source).unwrap_or_else(|line| panic!("{name}: {line}"));
            Attacker { row: row(name), name, about, expect, expect_private, bytes: bytes.to_vec() }
        })
        .collect();
    attackers.extend(giants::GIANTS.iter().map(|giant| Attacker {
        row: row(giant.name),
        name: giant.name,
        about: giant.about.to_string(),
        expect: giant.expect,
        expect_private: giant.expect,
        bytes: (giant.make)(),
    }));
    attackers.sort_by_key(|attacker| attacker.name);
    attackers
}

/// The number in `row_NN_...`.
fn row(name: &str) -> u8 {
    let digits = name.get(4..6).unwrap_or(name);
    digits.parse().unwrap_or_else(|_| panic!("{name}: a name begins with row_NN_"))
}

/// Reads `;; expect: traps` or `;; expect: public runs, private refused`, and the comment below it.
fn header(source: &str) -> Result<(Expect, Expect, String), String> {
    let mut comments = source.lines().map_while(|line| line.strip_prefix(";;")).map(str::trim);
    let first = comments.next().unwrap_or_default();
    let expected =
        first.strip_prefix("expect: ").ok_or_else(|| format!("no `expect: ` in `{first}`"))?;
    let (public, private) = match expected.split_once(", ") {
        Some((public, private)) => (
            public
                .strip_prefix("public ")
                .ok_or_else(|| format!("no `public ` in `{expected}`"))?,
            private
                .strip_prefix("private ")
                .ok_or_else(|| format!("no `private ` in `{expected}`"))?,
        ),
        None => (expected, expected),
    };
    Ok((expectation(public)?, expectation(private)?, comments.collect::<Vec<_>>().join(" ")))
}

fn expectation(word: &str) -> Result<Expect, String> {
    match word {
        "refused" => Ok(Expect::Refused),
        "traps" => Ok(Expect::Traps),
        "runs" => Ok(Expect::Runs),
        other => Err(format!("`{other}` is none of refused, traps, runs")),
    }
}
