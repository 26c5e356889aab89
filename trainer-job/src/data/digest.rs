//! One hash over all that a model learns from.

use std::io::{self, Write};

use polars::prelude::{ParquetCompression, ParquetWriter};
use searchop_contract::Digest;
use sha2::{Digest as _, Sha256};

use super::Dataset;

impl Dataset {
    /// The same catalogue, cleaned events, days and grades have the same digest. The events are hashed
    /// as the bytes of a Parquet file, so a release with another writer of those sees other data.
    pub fn digest(&self) -> Digest {
        let mut hashed = Hashed(Sha256::new());
        let days = (self.window.first_day, self.window.last_day);
        hashed.json(&days);
        for product in &self.products {
            hashed.json(&(&product.id, &product.fields));
        }
        for column in &self.declared.items.columns {
            hashed.json(column);
        }
        let values = self.declared.items.values.iter();
        values.for_each(|value| hashed.0.update(value.to_le_bytes()));
        for judgment in &self.judgments.all {
            hashed.json(&(&judgment.query, &judgment.item, judgment.rating));
        }
        ParquetWriter::new(&mut hashed)
            .with_compression(ParquetCompression::Uncompressed)
            .finish(&mut self.events.clone())
            .expect("a hash takes all bytes");
        let hex: String = hashed
            .0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("sha256:{hex}")
            .parse()
            .expect("a sha256 is a digest")
    }
}

struct Hashed(Sha256);

impl Hashed {
    fn json(&mut self, value: &impl serde::Serialize) {
        serde_json::to_writer(self, value).expect("fields have string keys");
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
