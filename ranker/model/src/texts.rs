//! The forward index: of each item, the terms of its text in their order, as numbers of the
//! lexicon. Features read it through [`TextView`], which borrows; training and serving read the
//! same bytes.

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use crate::{
    item::{ItemFields, NO_FIELDS},
    lexicon::{Lexicon, LexiconBuilder},
    tables::{
        file::{Section, TableBytes, TableFile, to_file},
        keyed::touch,
    },
    text::{Analyzer, fold, leaf, name, words},
};

/// Only the first terms of a field count.
pub const MAX_LIST_TERMS: usize = 0xfffe;
/// The length of a list that is not there.
const MISSING: u16 = 0xffff;
/// Rows start at multiples of this.
const UNIT: usize = 4;
const KIND: [u8; 4] = *b"text";
/// What the words of a brand's name stand behind.
pub(crate) const BRAND_MARK: char = '@';
/// The same for a category's.
const CATEGORY_MARK: char = '>';

/// A field of an item that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    Title,
    Description,
    BulletPoints,
    Brand,
    Color,
    Category,
}

const TEXT_FIELDS: usize = TextField::ALL.len();

impl TextField {
    pub const ALL: [Self; 6] = [
        Self::Title,
        Self::Description,
        Self::BulletPoints,
        Self::Brand,
        Self::Color,
        Self::Category,
    ];

    fn of(self, fields: &ItemFields) -> Option<&str> {
        match self {
            Self::Title => fields.title.as_deref(),
            Self::Description => fields.description.as_deref(),
            Self::BulletPoints => fields.bullet_points.as_deref(),
            Self::Brand => fields.brand.as_deref(),
            Self::Color => fields.color.as_deref(),
            Self::Category => fields.category.as_deref(),
        }
    }
}

/// A way in which a field of an item is analysed into terms; the index keeps a list for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermList {
    Title,
    /// The part of the title that names the thing itself.
    TitleHead,
    Description,
    BulletPoints,
    Brand,
    /// One term, the whole brand.
    BrandName,
    Color,
    Category,
    /// One term, the last step of the category's path.
    CategoryLeaf,
}

/// Number of [`TermList`]s.
pub const TERM_LISTS: usize = TermList::ALL.len();

impl TermList {
    pub const ALL: [Self; 9] = [
        Self::Title,
        Self::TitleHead,
        Self::Description,
        Self::BulletPoints,
        Self::Brand,
        Self::BrandName,
        Self::Color,
        Self::Category,
        Self::CategoryLeaf,
    ];

    /// The field that is analysed.
    pub fn field(self) -> TextField {
        match self {
            Self::Title | Self::TitleHead => TextField::Title,
            Self::Description => TextField::Description,
            Self::BulletPoints => TextField::BulletPoints,
            Self::Brand | Self::BrandName => TextField::Brand,
            Self::Color => TextField::Color,
            Self::Category | Self::CategoryLeaf => TextField::Category,
        }
    }

    /// Its terms.
    fn analyse(self, analyzer: &Analyzer, text: &str) -> Vec<String> {
        match self {
            Self::TitleHead => analyzer.head_tokens(text),
            Self::BrandName => name_term(BRAND_MARK, &fold(text)),
            Self::CategoryLeaf => name_term(CATEGORY_MARK, leaf(&fold(text))),
            _ => analyzer.tokens(text),
        }
    }
}

/// No term for text without a word.
fn name_term(mark: char, folded: &str) -> Vec<String> {
    let name = name(mark, words(folded));
    (!name.is_empty()).then_some(name).into_iter().collect()
}

/// A term's number: its row in the lexicon, or a number of its own where the lexicon lacks it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct TermId(U32);

impl TermId {
    /// A term that neither the lexicon nor the query has.
    pub(crate) const OTHER: Self = Self(U32::new(u32::MAX));

    pub(crate) fn new(row: usize) -> Self {
        Self(U32::new(u32::try_from(row).unwrap_or(u32::MAX)))
    }

    /// The number of the query's own term `index`, which the lexicon lacks.
    pub(crate) fn of_query(index: usize) -> Self {
        Self::new(u32::MAX as usize - 1 - index)
    }

    /// Its row in the lexicon, if it has one there.
    pub fn row(self) -> usize {
        self.0.get() as usize
    }
}

/// An item's text as features read it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextView<'a> {
    lists: [Option<&'a [TermId]>; TERM_LISTS],
    title: Option<&'a str>,
    /// Of the text as it was before its analysis, by [`TextField`].
    hashes: Option<&'a [U64; TEXT_FIELDS]>,
}

impl<'a> TextView<'a> {
    /// Terms in the order of the text; `None` where the item lacks the field.
    pub fn terms(&self, list: TermList) -> Option<&'a [TermId]> {
        self.lists[list as usize]
    }

    /// The title as [`Analyzer::query_key`] writes it.
    pub fn title(&self) -> Option<&'a str> {
        self.title
    }

    /// The only term of a list of names.
    pub(crate) fn name(&self, list: TermList) -> Option<TermId> {
        self.terms(list)?.first().copied()
    }

    /// Whether a list has a term.
    pub(crate) fn has(&self, list: TermList, term: TermId) -> bool {
        self.terms(list).is_some_and(|terms| terms.contains(&term))
    }

    /// How often a term occurs in each list.
    pub(crate) fn counts(&self, term: TermId) -> [u32; TERM_LISTS] {
        self.lists.map(|list| {
            let list = list.unwrap_or_default();
            list.iter().map(|other| u32::from(*other == term)).sum()
        })
    }

    /// Terms in each list.
    pub(crate) fn lengths(&self) -> [u32; TERM_LISTS] {
        self.lists
            .map(|list| list.map_or(0, |list| list.len() as u32))
    }

    /// This text, and the fields of `table` where one is missing.
    pub(crate) fn or(self, table: Self) -> Self {
        let mut lists = self.lists;
        for (own, other) in lists.iter_mut().zip(table.lists) {
            *own = own.or(other);
        }
        Self {
            lists,
            title: self.title.or(table.title),
            hashes: None,
        }
    }

    /// Whether this was made of that `text` in that `field`. (Were two texts to have one hash of 64
    /// bits, the request would be served with the table's own.)
    fn is_of(&self, field: TextField, text: &str) -> bool {
        self.hashes
            .is_some_and(|hashes| hashes[field as usize] == hash(Some(text)))
    }

    /// The row of the index that starts `bytes`; `None` where they end too early.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, mut rest) = Head::ref_from_prefix(bytes).ok()?;
        let mut view = Self {
            hashes: Some(&head.hashes),
            ..Self::default()
        };
        for (list, terms) in view.lists.iter_mut().zip(head.terms) {
            if terms.get() != MISSING {
                let (terms, after) =
                    <[TermId]>::ref_from_prefix_with_elems(rest, terms.get().into()).ok()?;
                (*list, rest) = (Some(terms), after);
            }
        }
        if head.title.get() != MISSING {
            let title = rest.get(..head.title.get().into())?;
            view.title = Some(std::str::from_utf8(title).ok()?);
        }
        Some(view)
    }
}

/// The hash of a field's text, never 0; 0 for a field that is not there.
fn hash(text: Option<&str>) -> U64 {
    U64::new(text.map_or(0, |text| xxh3_64(text.as_bytes()).max(1)))
}

/// An item's text, analysed; made for items that no index has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalysedText {
    lists: [Option<Vec<TermId>>; TERM_LISTS],
    title: Option<String>,
}

impl AnalysedText {
    /// Analyses the fields that `known` was not made of; `number` tells each term's number.
    pub(crate) fn new(
        analyzer: &Analyzer,
        fields: &ItemFields,
        known: &TextView,
        mut number: impl FnMut(&str) -> TermId,
    ) -> Self {
        let new = TextField::ALL.map(|field| {
            let text = field.of(fields);
            text.filter(|text| !known.is_of(field, text))
        });
        let lists = TermList::ALL.map(|list| {
            let terms = list.analyse(analyzer, new[list.field() as usize]?);
            let terms = terms.iter().take(MAX_LIST_TERMS);
            Some(terms.map(|term| number(term)).collect())
        });
        let title = new[TextField::Title as usize].map(|title| {
            let mut key = analyzer.query_key(title);
            key.truncate(key.floor_char_boundary(MAX_LIST_TERMS));
            key
        });
        Self { lists, title }
    }

    pub fn view(&self) -> TextView<'_> {
        TextView {
            lists: self.lists.each_ref().map(Option::as_deref),
            title: self.title.as_deref(),
            hashes: None,
        }
    }
}

/// What a row of the index starts with: the hashes of its fields, the length of each list and that of
/// the title in bytes.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    hashes: [U64; TEXT_FIELDS],
    terms: [U16; TERM_LISTS],
    title: U16,
}

/// Texts of many items, by row.
pub struct Texts {
    file: TableFile,
    /// Where each row starts and the last one ends, in [`UNIT`]s.
    starts: Section<U32>,
    rows: Section<u8>,
}

impl Texts {
    /// Analyses the text of items, in their order, and counts the lexicon over them; `None` makes a
    /// row without text that is not counted. Errors say which limit was passed.
    pub fn build<'a>(
        analyzer: &Analyzer,
        items: impl IntoIterator<Item = Option<&'a ItemFields>>,
    ) -> Result<(Self, Lexicon), String> {
        let mut lexicon = LexiconBuilder::default();
        let mut heads = Vec::new();
        let mut texts = Vec::new();
        for item in items {
            let fields = item.unwrap_or(&NO_FIELDS);
            let number = |term: &str| lexicon.number(term);
            let text = AnalysedText::new(analyzer, fields, &TextView::default(), number);
            if item.is_some() {
                lexicon.count(&text.view());
            }
            heads.push(Head::new(fields, &text.view()));
            texts.push(text);
        }
        let (lexicon, numbers) = lexicon.finish()?;
        let mut starts = vec![U32::new(0)];
        let mut rows = Vec::new();
        for (head, text) in heads.iter().zip(&texts) {
            head.write(&text.view(), &numbers, &mut rows);
            let end = u32::try_from(rows.len() / UNIT)
                .map_err(|_| format!("the text of row {} ends beyond 16 GiB", starts.len() - 1))?;
            starts.push(end.into());
        }
        let bytes = to_file(KIND, &[starts.as_bytes(), &rows]);
        Ok((Self::open(bytes.into())?, lexicon))
    }

    pub(crate) fn open(bytes: TableBytes) -> Result<Self, String> {
        let file = TableFile::open(bytes, KIND, 2)?;
        let texts = Self {
            starts: file.section(0)?,
            rows: file.section(1)?,
            file,
        };
        match (0..texts.len()).find(|row| texts.get(*row).is_none()) {
            Some(row) => Err(format!("row {row}: the text is damaged")),
            None => Ok(texts),
        }
    }

    pub(crate) fn file(&self) -> &TableFile {
        &self.file
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.file.records(&self.starts).len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row's text; `None` beyond the last row.
    pub fn get(&self, row: usize) -> Option<TextView<'_>> {
        TextView::parse(self.bytes(row)?)
    }

    fn bytes(&self, row: usize) -> Option<&[u8]> {
        let ends = self.file.records(&self.starts).get(row..row + 2)?;
        let (start, end) = (ends[0].get() as usize, ends[1].get() as usize);
        self.file.records(&self.rows).get(start * UNIT..end * UNIT)
    }

    /// Has the memory of these rows fetched, so that getting one after the other does not wait.
    pub(crate) fn touch(&self, rows: impl Iterator<Item = usize>) {
        let pieces: Vec<&[u8]> = rows.filter_map(|row| self.bytes(row)).collect();
        touch(pieces.into_iter());
    }
}

impl Head {
    fn new(fields: &ItemFields, text: &TextView) -> Self {
        let length =
            |length: Option<usize>| U16::new(length.map_or(MISSING, |length| length as u16));
        Self {
            hashes: TextField::ALL.map(|field| hash(field.of(fields))),
            terms: text.lists.map(|list| length(list.map(<[_]>::len))),
            title: length(text.title.map(str::len)),
        }
    }

    /// Writes the row of this text; `numbers` are the final ones of the terms.
    fn write(&self, text: &TextView, numbers: &[TermId], rows: &mut Vec<u8>) {
        rows.extend_from_slice(self.as_bytes());
        for term in text.lists.into_iter().flatten().flatten() {
            rows.extend_from_slice(numbers[term.row()].as_bytes());
        }
        rows.extend_from_slice(text.title.unwrap_or_default().as_bytes());
        rows.resize(rows.len().next_multiple_of(UNIT), 0);
    }
}
