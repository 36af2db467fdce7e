//! The search for something worse: recipes of random steps and shapes, then changes of the worst ones.

use super::Search;
use super::families::snippets;
use super::recipe::{Recipe, Shape};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::time::Instant;

/// How many of the worst are changed further.
const KEPT: usize = 12;

/// One recipe in so many is new, the others are changes of kept ones.
const NEW_EVERY: u32 = 3;

/// Numbers that constants of steps are replaced by.
const NUMBERS: [u64; 12] = [0, 1, 2, 7, 16, 64, 99, 1_000, 4_096, 65_536, 1 << 20, 4 << 20];

/// Looks until the time is over; returns how many recipes it measured.
pub fn search(search: &mut Search, base: &[Recipe], until: Instant) -> u64 {
    let mut rng = StdRng::seed_from_u64(search.settings.seed);
    let snippets = snippets();
    let mut kept: Vec<(f64, Recipe)> = Vec::new();
    for row in worst_names(search) {
        if let Some(recipe) = base.iter().find(|recipe| recipe.name == row.1) {
            kept.push((row.0, recipe.clone()));
        }
    }
    let mut measured = 0;
    while Instant::now() < until {
        let parent = kept.choose(&mut rng).map(|(_, recipe)| recipe.clone());
        let recipe = match parent {
            Some(parent) if !rng.random_ratio(1, NEW_EVERY) => change(&parent, &snippets, &mut rng),
            _ => fresh(&snippets, &mut rng),
        };
        let recipe = Recipe { family: "mutations", name: format!("{measured}"), ..recipe };
        let passed_over = search.passed_over.len();
        let worst = search.measure(&recipe);
        // A mutation need not be a module; the next one is.
        search.passed_over.truncate(passed_over);
        measured += 1;
        if kept.len() < KEPT || kept.last().is_some_and(|last| worst > last.0) {
            kept.push((worst, recipe));
            kept.sort_by(|a, b| b.0.total_cmp(&a.0));
            kept.truncate(KEPT);
        }
    }
    measured
}

fn worst_names(search: &Search) -> Vec<(f64, String)> {
    let mut rows: Vec<_> = search.rows.iter().map(|row| (row.of_aim, row.name.clone())).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.truncate(KEPT);
    rows
}

fn steps(snippets: &[(String, String)], rng: &mut StdRng) -> String {
    let count = rng.random_range(1..6);
    let mut text = String::new();
    for _ in 0..count {
        if let Some((_, step)) = snippets.choose(rng) {
            text.push_str(&step.repeat(if rng.random_ratio(1, 4) {
                rng.random_range(1..64)
            } else {
                1
            }));
        }
    }
    text
}

fn shape(rng: &mut StdRng) -> Shape {
    let mut up_to = |most: u32| if rng.random_ratio(2, 3) { 0 } else { rng.random_range(0..most) };
    Shape {
        globals: up_to(30_000),
        table: up_to(10_000),
        functions: up_to(5_000),
        exports: up_to(2_000),
        segments: up_to(1_000),
        pages: up_to(1_000).max(1),
        locals: up_to(2_000),
    }
}

fn fresh(snippets: &[(String, String)], rng: &mut StdRng) -> Recipe {
    let before = if rng.random_ratio(1, 2) { steps(snippets, rng) } else { String::new() };
    let body = if rng.random_ratio(1, 5) { String::new() } else { steps(snippets, rng) };
    Recipe::new("mutations", "", &before, &body).shaped(shape(rng))
}

/// A change of the shape, of a number, of the steps, or of the callee.
fn change(parent: &Recipe, snippets: &[(String, String)], rng: &mut StdRng) -> Recipe {
    let mut recipe = parent.clone();
    match rng.random_range(0..6) {
        0 => recipe.shape = shape(rng),
        1 => recipe.body = number(&recipe.body, rng),
        2 => recipe.before = number(&recipe.before, rng),
        3 => recipe.body.push_str(&steps(snippets, rng)),
        4 => recipe.before.push_str(&steps(snippets, rng)),
        _ => match &mut recipe.callee {
            Some(callee) if rng.random_bool(0.5) => callee.shape = shape(rng),
            Some(callee) => callee.before = number(&callee.before, rng),
            None => recipe.body = number(&recipe.body, rng),
        },
    }
    recipe
}

/// Replaces one of the `i64.const` of a text.
fn number(text: &str, rng: &mut StdRng) -> String {
    const CONSTANT: &str = "(i64.const ";
    let places: Vec<usize> =
        text.match_indices(CONSTANT).map(|(at, _)| at + CONSTANT.len()).collect();
    let (Some(at), Some(number)) = (places.choose(rng), NUMBERS.choose(rng)) else {
        return text.to_owned();
    };
    let end = text[*at..].find(')').map_or(text.len(), |length| at + length);
    format!("{}{number}{}", &text[..*at], &text[end..])
}
