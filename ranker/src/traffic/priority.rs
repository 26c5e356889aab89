//! How much of the processor a thread may ask for.

#![allow(unsafe_code, reason = "the one place that sets a thread's priority")]

use std::io;

/// From here on this thread only takes what no other one of the machine wants. It must not wait with a
/// lock in hand that others need.
pub fn give_way() -> io::Result<()> {
    const NICEST: libc::c_int = 19;
    // For Linux, 0 is the calling thread.
    // SAFETY: the call takes numbers and touches no memory of this program.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS as _, 0, NICEST) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    fn niceness() -> i64 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields
            .split_ascii_whitespace()
            .nth(16)
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn one_thread_gives_way_and_no_other() {
        let before = niceness();
        let after = thread::spawn(|| {
            give_way().unwrap();
            niceness()
        });
        assert_eq!(after.join().unwrap(), 19);
        assert_eq!(niceness(), before);
    }
}
