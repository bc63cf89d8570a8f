//! Segments: immutable bundles of passages with their index and vectors, one blob each.
//!
//! A bundle is [`MAGIC`], the length of its table of contents (`u32`, little endian), the table as
//! JSON, then its files one after the other:
//!
//! | file | what |
//! |---|---|
//! | `documents` | JSON lines, zstd: each document's path, metadata and rows |
//! | `ids` | the passages' ids, 32 bytes each |
//! | `chunks`, `blocks` | JSON lines in zstd frames of [`BLOCK`] passages; where each frame ends (`u32`) |
//! | `vec.f32`, `vec.i8` | vectors, if the passages were embedded |
//! | all others | the index's own |
//!
//! Row *i* of every table is document *i* of the index. An open segment is its bytes and little
//! else: files are slices of them, and passages are unpacked when they are found.

mod files;
mod rewrite;
mod vectors;

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use release::Digest;
use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, OwnedBytes, RamDirectory};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{Index, IndexSettings, InvertedIndexReader, ReloadPolicy, TantivyDocument};

use crate::KnowledgeError;
use crate::analyse::terms;
use crate::chunk::{Chunk, Surrounding, surrounding};
use crate::document::Metadata;

use files::Files;
pub use rewrite::rewrite;
pub use vectors::{Matrix, SmallQuery, Vectors, normalise};

/// First bytes of a segment.
const MAGIC: &[u8; 8] = b"GCSEGM03";
const DOCUMENTS: &str = "documents";
const IDS: &str = "ids";
const CHUNKS: &str = "chunks";
const BLOCKS: &str = "blocks";
const EXACT: &str = "vec.f32";
const SMALL: &str = "vec.i8";
/// How many passages are packed together.
const BLOCK: usize = 16;
/// Memory that building an index may take.
const BUILD_MEMORY: usize = 64 << 20;
/// How hard passages are compressed.
const LEVEL: i32 = 3;

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    rows: u32,
    /// Of its vectors, if it has any.
    dimension: Option<usize>,
    files: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileEntry {
    name: String,
    length: usize,
    digest: Digest,
}

/// A document's passages on their way into a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The document's path.
    pub path: String,
    /// What filters can ask of it.
    pub metadata: Metadata,
    /// Its passages, in order.
    pub chunks: Vec<Chunk>,
}

/// A document of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentRows {
    /// Its path.
    pub path: String,
    /// What filters can ask of it.
    pub metadata: Metadata,
    /// Its passages' rows.
    pub rows: Range<u32>,
}

/// The field that is searched: title, headings and text, analysed.
fn schema() -> (Schema, Field) {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(true);
    let field =
        builder.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    (builder.build(), field)
}

/// Builds a segment of `documents`, in their order, with a vector for each passage if they were
/// embedded.
pub fn build(documents: &[Cut], vectors: Option<&Matrix>) -> Result<Bytes, KnowledgeError> {
    let chunks = || documents.iter().flat_map(|document| &document.chunks);
    let rows = chunks().count();
    let failed = |error: std::io::Error| KnowledgeError::Index(error.to_string());
    if vectors.is_some_and(|vectors| vectors.rows() != rows) {
        return Err(KnowledgeError::Index("passages and vectors differ in number".to_owned()));
    }
    let mut table = Vec::new();
    let mut from = 0;
    for document in documents {
        let to = from + document.chunks.len() as u32;
        let (path, metadata) = (document.path.clone(), document.metadata.clone());
        line(&DocumentRows { path, metadata, rows: from..to }, &mut table)?;
        from = to;
    }
    let mut files =
        vec![(DOCUMENTS.to_owned(), zstd::encode_all(&table[..], LEVEL).map_err(failed)?)];
    files.push((IDS.to_owned(), chunks().flat_map(|chunk| *chunk.id.as_bytes()).collect()));
    let (mut packed, mut blocks) = (Vec::new(), Vec::new());
    let all: Vec<&Chunk> = chunks().collect();
    for block in all.chunks(BLOCK) {
        table.clear();
        block.iter().try_for_each(|chunk| line(chunk, &mut table))?;
        packed.extend(zstd::encode_all(&table[..], LEVEL).map_err(failed)?);
        let end = u32::try_from(packed.len());
        let end =
            end.map_err(|_| KnowledgeError::Index("a segment holds 4 GiB at most".to_owned()))?;
        blocks.extend_from_slice(&end.to_le_bytes());
    }
    files.push((CHUNKS.to_owned(), packed));
    files.push((BLOCKS.to_owned(), blocks));
    if let Some(matrix) = vectors {
        let (exact, small) = Vectors::encode(matrix);
        files.push((EXACT.to_owned(), exact));
        files.push((SMALL.to_owned(), small));
    }
    files.extend(index(&all)?);
    bundle(rows as u32, vectors.map(|matrix| matrix.dimension), &files)
}

fn line(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), KnowledgeError> {
    let failed = |why: String| KnowledgeError::Index(why);
    serde_json::to_writer(&mut *out, value).map_err(|error| failed(error.to_string()))?;
    out.write_all(b"\n").map_err(|error| failed(error.to_string()))
}

/// The files of an index of `chunks`.
fn index(chunks: &[&Chunk]) -> Result<Vec<(String, Vec<u8>)>, KnowledgeError> {
    let (schema, field) = schema();
    let directory = RamDirectory::create();
    let builder = Index::builder().schema(schema).settings(IndexSettings::default());
    let mut writer =
        builder.single_segment_index_writer::<TantivyDocument>(directory.clone(), BUILD_MEMORY)?;
    for chunk in chunks {
        let mut document = TantivyDocument::default();
        document.add_pre_tokenized_text(field, analysed(chunk));
        writer.add_document(document)?;
    }
    let index = writer.finalize()?;
    let mut names: Vec<_> = index.directory().list_managed_files().into_iter().collect();
    names.sort();
    let read = names.into_iter().map(|name| {
        let bytes = directory.atomic_read(&name);
        let bytes = bytes.map_err(|error| KnowledgeError::Index(error.to_string()))?;
        Ok((name.to_string_lossy().into_owned(), bytes))
    });
    read.collect()
}

fn bundle(
    rows: u32,
    dimension: Option<usize>,
    files: &[(String, Vec<u8>)],
) -> Result<Bytes, KnowledgeError> {
    let entries = files.iter().map(|(name, bytes)| FileEntry {
        name: name.clone(),
        length: bytes.len(),
        digest: Digest::of(bytes),
    });
    let contents = Contents { rows, dimension, files: entries.collect() };
    let contents =
        serde_json::to_vec(&contents).map_err(|error| KnowledgeError::Index(error.to_string()))?;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(contents.len() as u32).to_le_bytes());
    out.extend_from_slice(&contents);
    for (_, bytes) in files {
        out.extend_from_slice(bytes);
    }
    Ok(out.into())
}

fn analysed(chunk: &Chunk) -> PreTokenizedString {
    let text = format!("{}\n{}\n{}", chunk.title, chunk.headings.join("\n"), chunk.text);
    let tokens = terms(&text).into_iter().enumerate().map(|(position, text)| Token {
        offset_from: 0,
        offset_to: 0,
        position,
        text,
        position_length: 1,
    });
    PreTokenizedString { text: String::new(), tokens: tokens.collect() }
}

/// A segment that is ready to be searched.
#[derive(Clone)]
pub struct Segment {
    pub digest: Digest,
    /// Its documents, in the order of their rows.
    pub documents: Vec<DocumentRows>,
    /// Where each term stands.
    pub postings: Arc<InvertedIndexReader>,
    /// How long each passage is, in terms, rounded.
    pub lengths: FieldNormReader,
    /// The field that is searched.
    pub field: Field,
    /// Its vectors, if its passages were embedded.
    pub vectors: Option<Arc<Vectors>>,
    /// How many bytes it has as a blob.
    pub size: usize,
    /// How many bytes it has in memory, about.
    pub bytes: usize,
    rows: u32,
    ids: OwnedBytes,
    chunks: OwnedBytes,
    blocks: OwnedBytes,
}

impl Segment {
    /// Opens a segment's bytes, checking every file against its digest first: a corrupt index must
    /// never be searched.
    pub fn open(digest: Digest, bytes: Bytes) -> Result<Self, KnowledgeError> {
        let corrupt = |why: &str| KnowledgeError::Corrupt { part: digest, why: why.to_owned() };
        let size = bytes.len();
        // The bytes are moved here, not copied, unless somebody else holds them too.
        let whole = OwnedBytes::new(Vec::from(bytes));
        let (contents, mut rest) = contents(&whole).map_err(corrupt)?;
        let mut files = HashMap::new();
        for entry in &contents.files {
            if entry.length > rest.len() {
                return Err(corrupt("it is cut off"));
            }
            let (file, after) = rest.split(entry.length);
            rest = after;
            if entry.digest.verify(&file).is_err() {
                return Err(corrupt(&format!("its file `{}` was changed", entry.name)));
            }
            files.insert(PathBuf::from(&entry.name), file);
        }
        let mut take = |name: &str| {
            let file = files.remove(&PathBuf::from(name));
            file.ok_or_else(|| corrupt(&format!("its file `{name}` is missing")))
        };
        let (documents, ids) = (take(DOCUMENTS)?, take(IDS)?);
        let (chunks, blocks) = (take(CHUNKS)?, take(BLOCKS)?);
        let documents = table(&documents).ok_or_else(|| corrupt("its documents are unreadable"))?;
        let rows = contents.rows as usize;
        let mut next = 0;
        let tiled = documents.iter().all(|document| {
            let follows = document.rows.start == next && document.rows.end >= next;
            next = document.rows.end;
            follows
        });
        if !tiled || next != contents.rows || ids.len() != 32 * rows {
            return Err(corrupt("its documents do not fit its passages"));
        }
        if blocks.len() != 4 * rows.div_ceil(BLOCK) {
            return Err(corrupt("its passages are not all there"));
        }
        let vectors = match contents.dimension {
            Some(dimension) => {
                let opened = Vectors::open(dimension, rows, take(EXACT)?, take(SMALL)?);
                let opened =
                    opened.ok_or_else(|| corrupt("its vectors do not fit its passages"))?;
                Some(Arc::new(opened))
            }
            None => None,
        };
        let index = Index::open(Files::new(files))?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = tantivy::IndexReader::searcher(&reader);
        let [part] = searcher.segment_readers() else {
            return Err(corrupt("its index is not of one piece"));
        };
        if part.num_docs() != contents.rows {
            return Err(corrupt("its index does not fit its passages"));
        }
        let (_, field) = schema();
        let (postings, lengths) = (part.inverted_index(field)?, part.get_fieldnorms_reader(field)?);
        let bytes = size + 4 * rows * usize::from(vectors.is_some());
        let (rows, digest) = (contents.rows, digest);
        Ok(Self {
            digest,
            documents,
            postings,
            lengths,
            field,
            vectors,
            size,
            bytes,
            rows,
            ids,
            chunks,
            blocks,
        })
    }

    /// How many passages it has.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The id of the passage in `row`.
    pub fn id(&self, row: u32) -> Digest {
        let (ids, _) = self.ids.as_slice().as_chunks::<32>();
        Digest::from_bytes(ids[row as usize])
    }

    /// The document that the passage in `row` is of.
    pub fn document(&self, row: u32) -> &DocumentRows {
        let at = self.documents.partition_point(|document| document.rows.end <= row);
        &self.documents[at]
    }

    /// The passage in `row`.
    pub fn chunk(&self, row: u32) -> Result<Chunk, KnowledgeError> {
        self.chunks(row..row + 1)?.pop().ok_or_else(|| self.unreadable(row))
    }

    /// The passages in `rows`.
    pub fn chunks(&self, rows: Range<u32>) -> Result<Vec<Chunk>, KnowledgeError> {
        let mut chunks = Vec::with_capacity(rows.len());
        let mut next = rows.start;
        while next < rows.end {
            let (block, within) = (next as usize / BLOCK, next as usize % BLOCK);
            let text = self.unpack(block).ok_or_else(|| self.unreadable(next))?;
            let end = rows.end.min((block as u32 + 1) * BLOCK as u32);
            let mut lines = text.split(|byte| *byte == b'\n').skip(within);
            for row in next..end {
                let chunk = lines.next().and_then(|line| serde_json::from_slice(line).ok());
                chunks.push(chunk.ok_or_else(|| self.unreadable(row))?);
            }
            next = end;
        }
        Ok(chunks)
    }

    /// A document with its passages, as it was when the segment was built.
    pub fn cut(&self, document: &DocumentRows) -> Result<Cut, KnowledgeError> {
        let chunks = self.chunks(document.rows.clone())?;
        Ok(Cut { path: document.path.clone(), metadata: document.metadata.clone(), chunks })
    }

    fn unreadable(&self, row: u32) -> KnowledgeError {
        let why = format!("its passage {row} is unreadable");
        KnowledgeError::Corrupt { part: self.digest, why }
    }

    /// The parent of the passage in `row`; none if it stands for itself.
    pub fn parent(&self, row: u32) -> Result<Option<Surrounding>, KnowledgeError> {
        let rows = &self.document(row).rows;
        let block = |row: u32| row as usize / BLOCK;
        let (mut first, mut last) = (block(row), block(row));
        let mut chunks = VecDeque::from(self.block(first)?);
        let Some(found) = chunks.get(row as usize % BLOCK).filter(|found| found.parent.is_some())
        else {
            return Ok(None);
        };
        let (document, parent) = (found.document.clone(), found.parent);
        let same = |chunk: Option<&Chunk>| {
            chunk.is_some_and(|chunk| chunk.parent == parent && chunk.document == document)
        };
        while first > block(rows.start) && same(chunks.front()) {
            first -= 1;
            self.block(first)?.into_iter().rev().for_each(|chunk| chunks.push_front(chunk));
        }
        while last < block(rows.end - 1) && same(chunks.back()) {
            last += 1;
            chunks.extend(self.block(last)?);
        }
        Ok(surrounding(chunks.make_contiguous(), row as usize - first * BLOCK))
    }

    /// The passages that are packed together in a block.
    fn block(&self, block: usize) -> Result<Vec<Chunk>, KnowledgeError> {
        let read = self.unpack(block).and_then(|text| {
            let chunks = serde_json::Deserializer::from_slice(&text).into_iter();
            chunks.collect::<Result<_, _>>().ok()
        });
        let why = format!("its passages from {} on are unreadable", block * BLOCK);
        read.ok_or(KnowledgeError::Corrupt { part: self.digest, why })
    }

    fn unpack(&self, block: usize) -> Option<Vec<u8>> {
        let (ends, _) = self.blocks.as_slice().as_chunks::<4>();
        let end = |block: usize| Some(u32::from_le_bytes(*ends.get(block)?) as usize);
        let from = block.checked_sub(1).map_or(Some(0), end)?;
        zstd::decode_all(self.chunks.as_slice().get(from..end(block)?)?).ok()
    }
}

/// The table of contents, and what follows it.
fn contents(whole: &OwnedBytes) -> Result<(Contents, OwnedBytes), &'static str> {
    let bytes = whole.as_slice();
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is not a segment of this version")?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("it is cut off")?;
    let length = u32::from_le_bytes(*length) as usize;
    let contents = rest.get(..length).ok_or("it is cut off")?;
    let from = bytes.len() - rest.len() + length;
    let contents = serde_json::from_slice(contents).map_err(|_| "its contents are unreadable")?;
    Ok((contents, whole.slice(from..bytes.len())))
}

fn table(file: &[u8]) -> Option<Vec<DocumentRows>> {
    let text = zstd::decode_all(file).ok()?;
    serde_json::Deserializer::from_slice(&text).into_iter().collect::<Result<_, _>>().ok()
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("digest", &self.digest).finish_non_exhaustive()
    }
}
