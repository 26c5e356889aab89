//! LightGBM's C calls without a wrapper's cost: one thread, f32 rows, raw scores.
#![allow(unsafe_code)]

use std::{
    ffi::{CString, c_int, c_void},
    ptr,
};

use lightgbm3_sys as sys;

const F32: c_int = sys::C_API_DTYPE_FLOAT32 as c_int;
const RAW: c_int = sys::C_API_PREDICT_RAW_SCORE as c_int;
const ONE_THREAD: &std::ffi::CStr = c"num_threads=1";

pub struct Booster {
    handle: sys::BoosterHandle,
    /// What `SingleRowFast` prepares.
    fast: sys::FastConfigHandle,
    columns: c_int,
}

impl Booster {
    pub fn new(text: &str, columns: usize) -> Self {
        let text = CString::new(text).unwrap();
        let columns = c_int::try_from(columns).unwrap();
        let (mut handle, mut fast) = (ptr::null_mut(), ptr::null_mut());
        let mut iterations = 0;
        // SAFETY: a NUL-terminated string and out-pointers.
        check(unsafe {
            sys::LGBM_BoosterLoadModelFromString(
                text.as_ptr(),
                &raw mut iterations,
                &raw mut handle,
            )
        });
        // SAFETY: a live handle, a NUL-terminated string and an out-pointer.
        check(unsafe {
            sys::LGBM_BoosterPredictForMatSingleRowFastInit(
                handle,
                RAW,
                0,
                0,
                F32,
                columns,
                ONE_THREAD.as_ptr(),
                &raw mut fast,
            )
        });
        Self {
            handle,
            fast,
            columns,
        }
    }

    /// `PredictForMat`: all rows in one call.
    pub fn matrix(&self, values: &[f32], scores: &mut [f64]) {
        assert_eq!(values.len(), scores.len() * self.columns as usize);
        let mut length = 0;
        // SAFETY: as many rows of `columns` values as there are scores to write.
        check(unsafe {
            sys::LGBM_BoosterPredictForMat(
                self.handle,
                values.as_ptr().cast::<c_void>(),
                F32,
                c_int::try_from(scores.len()).unwrap(),
                self.columns,
                1,
                RAW,
                0,
                0,
                ONE_THREAD.as_ptr(),
                &raw mut length,
                scores.as_mut_ptr(),
            )
        });
    }

    /// `PredictForMatSingleRowFast`, a call for each row.
    pub fn single_rows(&self, values: &[f32], scores: &mut [f64]) {
        assert_eq!(values.len(), scores.len() * self.columns as usize);
        let mut length = 0;
        for (row, score) in values.chunks_exact(self.columns as usize).zip(scores) {
            // SAFETY: one row of `columns` values and one score to write.
            check(unsafe {
                sys::LGBM_BoosterPredictForMatSingleRowFast(
                    self.fast,
                    row.as_ptr().cast::<c_void>(),
                    &raw mut length,
                    score,
                )
            });
        }
    }
}

impl Drop for Booster {
    fn drop(&mut self) {
        // SAFETY: both came from successful calls and are freed once.
        unsafe {
            sys::LGBM_FastConfigFree(self.fast);
            sys::LGBM_BoosterFree(self.handle);
        }
    }
}

fn check(code: c_int) {
    assert_eq!(code, 0, "LightGBM refused a call");
}
