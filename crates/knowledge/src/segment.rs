//! Segments: immutable bundles of passages with their index, one blob each.
//!
//! A bundle is [`MAGIC`], the length of its table of contents (`u32`, little endian), the table as
//! JSON, then its files one after the other: `chunks` (JSON lines, zstd) and the index's own. Row
//! *i* of the table is document *i* of the index. Vectors will be further files.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use release::Digest;
use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, RamDirectory};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{Index, IndexSettings, ReloadPolicy, Searcher, TantivyDocument};

use crate::KnowledgeError;
use crate::analyse::terms;
use crate::chunk::Chunk;

/// First bytes of a segment.
const MAGIC: &[u8; 8] = b"GCSEGM02";
/// The bundle's own file.
const CHUNKS: &str = "chunks";
/// Memory that building an index may take.
const BUILD_MEMORY: usize = 64 << 20;
/// How hard passages are compressed.
const LEVEL: i32 = 3;

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    files: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileEntry {
    name: String,
    length: usize,
    digest: Digest,
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

/// Builds a segment of `chunks`, in their order.
pub fn build(chunks: &[Chunk]) -> Result<Bytes, KnowledgeError> {
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

    let failed = |error: std::io::Error| KnowledgeError::Index(error.to_string());
    let mut table = zstd::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
    for chunk in chunks {
        serde_json::to_writer(&mut table, chunk).map_err(|error| failed(error.into()))?;
        table.write_all(b"\n").map_err(failed)?;
    }
    let mut files = vec![(CHUNKS.to_owned(), table.finish().map_err(failed)?)];
    let mut names: Vec<_> = index.directory().list_managed_files().into_iter().collect();
    names.sort();
    for name in names {
        let bytes =
            directory.atomic_read(&name).map_err(|e| KnowledgeError::Index(e.to_string()))?;
        files.push((name.to_string_lossy().into_owned(), bytes));
    }
    bundle(&files)
}

fn bundle(files: &[(String, Vec<u8>)]) -> Result<Bytes, KnowledgeError> {
    let entries = files.iter().map(|(name, bytes)| FileEntry {
        name: name.clone(),
        length: bytes.len(),
        digest: Digest::of(bytes),
    });
    let contents = Contents { files: entries.collect() };
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
    pub chunks: Arc<[Chunk]>,
    pub searcher: Searcher,
    pub field: Field,
}

impl Segment {
    /// Opens a segment's bytes, checking every file against its digest first: a corrupt index must
    /// never be searched.
    pub fn open(digest: Digest, bytes: &Bytes) -> Result<Self, KnowledgeError> {
        let corrupt = |why: &str| KnowledgeError::Corrupt { part: digest, why: why.to_owned() };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| corrupt("it is not a segment"))?;
        let (length, rest) = rest.split_at_checked(4).ok_or_else(|| corrupt("it is cut off"))?;
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        let (contents, mut rest) =
            rest.split_at_checked(length).ok_or_else(|| corrupt("it is cut off"))?;
        let contents: Contents =
            serde_json::from_slice(contents).map_err(|_| corrupt("its contents are unreadable"))?;
        let directory = RamDirectory::create();
        let mut chunks = None;
        for entry in &contents.files {
            let (file, after) =
                rest.split_at_checked(entry.length).ok_or_else(|| corrupt("it is cut off"))?;
            rest = after;
            if entry.digest.verify(file).is_err() {
                return Err(corrupt(&format!("its file `{}` was changed", entry.name)));
            }
            if entry.name == CHUNKS {
                chunks = Some(table(file).ok_or_else(|| corrupt("its passages are unreadable"))?);
            } else {
                let written = directory.atomic_write(Path::new(&entry.name), file);
                written.map_err(|error| KnowledgeError::Index(error.to_string()))?;
            }
        }
        let chunks = chunks.ok_or_else(|| corrupt("it has no passages"))?;
        let index = Index::open(directory)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = tantivy::IndexReader::searcher(&reader);
        if searcher.num_docs() != chunks.len() as u64 {
            return Err(corrupt("its index does not fit its passages"));
        }
        let (_, field) = schema();
        Ok(Self { digest, chunks: chunks.into(), searcher, field })
    }
}

fn table(file: &[u8]) -> Option<Vec<Chunk>> {
    let text = zstd::decode_all(file).ok()?;
    serde_json::Deserializer::from_slice(&text).into_iter().collect::<Result<_, _>>().ok()
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("digest", &self.digest).finish_non_exhaustive()
    }
}
