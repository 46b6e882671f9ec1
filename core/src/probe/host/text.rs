//! The texts of /proc, each read line by line into the few figures that matter.
//!
//! A line that is not understood is passed over, a number that does not fit counts as missing: what is missing makes its
//! signal unknown, never wrong. Formats: proc_meminfo(5), proc_loadavg(5), proc_stat(5), proc_sys_fs(5), and the
//! kernel's Documentation/accounting/psi.rst. Tests: beside the code.

use super::call::{Call, Missing};
use super::figure::Hundredths;
use super::line::{Line, number};
use crate::net::FileFault;

/// What one text says.
pub(super) trait Figures {
    /// Nothing read yet.
    const NONE: Self;
    /// Takes one line.
    fn line(&mut self, line: &Line);
}

/// A text: whether it was read this tick, the line being read, and what it said so far.
#[derive(Debug)]
pub(super) struct Text<F> {
    pub(super) call: Call<()>,
    line: Line,
    figures: F,
}

impl<F: Figures> Text<F> {
    /// A text that was never asked for.
    pub(super) const fn new() -> Self {
        Self {
            call: Call::Idle,
            line: Line::new(),
            figures: F::NONE,
        }
    }

    /// Forgets the last tick, unless its read is still under way.
    pub(super) fn begin(&mut self) {
        if self.call.begin() {
            self.line.clear();
            self.figures = F::NONE;
        }
    }

    /// Reads on.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        let figures = &mut self.figures;
        self.line.read(bytes, |line| figures.line(line));
    }

    /// Ends the read; a last line without its end counts.
    pub(super) fn end(&mut self, result: Result<(), FileFault>) {
        if result.is_ok() {
            self.figures.line(&self.line);
        }
        self.line.clear();
        self.call.answer(result);
    }

    /// Tells the figures of this tick.
    pub(super) fn figures(&self) -> Result<&F, Missing> {
        self.call.answered().map(|()| &self.figures)
    }
}

/// `meminfo`, in KiB as the kernel prints it (it writes kB).
#[derive(Debug)]
pub(super) struct MemInfo {
    pub(super) total: Option<u64>,
    pub(super) available: Option<u64>,
    pub(super) swap_total: Option<u64>,
    pub(super) swap_free: Option<u64>,
}

impl Figures for MemInfo {
    const NONE: Self = Self {
        total: None,
        available: None,
        swap_total: None,
        swap_free: None,
    };

    fn line(&mut self, line: &Line) {
        let mut words = line.words();
        let figure = match words.next() {
            Some(b"MemTotal:") => &mut self.total,
            Some(b"MemAvailable:") => &mut self.available,
            Some(b"SwapTotal:") => &mut self.swap_total,
            Some(b"SwapFree:") => &mut self.swap_free,
            _ => return,
        };
        *figure = words.next().and_then(number);
    }
}

/// `loadavg`: the load of the last 15 minutes.
#[derive(Debug)]
pub(super) struct LoadAvg {
    pub(super) fifteen: Option<Hundredths>,
}

impl Figures for LoadAvg {
    const NONE: Self = Self { fifteen: None };

    fn line(&mut self, line: &Line) {
        if let Some(word) = line.words().nth(2) {
            self.fifteen = hundredths(word);
        }
    }
}

/// `stat`: how many cores are online.
#[derive(Debug)]
pub(super) struct Cores {
    pub(super) count: u32,
}

impl Figures for Cores {
    const NONE: Self = Self { count: 0 };

    fn line(&mut self, line: &Line) {
        let Some(rest) = line.start().strip_prefix(b"cpu") else {
            return;
        };
        let mut words = rest.split(|byte| *byte == b' ');
        if words.next().and_then(number).is_some() && words.next().is_some() {
            self.count = self.count.saturating_add(1);
        }
    }
}

/// `sys/fs/file-nr`: file handles that exist, those of them that are unused, and the most there may be.
#[derive(Debug)]
pub(super) struct FileNr {
    pub(super) used: Option<u64>,
    pub(super) most: Option<u64>,
}

impl Figures for FileNr {
    const NONE: Self = Self {
        used: None,
        most: None,
    };

    fn line(&mut self, line: &Line) {
        let mut words = line.words().map(number);
        let (Some(Some(allocated)), Some(Some(free)), Some(Some(most))) =
            (words.next(), words.next(), words.next())
        else {
            return;
        };
        self.used = allocated.checked_sub(free);
        self.most = Some(most);
    }
}

/// `pressure/…`: the share of the last minute in which some task, and in which all of them, waited.
#[derive(Debug)]
pub(super) struct Pressure {
    pub(super) some: Option<Hundredths>,
    pub(super) full: Option<Hundredths>,
}

impl Figures for Pressure {
    const NONE: Self = Self {
        some: None,
        full: None,
    };

    fn line(&mut self, line: &Line) {
        let mut words = line.words();
        let figure = match words.next() {
            Some(b"some") => &mut self.some,
            Some(b"full") => &mut self.full,
            _ => return,
        };
        *figure = words
            .find_map(|word| word.strip_prefix(b"avg60="))
            .and_then(hundredths);
    }
}

/// Reads a number with at most two decimals that count: `0.07`, `12`, `3.5`; further ones are cut off.
fn hundredths(word: &[u8]) -> Option<Hundredths> {
    let mut parts = word.splitn(2, |byte| *byte == b'.');
    let whole = number(parts.next()?)?;
    let mut rest = 0_u64;
    if let Some(decimals) = parts.next() {
        number(decimals)?;
        let mut digits = decimals.iter().map(|digit| u64::from(digit.wrapping_sub(b'0')));
        rest = digits.next().unwrap_or(0).saturating_mul(10);
        rest = rest.saturating_add(digits.next().unwrap_or(0));
    }
    let value = whole.checked_mul(100)?.checked_add(rest)?;
    u32::try_from(value).ok().map(Hundredths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &[u8] = b"MemTotal:       24684092 kB\nMemFree:        24388716 kB\n\
        MemAvailable:   24329772 kB\nBuffers:            2376 kB\nSwapCached:            4 kB\n\
        SwapTotal:       2097148 kB\nSwapFree:        1048574 kB\nHugePages_Total:       0\n";
    const STAT: &[u8] = b"cpu  7689 0 2105 185626 258 0 18 11 0 0\ncpu0 3628 0 859 93342 57 0 2 4 0 0\n\
        cpu1 4061 0 1245 92283 201 0 15 7 0 0\nintr 130701 0 0 0\nctxt 5\ncpufreq 3\nprocesses 7266\n";
    const PRESSURE: &[u8] = b"some avg10=4.65 avg60=1.68 avg300=0.63 total=6599732\n\
        full avg10=0.36 avg60=0.06 avg300=0.07 total=1820298\n";

    fn read<F: Figures>(parts: &[&[u8]]) -> Text<F> {
        let mut text = Text::new();
        text.call = Call::Wanted;
        text.call.ask(crate::time::Instant::ZERO);
        for part in parts {
            text.part(part);
        }
        text.end(Ok(()));
        text
    }

    /// Reads the text split at each byte; `check` must hold for all.
    fn read_split<F: Figures>(text: &[u8], check: impl Fn(&F)) {
        for at in 0..=text.len() {
            check(
                read::<F>(&[&text[..at], &text[at..]])
                    .figures()
                    .expect("it was read"),
            );
        }
    }

    #[test]
    fn memory_and_swap_are_found_wherever_the_text_is_split() {
        read_split::<MemInfo>(MEMINFO, |figures| {
            assert_eq!(figures.total, Some(24_684_092));
            assert_eq!(figures.available, Some(24_329_772));
            assert_eq!(figures.swap_total, Some(2_097_148));
            assert_eq!(figures.swap_free, Some(1_048_574));
        });
    }

    /// Only `cpu` with a number counts: neither the sum nor a word that begins alike, and no line is too long.
    #[test]
    fn cores_are_the_numbered_lines() {
        read_split::<Cores>(STAT, |figures| assert_eq!(figures.count, 2));
        let zeros = [b'0'; 100_000];
        let text = read::<Cores>(&[b"cpu0 1\nintr ", &zeros, b"\ncpu1 1\nintr cpu2 1\n"]);
        assert_eq!(text.figures().map(|figures| figures.count), Ok(2));
    }

    #[test]
    fn load_handles_and_pressure_are_found_wherever_the_text_is_split() {
        read_split::<LoadAvg>(b"0.16 0.11 10.07 2/99 7266\n", |figures| {
            assert_eq!(figures.fifteen, Some(Hundredths(1_007)));
        });
        read_split::<FileNr>(b"639\t39\t2466177\n", |figures| {
            assert_eq!((figures.used, figures.most), (Some(600), Some(2_466_177)));
        });
        read_split::<Pressure>(PRESSURE, |figures| {
            assert_eq!(figures.some, Some(Hundredths(168)));
            assert_eq!(figures.full, Some(Hundredths(6)));
        });
    }

    /// A last line counts without its end: nobody promises one.
    #[test]
    fn a_text_may_end_without_a_line_end() {
        let text = read::<LoadAvg>(&[b"1 2 3"]);
        assert_eq!(
            text.figures().map(|figures| figures.fifteen),
            Ok(Some(Hundredths(300)))
        );
    }

    /// Kernels before 5.13 have no `full` line for the CPU.
    #[test]
    fn what_is_not_there_or_is_nonsense_is_missing() {
        let old = read::<Pressure>(&[b"some avg10=1.00 avg60=2.00 avg300=3.00 total=4\n"]);
        assert_eq!(old.figures().map(|figures| figures.full), Ok(None));
        let empty = read::<MemInfo>(&[]);
        assert_eq!(empty.figures().map(|figures| figures.total), Ok(None));
        let wrong =
            read::<MemInfo>(&[b"MemTotal: many kB\nMemAvailable:\nSwapTotal: 99999999999999999999 kB\n"]);
        let figures = wrong.figures().expect("it was read");
        assert_eq!(
            (figures.total, figures.available, figures.swap_total),
            (None, None, None)
        );
        let less = read::<FileNr>(&[b"1 2 3\n"]);
        assert_eq!(less.figures().map(|figures| figures.used), Ok(None));
        for load in [
            &b"1 2 -3"[..],
            b"1 2 nan",
            b"1 2 inf",
            b"1 2 3.x",
            b"1 2 .5",
            b"1 2",
            b"\0\0\0",
        ] {
            let text = read::<LoadAvg>(&[load]);
            assert_eq!(text.figures().map(|figures| figures.fifteen), Ok(None));
        }
    }

    #[test]
    fn a_fault_leaves_no_figures() {
        let mut text = Text::<MemInfo>::new();
        text.call = Call::Wanted;
        assert!(text.figures().is_err());
        text.call.ask(crate::time::Instant::ZERO);
        text.part(MEMINFO);
        text.end(Err(FileFault::Os(5)));
        assert_eq!(text.figures().map(|_| ()), Err(Missing::Fault(FileFault::Os(5))));
    }

    #[test]
    fn hundredths_have_two_decimals() {
        assert_eq!(hundredths(b"1.7"), Some(Hundredths(170)));
        assert_eq!(hundredths(b"1.799"), Some(Hundredths(179)));
        assert_eq!(hundredths(b"1."), None);
        assert_eq!(hundredths(b"99999999999"), None);
    }
}
