//! The container of the binary tables: a header, then sections of records of one size each, all
//! little-endian and each section on a boundary of [`ALIGNMENT`] bytes. Any bytes are valid
//! records, so what can be wrong is where sections lie; that is checked once, when a file opens.

use std::{marker::PhantomData, ops::Range};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

pub(crate) use super::bytes::TableBytes;

/// A cache line.
const ALIGNMENT: usize = 64;
const MAGIC: [u8; 8] = *b"SearchOp";

/// Something that a section holds: plain bytes without padding or invalid values.
pub(crate) trait Record:
    FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned
{
}
impl<T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned> Record for T {}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    kind: [u8; 4],
    sections: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Place {
    start: U64,
    bytes: U64,
}

/// A section of `T`s in a [`TableFile`].
pub(crate) struct Section<T> {
    place: Range<usize>,
    records: PhantomData<fn() -> T>,
}

/// A table's bytes with the places of its sections.
pub(crate) struct TableFile {
    bytes: TableBytes,
    sections: Vec<Range<usize>>,
}

impl TableFile {
    /// `kind` is what the file must say that it is, `sections` how many it must have.
    pub(crate) fn open(bytes: TableBytes, kind: [u8; 4], sections: usize) -> Result<Self, String> {
        let (header, rest) =
            Header::ref_from_prefix(&bytes).map_err(|_| "is shorter than its header")?;
        if header.magic != MAGIC || header.kind != kind {
            let kind = String::from_utf8_lossy(&kind).into_owned();
            return Err(format!("is not a table of kind {kind:?}"));
        }
        if header.sections.get() as usize != sections {
            let found = header.sections;
            return Err(format!("has {found} sections, expected {sections}"));
        }
        let (places, _) = <[Place]>::ref_from_prefix_with_elems(rest, sections)
            .map_err(|_| "is shorter than its list of sections")?;
        let sections = places
            .iter()
            .enumerate()
            .map(|(index, place)| place.range(bytes.len()).ok_or(index))
            .collect::<Result<_, usize>>()
            .map_err(|index| format!("section {index} lies outside of the file"))?;
        Ok(Self { bytes, sections })
    }

    /// Section number `index`, if it is a whole number of `T`s.
    pub(crate) fn section<T: Record>(&self, index: usize) -> Result<Section<T>, String> {
        let place = self.sections[index].clone();
        if !place.len().is_multiple_of(size_of::<T>()) {
            let (bytes, size) = (place.len(), size_of::<T>());
            return Err(format!(
                "section {index} has {bytes} bytes, its records have {size} each"
            ));
        }
        Ok(Section {
            place,
            records: PhantomData,
        })
    }

    /// The records of a section of this file.
    pub(crate) fn records<T: Record>(&self, section: &Section<T>) -> &[T] {
        let bytes = self.bytes.get(section.place.clone()).unwrap_or_default();
        <[T]>::ref_from_bytes(bytes).unwrap_or_default()
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Place {
    fn range(&self, file: usize) -> Option<Range<usize>> {
        let start = usize::try_from(self.start.get()).ok()?;
        let end = start.checked_add(usize::try_from(self.bytes.get()).ok()?)?;
        (end <= file).then_some(start..end)
    }
}

/// Puts sections into one file, in their order.
pub(crate) fn to_file(kind: [u8; 4], sections: &[&[u8]]) -> Vec<u8> {
    let head = size_of::<Header>() + sections.len() * size_of::<Place>();
    let mut places = Vec::with_capacity(sections.len());
    let mut end = head;
    for section in sections {
        let start = end.next_multiple_of(ALIGNMENT);
        end = start + section.len();
        places.push(Place {
            start: (start as u64).into(),
            bytes: (section.len() as u64).into(),
        });
    }
    let header = Header {
        magic: MAGIC,
        kind,
        sections: (sections.len() as u32).into(),
    };
    let mut bytes = Vec::with_capacity(end);
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(places.as_bytes());
    for section in sections {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend_from_slice(section);
    }
    bytes
}
