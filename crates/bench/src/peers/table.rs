//! The comparison of one work: a row per program, ratios from rounds.

use crate::stats::{Ratio, median, range, ratio, rounded};
use serde_json::{Value, json};

/// One program's turn.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its name.
    pub program: String,
    /// Which round.
    pub round: usize,
    /// Its counted steps.
    pub seconds: Vec<f64>,
    /// Cores that unrelated processes used while it ran.
    pub others: Option<f64>,
    /// What it printed.
    pub line: Value,
}

/// Rows in the order of the first round; the first is ours.
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    program: String,
    seconds: f64,
    range: [f64; 2],
    others: Option<[f64; 2]>,
    memory_mib: Option<f64>,
    ratio: Option<Ratio>,
}

impl Table {
    /// Summary of the runs of one work.
    pub fn new(runs: &[Run]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for run in runs {
            if !names.contains(&run.program.as_str()) {
                names.push(&run.program);
            }
        }
        let rounds = runs.iter().map(|r| r.round + 1).max().unwrap_or(0);
        let ours = names.first().map(|n| medians(runs, n, rounds)).unwrap_or_default();
        let row = |(i, name): (usize, &&str)| {
            let own: Vec<&Run> = runs.iter().filter(|r| r.program == **name).collect();
            let seconds: Vec<f64> = own.iter().flat_map(|r| r.seconds.iter().copied()).collect();
            let others: Vec<f64> = own.iter().filter_map(|r| r.others).collect();
            let memory: Vec<f64> = own.iter().filter_map(|r| r.line["rss_mib"].as_f64()).collect();
            Some(Row {
                program: (*name).to_owned(),
                seconds: median(&seconds)?,
                range: range(&seconds)?,
                others: range(&others),
                memory_mib: range(&memory).map(|[_, most]| most),
                ratio: if i == 0 { None } else { ratio(&ours, &medians(runs, name, rounds)) },
            })
        };
        Table { rows: names.iter().enumerate().filter_map(row).collect() }
    }

    /// The table as text.
    pub fn lines(&self) -> Vec<String> {
        let head =
            "program                    median s   [least .. most]      others, cores   peak MiB  ours/peer";
        let row = |r: &Row| {
            let span = |[a, b]: [f64; 2], d: usize| format!("[{a:.d$} .. {b:.d$}]");
            let others = r.others.map_or("unknown".to_owned(), |o| span(o, 2));
            let memory = r.memory_mib.map_or("unknown".to_owned(), |m| format!("{m:.0}"));
            let ratio = r.ratio.map_or(String::new(), |q| format!("{:.3} {}", q.median, span(q.range, 3)));
            let line = format!(
                "{:24} {:10.4}   {:19} {others:>14} {memory:>10}  {ratio}",
                r.program,
                r.seconds,
                span(r.range, 3)
            );
            line.trim_end().to_owned()
        };
        std::iter::once(head.to_owned()).chain(self.rows.iter().map(row)).collect()
    }

    /// The table as JSON, a line per program.
    pub fn records(&self, work: &str) -> Vec<Value> {
        let record = |r: &Row| {
            let ratio = r
                .ratio
                .map(|q| json!({ "median": rounded(q.median, 3), "range": q.range.map(|v| rounded(v, 3)) }));
            json!({
                "work": work,
                "program": r.program,
                "median_s": rounded(r.seconds, 4),
                "range_s": r.range.map(|v| rounded(v, 4)),
                "others": r.others.map(|o| o.map(|v| rounded(v, 2))),
                "rss_mib": r.memory_mib,
                "ours_over_peer": ratio,
            })
        };
        self.rows.iter().map(record).collect()
    }
}

/// The median step of every round.
fn medians(runs: &[Run], program: &str, rounds: usize) -> Vec<Option<f64>> {
    let run = |round| runs.iter().find(|r| r.round == round && r.program == program);
    (0..rounds).map(|round| run(round).and_then(|r| median(&r.seconds))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, round: usize, seconds: &[f64], mib: u64) -> Run {
        let line = json!({ "rss_mib": mib });
        Run { program: program.to_owned(), round, seconds: seconds.to_vec(), others: Some(0.5), line }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let runs = [
            run("ours", 0, &[1.0, 1.0, 9.0], 10),
            run("peer", 0, &[2.0], 20),
            run("ours", 1, &[3.0], 12),
            run("peer", 1, &[4.0], 19),
            run("late", 1, &[6.0], 5),
        ];
        let records = Table::new(&runs).records("w");
        assert_eq!(records[0]["ours_over_peer"], Value::Null);
        assert_eq!(records[1]["ours_over_peer"], json!({ "median": 0.625, "range": [0.5, 0.75] }));
        assert_eq!(records[1]["rss_mib"], 20.0);
        assert_eq!(records[2]["ours_over_peer"]["median"], 0.5);
        assert_eq!(records[0]["range_s"], json!([1.0, 9.0]));
    }

    #[test]
    fn text_has_a_row_per_program_below_its_head() {
        let lines = Table::new(&[run("ours", 0, &[1.0], 10), run("peer", 0, &[4.0], 20)]).lines();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with("10"), "{}", lines[1]);
        assert!(lines[2].ends_with("20  0.250 [0.250 .. 0.250]"), "{}", lines[2]);
        assert_eq!(Table::new(&[]).lines().len(), 1);
    }
}
