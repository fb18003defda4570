//! The figures in the guide to tuning stand where they were measured: in `BENCHMARKS.md`, or in the budgets of instructions.

const GUIDE: &str = include_str!("../../adapters/docs/tuning.md");
const BENCHMARKS: &str = include_str!("../BENCHMARKS.md");
const BUDGETS: &str = include_str!("../../.ci/instructions.budget");

/// The numbers of three digits and more in a text, without the commas between thousands.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    let tokens = text.split(|letter: char| !(letter.is_ascii_digit() || letter == ',' || letter == '.'));
    let plain = tokens.map(|token| token.trim_matches(['.', ',']).replace(',', ""));
    plain.filter(|number| number.chars().filter(char::is_ascii_digit).count() >= 3)
}

#[test]
fn every_figure_of_the_tables_was_measured() {
    let measured: Vec<String> = numbers(BENCHMARKS).collect();
    let budgets: Vec<String> = BUDGETS
        .lines()
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .map(|budget| format!("{budget:.0}"))
        .collect();
    let rows = GUIDE.lines().filter(|line| line.starts_with('|'));
    let figures: Vec<String> = rows.flat_map(|row| row.split('|').skip(2)).flat_map(numbers).collect();
    assert!(figures.len() > 25, "{figures:?}");
    for figure in figures {
        assert!(measured.contains(&figure) || budgets.contains(&figure), "{figure} was measured nowhere");
    }
}
