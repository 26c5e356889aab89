use crate::error::TrainError;

/// Bad rows: the first few in words, the others counted.
#[derive(Debug, Default)]
pub struct Problems {
    shown: Vec<String>,
    total: u64,
}

impl Problems {
    /// More than this many teach nothing new, and the report has to stay small.
    const SHOWN: usize = 10;

    pub fn add(&mut self, problem: impl FnOnce() -> String) {
        self.total += 1;
        if self.shown.len() < Self::SHOWN {
            self.shown.push(problem());
        }
    }

    /// An error where anything was added.
    pub fn finish(self) -> Result<(), TrainError> {
        match self.total {
            0 => Ok(()),
            1 => Err(TrainError::data(self.shown.concat())),
            total => Err(TrainError::data(format!(
                "{}; {total} bad rows in all",
                self.shown.join("; ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_first_ten_and_the_total() {
        assert_eq!(Problems::default().finish(), Ok(()));

        let mut one = Problems::default();
        one.add(|| "a".into());
        assert_eq!(one.finish(), Err(TrainError::data("a")));

        let mut many = Problems::default();
        for number in 1..=33 {
            many.add(|| number.to_string());
        }
        assert_eq!(
            many.finish(),
            Err(TrainError::data(
                "1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 33 bad rows in all"
            ))
        );
    }
}
