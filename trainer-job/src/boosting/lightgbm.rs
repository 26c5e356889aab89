//! LightGBM's C functions, behind types that free what they hold and check every length before a
//! pointer crosses over: lightgbm3's safe wrapper cannot set query groups. The only module with
//! `unsafe` code of this crate.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_int, c_void},
    marker::PhantomData,
    ptr,
};

use lightgbm3_sys as sys;

use super::{BoostingError, Groups, Importance, Settings, rounded};

/// A `DatasetHandle` that is freed.
pub struct Dataset {
    handle: sys::DatasetHandle,
}

impl Dataset {
    pub fn new(
        groups: &Groups,
        settings: &Settings,
        text: &CStr,
        reference: Option<&Self>,
    ) -> Result<Self, BoostingError> {
        groups.check(settings.features.len())?;
        let mut handle = ptr::null_mut();
        // SAFETY: `check` proved that `values` holds rows × columns floats; LightGBM copies them
        // into bins before it returns. `reference` outlives the call.
        check(unsafe {
            sys::LGBM_DatasetCreateFromMat(
                groups.values.as_ptr().cast::<c_void>(),
                constant(sys::C_API_DTYPE_FLOAT32),
                length(groups.rows())?,
                length(groups.columns)?,
                1,
                text.as_ptr(),
                reference.map_or(ptr::null_mut(), |set| set.handle),
                &raw mut handle,
            )
        })?;
        let set = Self { handle };
        set.field(
            c"label",
            groups.labels.as_ptr().cast(),
            groups.labels.len(),
            sys::C_API_DTYPE_FLOAT32,
        )?;
        set.field(
            c"group",
            groups.sizes.as_ptr().cast(),
            groups.sizes.len(),
            sys::C_API_DTYPE_INT32,
        )?;
        if !groups.weights.is_empty() {
            set.field(
                c"weight",
                groups.weights.as_ptr().cast(),
                groups.weights.len(),
                sys::C_API_DTYPE_FLOAT32,
            )?;
        }
        if !groups.positions.is_empty() {
            set.field(
                c"position",
                groups.positions.as_ptr().cast(),
                groups.positions.len(),
                sys::C_API_DTYPE_INT32,
            )?;
        }
        set.name_features(settings.features)?;
        Ok(set)
    }

    /// `data` points to `count` elements of the named type.
    fn field(
        &self,
        name: &CStr,
        data: *const c_void,
        count: usize,
        kind: u32,
    ) -> Result<(), BoostingError> {
        // SAFETY: all callers pass the pointer and length of one live Vec of the type that `kind`
        // names; LightGBM copies the elements.
        check(unsafe {
            sys::LGBM_DatasetSetField(
                self.handle,
                name.as_ptr(),
                data,
                length(count)?,
                constant(kind),
            )
        })
    }

    fn name_features(&self, features: &[String]) -> Result<(), BoostingError> {
        let names: Vec<CString> = features
            .iter()
            .map(|name| c_string(name))
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: as many live, NUL-terminated strings as the count says; LightGBM copies them.
        check(unsafe {
            sys::LGBM_DatasetSetFeatureNames(
                self.handle,
                pointers.as_mut_ptr(),
                length(pointers.len())?,
            )
        })
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: the handle came from a successful create and is freed once. Nothing useful can be
        // done if that fails.
        unsafe { sys::LGBM_DatasetFree(self.handle) };
    }
}

/// A `BoosterHandle` that is freed. LightGBM keeps pointers to the datasets that it is given.
pub struct Booster<'data> {
    handle: sys::BoosterHandle,
    datasets: PhantomData<&'data Dataset>,
}

impl<'data> Booster<'data> {
    pub fn new(train_set: &'data Dataset, text: &CStr) -> Result<Self, BoostingError> {
        let mut handle = ptr::null_mut();
        // SAFETY: a live dataset and a NUL-terminated string.
        check(unsafe {
            sys::LGBM_BoosterCreate(train_set.handle, text.as_ptr(), &raw mut handle)
        })?;
        Ok(Self {
            handle,
            datasets: PhantomData,
        })
    }

    pub fn add_validation(&self, set: &'data Dataset) -> Result<(), BoostingError> {
        // SAFETY: both handles are live, and the dataset outlives the booster.
        check(unsafe { sys::LGBM_BoosterAddValidData(self.handle, set.handle) })
    }

    /// Grows one tree; true when no split was found.
    pub fn update(&self) -> Result<bool, BoostingError> {
        let mut finished: c_int = 0;
        // SAFETY: a live handle and an out-pointer.
        check(unsafe { sys::LGBM_BoosterUpdateOneIter(self.handle, &raw mut finished) })?;
        Ok(finished != 0)
    }

    /// The raw score of every validation row.
    pub fn validation_scores(&self, rows: usize) -> Result<Vec<f64>, BoostingError> {
        self.scores(1, rows)
    }

    /// The raw score of every training row.
    pub fn training_scores(&self, rows: usize) -> Result<Vec<f64>, BoostingError> {
        self.scores(0, rows)
    }

    /// `set` counts the training set as 0 and those of [`Self::add_validation`] from 1.
    fn scores(&self, set: c_int, rows: usize) -> Result<Vec<f64>, BoostingError> {
        let mut count = 0_i64;
        // SAFETY: a live handle and an out-pointer; LightGBM checks the number of the set.
        check(unsafe { sys::LGBM_BoosterGetNumPredict(self.handle, set, &raw mut count) })?;
        if usize::try_from(count) != Ok(rows) {
            return Err(BoostingError::Shape(format!(
                "{count} scores of set {set} for {rows} rows"
            )));
        }
        let mut scores = vec![0.0_f64; rows];
        // SAFETY: `scores` has room for the count that LightGBM has just told.
        check(unsafe {
            sys::LGBM_BoosterGetPredict(self.handle, set, &raw mut count, scores.as_mut_ptr())
        })?;
        Ok(scores)
    }

    pub fn save(&self, trees: u32) -> Result<String, BoostingError> {
        let mut room = 1 << 20;
        loop {
            let mut buffer = vec![0_u8; room];
            let mut needed = 0_i64;
            // SAFETY: the buffer has as many bytes as the length argument says; LightGBM writes
            // nothing when its text, NUL included, is longer.
            check(unsafe {
                sys::LGBM_BoosterSaveModelToString(
                    self.handle,
                    0,
                    length(trees as usize)?,
                    constant(sys::C_API_FEATURE_IMPORTANCE_SPLIT),
                    i64::try_from(room).expect("a buffer is shorter than 2^63"),
                    &raw mut needed,
                    buffer.as_mut_ptr().cast(),
                )
            })?;
            let needed = usize::try_from(needed).unwrap_or_default();
            if needed > room {
                room = needed;
                continue;
            }
            buffer.truncate(needed.saturating_sub(1));
            let text = String::from_utf8(buffer)
                .map_err(|_| BoostingError::Shape("the model text is not UTF-8".into()))?;
            return Ok(without_threads(&text));
        }
    }

    pub fn importance(
        &self,
        trees: u32,
        features: &[String],
    ) -> Result<Vec<Importance>, BoostingError> {
        let of_kind = |kind: u32| -> Result<Vec<f64>, BoostingError> {
            let mut values = vec![0.0_f64; features.len()];
            // SAFETY: one f64 a feature of the dataset, whose width was checked to be this one.
            check(unsafe {
                sys::LGBM_BoosterFeatureImportance(
                    self.handle,
                    length(trees as usize)?,
                    constant(kind),
                    values.as_mut_ptr(),
                )
            })?;
            Ok(values)
        };
        let splits = of_kind(sys::C_API_FEATURE_IMPORTANCE_SPLIT)?;
        let gains = of_kind(sys::C_API_FEATURE_IMPORTANCE_GAIN)?;
        let one = |((feature, splits), gain): ((&String, f64), f64)| Importance {
            feature: feature.clone(),
            splits: splits as u64,
            gain: rounded(gain),
        };
        Ok(features.iter().zip(splits).zip(gains).map(one).collect())
    }
}

impl Drop for Booster<'_> {
    fn drop(&mut self) {
        // SAFETY: as for a dataset.
        unsafe { sys::LGBM_BoosterFree(self.handle) };
    }
}

/// The text tells every parameter; the number of threads is the only one that is not the model's.
fn without_threads(text: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| !line.starts_with("[num_threads:"))
        .collect()
}

fn check(code: c_int) -> Result<(), BoostingError> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: LightGBM returns a NUL-terminated string of this thread, valid until its next call.
    let message = unsafe { CStr::from_ptr(sys::LGBM_GetLastError()) };
    Err(BoostingError::Refused(
        message.to_string_lossy().into_owned(),
    ))
}

pub fn c_string(text: &str) -> Result<CString, BoostingError> {
    CString::new(text).map_err(|_| BoostingError::Shape("a text holds a NUL byte".into()))
}

fn length(count: usize) -> Result<i32, BoostingError> {
    i32::try_from(count)
        .map_err(|_| BoostingError::Shape(format!("{count} is more than LightGBM counts to")))
}

/// The C header's constants are `int` there and `u32` here.
fn constant(value: u32) -> c_int {
    c_int::try_from(value).expect("LightGBM's constants are small")
}
