//! How many threads LightGBM may use. Its own default is the machine's core count, which inside a
//! container with a CPU limit makes training many times slower: the surplus threads spin at
//! barriers while the kernel holds them back.

use std::num::NonZero;

use searchop_contract::names::CPU_LIMIT_ENV;

/// The variable is set but says no CPU limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{CPU_LIMIT_ENV} is {0:?}, expected a whole number of thousandths of a CPU, as in 2000")]
pub struct CpuLimitError(String);

/// Threads for this process.
pub fn allowed() -> Result<usize, CpuLimitError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    within(std::env::var(CPU_LIMIT_ENV).ok().as_deref(), cores)
}

/// The limit in whole CPUs, rounded down, at least one; the machine's `cores` without a limit.
/// A limit above the machine's size cannot be used, so `cores` also caps it.
fn within(limit_millis: Option<&str>, cores: usize) -> Result<usize, CpuLimitError> {
    let Some(text) = limit_millis.filter(|text| !text.is_empty()) else {
        return Ok(cores);
    };
    let millis: usize = text
        .trim()
        .parse()
        .map_err(|_| CpuLimitError(text.to_owned()))?;
    Ok((millis / 1000).clamp(1, cores.max(1)))
}

/// Of the `allowed` threads, those that `rows` training rows keep busy. Fewer rows gain nothing from
/// a second thread, and lose a lot where something else wants that core. The model is the same
/// either way.
pub fn useful(allowed: usize, rows: usize) -> usize {
    const ROWS_A_THREAD: usize = 100_000;
    allowed.clamp(1, 1 + rows / ROWS_A_THREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_down_and_never_to_none() {
        for (limit, cores, want) in [
            (None, 8, 8),
            (Some(""), 8, 8),
            (Some("4000"), 8, 4),
            (Some("3999"), 8, 3),
            (Some("1500"), 8, 1),
            (Some("250"), 8, 1),
            (Some("0"), 8, 1),
            (Some("64000"), 8, 8),
        ] {
            assert_eq!(within(limit, cores), Ok(want), "{limit:?}");
        }
        let error = within(Some("2 cores"), 8).unwrap_err().to_string();
        assert!(
            error.contains("SEARCHOP_CPU_LIMIT_MILLIS is \"2 cores\""),
            "{error}"
        );
    }

    #[test]
    fn small_data_use_one_thread() {
        assert_eq!(
            [
                useful(8, 60_000),
                useful(8, 250_000),
                useful(2, 10_000_000),
                useful(0, 5)
            ],
            [1, 3, 2, 1]
        );
    }
}
