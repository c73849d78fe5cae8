//! An OVMF image, checked before `sev` reads it: its reader indexes by numbers from the file and would panic.
//!
//! ```text
//! ... "ASEV" header, sections ... │ entry data, size, GUID │ ... │ footer size, GUID │ 32 bytes │ 4 GiB
//!     ▲ metadata entry: bytes from the end                 ◀── read backwards ──────┘
//! ```
//! Layout: EDK II, `OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm` and `X64/OvmfSevMetadata.asm`.

/// Bytes of a page; firmware and sections are whole pages.
const PAGE: usize = 4096;
const PAGE_MASK: u32 = PAGE as u32 - 1;
/// Bytes behind the table: the reset vector.
const BEHIND_TABLE: usize = 32;
/// A size of two bytes and a GUID.
const ENTRY_HEADER: usize = 18;
/// Sections of an image. OVMF has seven.
const SECTIONS_MAX: u32 = 64;
/// Bytes of all sections together, each page of which is hashed. OVMF has 132 KiB.
const SECTION_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Bytes of the table of hashes that the VMM puts into its page.
const HASH_TABLE_LEN: u32 = 176;

const FOOTER: [u8; 16] = guid(0x96b582de, 0x1fb2, 0x45f7, 0xbaeaa366c55a082d);
const RESET_BLOCK: [u8; 16] = guid(0x00f771de, 0x1a7e, 0x4fcb, 0x890e68c77e2fb44e);
const HASH_TABLE: [u8; 16] = guid(0x7255371f, 0x3a3b, 0x4b04, 0x927b1da6efa8d454);
const METADATA: [u8; 16] = guid(0xdc886566, 0x984a, 0x4798, 0xa75e5585a7bf67cc);

const KERNEL_HASHES: u32 = 0x10;

/// What a caller must know of an image that `sev` can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Firmware {
    /// It has a page for the hashes of kernel, initrd and command line.
    pub(super) kernel_hashes: bool,
    /// It tells where further processors begin.
    pub(super) starts_processors: bool,
}

/// A GUID as it stands in the file: the first three fields little-endian.
const fn guid(a: u32, b: u16, c: u16, d: u64) -> [u8; 16] {
    let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    let [d0, d1, d2, d3, d4, d5, d6, d7] = d.to_be_bytes();
    [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7]
}

/// Reads what `sev` will read, and refuses with a reason what it would panic on, hash for ever, or measure as
/// no VMM does.
pub(super) fn check(image: &[u8]) -> Result<Firmware, &'static str> {
    if image.is_empty() || !image.len().is_multiple_of(PAGE) {
        return Err("its size is not a multiple of 4,096 bytes");
    }
    let entries = footer_table(image)?;
    let reset = word(one(&entries, &RESET_BLOCK)?.ok_or("its table has no SEV-ES reset block")?)?;
    let metadata =
        one(&entries, &METADATA)?.ok_or("its table has no SEV metadata: it does not support SEV-SNP")?;
    let hash_table = one(&entries, &HASH_TABLE)?.map(word).transpose()?;

    let mut kernel_hashes = false;
    let mut total = 0_u32;
    for section in sections(image, word(metadata)?)? {
        let Section { gpa, size, kind } = section;
        if !matches!(kind, 1..=4 | KERNEL_HASHES) {
            return Err("its SEV metadata has a section of unknown kind");
        }
        if (gpa | size) & PAGE_MASK != 0 || size == 0 || gpa.checked_add(size).is_none() {
            return Err("its SEV metadata has a section that is not whole pages below 4 GiB");
        }
        total = total.saturating_add(size);
        if total > SECTION_BYTES_MAX {
            return Err("its SEV metadata has sections of more than 64 MiB");
        }
        if kind == KERNEL_HASHES {
            let at = hash_table.ok_or("its table does not say where the kernel's hashes go")?;
            let fits = size == PAGE as u32
                && at & !PAGE_MASK == gpa
                && (at & PAGE_MASK) + HASH_TABLE_LEN <= PAGE as u32;
            if kernel_hashes || !fits {
                return Err("its page for the kernel's hashes is not one page that holds their table");
            }
            kernel_hashes = true;
        }
    }
    Ok(Firmware {
        kernel_hashes,
        starts_processors: reset != 0,
    })
}

type Entry<'a> = ([u8; 16], &'a [u8]);

/// The entries of the table that ends 32 bytes before the end of the image, backwards.
fn footer_table(image: &[u8]) -> Result<Vec<Entry<'_>>, &'static str> {
    const BROKEN: &str = "its GUID table is broken";
    let until = image.len().checked_sub(BEHIND_TABLE).ok_or(BROKEN)?;
    let table = image.get(..until).ok_or(BROKEN)?;
    if !table.ends_with(&FOOTER) {
        return Err("it has no GUID table at its end: it is no OVMF image");
    }
    let (footer, _) = take_entry(table).ok_or(BROKEN)?;
    // The footer's size is that of the whole table, so its data are the entries.
    let mut entries = Vec::new();
    let mut rest = footer.1;
    while !rest.is_empty() {
        let (entry, before) = take_entry(rest).ok_or(BROKEN)?;
        entries.push(entry);
        rest = before;
    }
    Ok(entries)
}

/// The last entry of `bytes`, its data before its size and GUID, and what stands before it.
fn take_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (before, header) = bytes.split_last_chunk::<ENTRY_HEADER>()?;
    let (size, guid) = header.split_first_chunk::<2>()?;
    let data = usize::from(u16::from_le_bytes(*size)).checked_sub(ENTRY_HEADER)?;
    let (before, data) = before.split_at_checked(before.len().checked_sub(data)?)?;
    Some(((*guid.first_chunk()?, data), before))
}

/// The entry of this GUID. Two would leave it to the reader which one counts.
fn one<'a>(entries: &[Entry<'a>], guid: &[u8; 16]) -> Result<Option<&'a [u8]>, &'static str> {
    let mut found = entries.iter().filter(|(other, _)| other == guid);
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|(_, data)| *data)),
        _ => Err("its GUID table has an entry twice"),
    }
}

struct Section {
    gpa: u32,
    size: u32,
    kind: u32,
}

/// The sections of the metadata that begins `from_end` bytes before the end of the image.
fn sections(image: &[u8], from_end: u32) -> Result<Vec<Section>, &'static str> {
    const BROKEN: &str = "its SEV metadata reaches beyond it";
    let from_end = usize::try_from(from_end).map_err(|_| BROKEN)?;
    let at = image.len().checked_sub(from_end).ok_or(BROKEN)?;
    let (header, body) = image
        .get(at..)
        .and_then(|m| m.split_first_chunk::<16>())
        .ok_or(BROKEN)?;
    let [s0, s1, s2, s3, size @ .., v0, v1, v2, v3, n0, n1, n2, n3] = *header;
    if [s0, s1, s2, s3] != *b"ASEV" || u32::from_le_bytes([v0, v1, v2, v3]) != 1 {
        return Err("its SEV metadata is not of version 1");
    }
    let count = u32::from_le_bytes([n0, n1, n2, n3]);
    if count > SECTIONS_MAX {
        return Err("its SEV metadata has more than 64 sections");
    }
    // The size counts the header.
    let size: [u8; 4] = size;
    let size = usize::try_from(u32::from_le_bytes(size)).map_err(|_| BROKEN)?;
    let body = size
        .checked_sub(header.len())
        .and_then(|len| body.get(..len))
        .ok_or(BROKEN)?;
    let (sections, rest) = body.as_chunks::<12>();
    if sections.len() != count as usize || !rest.is_empty() {
        return Err("its SEV metadata has another size than its sections");
    }
    Ok(sections
        .iter()
        .map(|[g0, g1, g2, g3, s0, s1, s2, s3, k0, k1, k2, k3]| Section {
            gpa: u32::from_le_bytes([*g0, *g1, *g2, *g3]),
            size: u32::from_le_bytes([*s0, *s1, *s2, *s3]),
            kind: u32::from_le_bytes([*k0, *k1, *k2, *k3]),
        })
        .collect())
}

fn word(data: &[u8]) -> Result<u32, &'static str> {
    let bytes = data
        .first_chunk()
        .ok_or("its GUID table has an entry that is too short")?;
    Ok(u32::from_le_bytes(*bytes))
}
