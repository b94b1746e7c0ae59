//! The machine: its processor, the load that other processes put on it, and this process's peak memory.
//!
//! Linux tells these under `/proc`; elsewhere they are unknown and left out of the results.

use std::time::Instant;

/// Wall time of an interval and the CPU that other processes used meanwhile.
pub struct Load {
    start: Instant,
    ticks: Option<[u64; 2]>,
}

impl Load {
    /// Begins the interval.
    pub fn start() -> Self {
        Load { ticks: ticks(), start: Instant::now() }
    }

    /// Seconds so far.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds, and the CPU time of all other processes as a number of busy cores.
    pub fn stop(&self) -> (f64, Option<f64>) {
        let seconds = self.seconds();
        let others = self.ticks.zip(ticks()).map(|([all, own], [all_now, own_now])| {
            let foreign = (all_now - all) as f64 - (own_now - own) as f64;
            (foreign / TICKS_PER_SECOND / seconds).max(0.0)
        });
        (seconds, others)
    }
}

/// `USER_HZ`, the unit of `/proc/stat`, is 100 on every architecture that Linux still supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of everybody, and of this process with the children that it has waited for.
fn ticks() -> Option<[u64; 2]> {
    let all = std::fs::read_to_string("/proc/stat").ok()?;
    let own = std::fs::read_to_string("/proc/self/stat").ok()?;
    Some([busy_ticks(&all)?, own_ticks(&own)?])
}

/// user, nice, system, irq, softirq and steal of the first line of `/proc/stat`.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).map_while(|f| f.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7].iter().map(|&i| fields.get(i)).sum()
}

/// utime, stime, cutime and cstime of `/proc/self/stat`: fields 14 to 17; the name before may hold spaces.
fn own_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|f| f.parse::<u64>().ok()).sum()
}

/// Peak resident memory of this process in MiB.
pub fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// The processor's name, or its architecture where the system does not tell.
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    processor_name(&info).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Name, family and model: virtual machines often shorten the name to that of the product line.
fn processor_name(info: &str) -> Option<String> {
    let field = |key: &str| {
        let mut lines = info.lines().filter_map(|l| l.split_once(':'));
        lines.find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim().to_owned())
    };
    let name = field("model name")?;
    let detail = field("cpu family").zip(field("model")).map(|(f, m)| format!(" (family {f}, model {m})"));
    Some(name + &detail.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_and_waiting() {
        let stat = "cpu  1 20 300 4000 50000 600000 7000000 80000000 9 9\ncpu0 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(87_600_321));
        assert_eq!(busy_ticks("cpu 1 2"), None);
    }

    #[test]
    fn own_time_counts_children_and_survives_odd_names() {
        let stat = "7 (a b) c) S 1 1 1 0 -1 0 0 0 0 0 10 200 3000 40000 20 0";
        assert_eq!(own_ticks(stat), Some(43_210));
        assert_eq!(own_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn processor_is_the_first_one_named() {
        let info = "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: A B\n\nmodel name\t: C\n";
        assert_eq!(processor_name(info).as_deref(), Some("A B (family 26, model 2)"));
        assert_eq!(processor_name(""), None);
    }
}
