#![allow(unsafe_code)]

/// A moment on this thread's CPU clock. Reading it costs some 0.2 µs, which are not taken off.
pub struct CpuTime(f64);

impl CpuTime {
    pub fn now() -> Self {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: an out-pointer.
        let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(code, 0, "the thread has no CPU clock");
        Self(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
    }

    /// Since this moment.
    pub fn nanos(&self) -> f64 {
        Self::now().0 - self.0
    }
}
