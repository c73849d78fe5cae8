//! The client against the kernel's double and against a directory on disk.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use super::double::{EBUSY, EEXIST, EFBIG, EINVAL, Kernel, OUTBLOB_MAX, errno};
use super::*;
use crate::limits::LEAF_BYTES_MAX;

const REPORT_HEX: &str = include_str!("../../tests/fixtures/sev-milan.report.hex");
const VCEK_DER: &[u8] = include_bytes!("../../tests/fixtures/sev-milan.vcek.der");
const ASKED: [u8; 64] = [0x5a; 64];
const KEY_INFO_AT: usize = 0x48;
const VLEK_SIGNED: u8 = 1 << 2;

fn snp_bytes(report_data: &[u8], privlevel: u32) -> Vec<u8> {
    let mut report = hex::decode(REPORT_HEX.trim()).expect("the fixture is hex");
    report[0x30..0x34].copy_from_slice(&privlevel.to_le_bytes());
    report[0x50..0x90].copy_from_slice(report_data);
    report
}

fn table(certificates: &[([u8; 16], &[u8])]) -> Vec<u8> {
    let mut table = Vec::new();
    let mut at = 24 * (certificates.len() + 1);
    for (guid, der) in certificates {
        table.extend(guid);
        table.extend((at as u32).to_le_bytes());
        table.extend((der.len() as u32).to_le_bytes());
        at += der.len();
    }
    table.extend([0; 24]);
    for (_, der) in certificates {
        table.extend(*der);
    }
    table
}

fn snp_kernel() -> Kernel {
    let certificates = table(&[
        (certificates::INTERMEDIATE, b"ask"),
        (certificates::VCEK, VCEK_DER),
    ]);
    Kernel::new(
        "sev_guest",
        Box::new(move |data, level| Ok((snp_bytes(data, level), certificates.clone()))),
    )
}

/// A real quote of version 4, with other report data (no signature is looked at here), zero-padded behind the
/// signature as kernels give it.
fn td_quote(report_data: &[u8]) -> Vec<u8> {
    let mut quote = include_bytes!("../../tests/fixtures/dcap-qvl/tdx_quote").to_vec();
    quote[48 + 520..48 + 584].copy_from_slice(report_data);
    quote.resize(8_000, 0);
    quote
}

fn tdx_kernel() -> Kernel {
    Kernel::new("tdx_guest", Box::new(|data, _| Ok((td_quote(data), Vec::new()))))
}

fn open(kernel: &Kernel) -> Result<TsmDevice, QuoteError> {
    TsmDevice::open_with(Path::new(TSM_ROOT), Box::new(kernel.clone()))
}

fn opened(kernel: &Kernel) -> TsmDevice {
    let device = open(kernel).expect("the interface opens");
    kernel.state().log.clear();
    device
}

/// The refusal's name and text; whatever happened, no entry stays behind.
fn refused(kernel: &Kernel, result: Result<Evidence, QuoteError>) -> (&'static str, String) {
    assert!(kernel.state().entries.is_empty(), "an entry stayed behind");
    let error = result.expect_err("this must be refused");
    (error.code(), error.to_string())
}

#[test]
fn an_snp_report_comes_with_the_hosts_vcek() {
    let kernel = snp_kernel();
    let device = opened(&kernel);
    assert_eq!(device.platform(), Platform::SevSnp);
    let evidence = device.quote(ASKED).expect("a quote");
    assert_eq!(evidence.platform, Platform::SevSnp);
    assert_eq!(evidence.report, snp_bytes(&ASKED, 0));
    assert_eq!(evidence.leaf, VCEK_DER);
    assert_eq!(
        kernel.state().log,
        [
            "mkdir",
            "read provider",
            "read generation",
            "read privlevel_floor",
            "write privlevel",
            "write inblob",
            "read generation",
            "read outblob",
            "read auxblob",
            "read generation",
            "rmdir",
        ]
    );
    assert!(kernel.state().entries.is_empty());
}

#[test]
fn a_tdx_quote_comes_without_its_certificates_and_padding() {
    let kernel = tdx_kernel();
    let device = opened(&kernel);
    assert_eq!(device.platform(), Platform::Tdx);
    let evidence = device.quote(ASKED).expect("a quote");
    assert_eq!(evidence.platform, Platform::Tdx);
    let (kept, needed) = (&evidence.report[..48 + 584], &td_quote(&ASKED)[..48 + 584]);
    assert!(
        kept == needed,
        "header and report are those of the kernel's quote"
    );
    assert!(evidence.report.len() < 2_000 && evidence.leaf.starts_with(&[0x30, 0x82]));
    let log = kernel.state().log.clone();
    assert!(
        !log.iter()
            .any(|line| line.contains("privlevel") || line.contains("auxblob")),
        "{log:?}"
    );
}

#[test]
fn a_machine_knows_what_it_was_launched_with() {
    let snp = opened(&snp_kernel()).measurement().expect("a report");
    assert_eq!(snp.0, snp_bytes(&[0; 64], 0)[0x90..0xc0]);
    let tdx = opened(&tdx_kernel()).measurement().expect("a quote");
    let quote = td_quote(&[0; 64]);
    let register = |at: usize| quote[48 + at..48 + at + 48].try_into().expect("48 bytes");
    let need = crate::measure::tdx(
        register(136),
        [328, 376, 424, 472].map(register),
        register(184),
        register(232),
        register(280),
    );
    assert_eq!(tdx, need);
}

#[test]
fn a_given_leaf_replaces_the_hosts_certificates() {
    let kernel = snp_kernel();
    kernel.state().failures.insert("read auxblob", EFBIG);
    let device = opened(&kernel).with_leaf(b"mine".to_vec());
    assert_eq!(device.quote(ASKED).expect("a quote").leaf, b"mine");
    let device = opened(&kernel).with_leaf(vec![0; LEAF_BYTES_MAX + 1]);
    assert_eq!(refused(&kernel, device.quote(ASKED)).0, "quote.leaf_too_long");
}

#[test]
fn a_vlek_brings_its_intermediate() {
    let certificates = table(&[
        (certificates::VLEK, b"vlek"),
        (certificates::INTERMEDIATE, b"asvk"),
    ]);
    let without = table(&[(certificates::VLEK, b"vlek"), (certificates::VCEK, VCEK_DER)]);
    let kernel = |table: Vec<u8>| {
        Kernel::new(
            "sev_guest",
            Box::new(move |data, level| {
                let mut report = snp_bytes(data, level);
                report[KEY_INFO_AT] = VLEK_SIGNED;
                Ok((report, table.clone()))
            }),
        )
    };
    let evidence = opened(&kernel(certificates)).quote(ASKED).expect("a quote");
    assert_eq!(evidence.leaf, b"vlekasvk");
    let kernel = kernel(without);
    let (code, text) = refused(&kernel, opened(&kernel).quote(ASKED));
    assert_eq!(code, "quote.no_certificate");
    assert!(text.contains("ASVK"), "{text}");
}

#[test]
fn a_hosts_table_cannot_reach_beyond_itself() {
    let good = table(&[(certificates::VCEK, VCEK_DER)]);
    let patched = |at: usize, value: u32| {
        let mut table = good.clone();
        table[at..at + 4].copy_from_slice(&value.to_le_bytes());
        table
    };
    let length = good.len() as u32;
    let twice = table(&[(certificates::VCEK, b"a"), (certificates::VCEK, b"b")]);
    let many: Vec<_> = (1..=33_u8).map(|number| ([number; 16], &b"x"[..])).collect();
    let cases = [
        (patched(16, length), "quote.certificate_table"),
        (patched(16, u32::MAX), "quote.certificate_table"),
        (patched(20, length), "quote.certificate_table"),
        (patched(20, u32::MAX), "quote.certificate_table"),
        (good[..24].to_vec(), "quote.certificate_table"),
        (good[..30].to_vec(), "quote.certificate_table"),
        (twice, "quote.certificate_table"),
        (table(&many), "quote.certificate_table"),
        (patched(20, 0), "quote.no_certificate"),
        (table(&[]), "quote.no_certificate"),
        (Vec::new(), "quote.no_certificate"),
        (table(&[(certificates::VLEK, VCEK_DER)]), "quote.no_certificate"),
        (
            table(&[(certificates::VCEK, &[0; LEAF_BYTES_MAX + 1])]),
            "quote.leaf_too_long",
        ),
        (vec![0; TABLE_BYTES_MAX + 1], "quote.tsm_too_long"),
    ];
    for (number, (table, need)) in cases.into_iter().enumerate() {
        let kernel = Kernel::new(
            "sev_guest",
            Box::new(move |data, level| Ok((snp_bytes(data, level), table.clone()))),
        );
        assert_eq!(
            refused(&kernel, opened(&kernel).quote(ASKED)).0,
            need,
            "case {number}"
        );
    }
}

#[test]
fn each_error_of_the_kernel_has_a_name_and_says_where() {
    let cases = [
        ("read outblob", EBUSY, "quote.tsm_busy"),
        ("read outblob", EFBIG, "quote.tsm_too_big"),
        ("read outblob", 11, "quote.tsm_not_ready"),
        ("read outblob", 110, "quote.tsm_timeout"),
        ("read outblob", ENOTTY, "quote.tsm_disabled"),
        ("read outblob", EINVAL, "quote.tsm_refused"),
        ("read outblob", 5, "quote.tsm_file"),
        ("read outblob", 13, "quote.tsm_permission"),
        ("read auxblob", EFBIG, "quote.tsm_too_big"),
        ("write privlevel", EBUSY, "quote.tsm_busy"),
        ("write inblob", 1, "quote.tsm_permission"),
        ("read generation", 2, "quote.tsm_file"),
        ("read provider", 2, "quote.tsm_file"),
    ];
    for (operation, number, need) in cases {
        let kernel = snp_kernel();
        let device = opened(&kernel);
        kernel.state().failures.insert(operation, number);
        let (code, text) = refused(&kernel, device.quote(ASKED));
        assert_eq!(code, need, "{operation} fails with {number}");
        let attribute = operation.split(' ').nth(1).expect("an attribute");
        assert!(text.contains(attribute) && text.contains(TSM_ROOT), "{text}");
        // Nothing but a conflict is tried again.
        let entries = kernel.state().log.iter().filter(|line| *line == "mkdir").count();
        assert_eq!(entries, 1, "{operation}");
    }
}

#[test]
fn an_unusable_interface_is_named_when_it_is_opened() {
    let cases: [(&str, i32, &str); 4] = [
        ("mkdir", 2, "quote.tsm_missing"),
        ("mkdir", ENXIO, "quote.tsm_no_provider"),
        ("mkdir", 13, "quote.tsm_permission"),
        ("mkdir", 12, "quote.tsm_file"),
    ];
    for (operation, number, need) in cases {
        let kernel = snp_kernel();
        kernel.state().failures.insert(operation, number);
        assert_eq!(open(&kernel).err().expect("refused").code(), need);
    }
    let kernel = snp_kernel();
    kernel.state().provider = None;
    assert_eq!(
        open(&kernel).err().expect("refused").code(),
        "quote.tsm_no_provider"
    );
    for (provider, need) in [
        ("arm_cca_guest", "quote.tsm_provider"),
        ("", "quote.tsm_provider"),
        ("sev_guest\nx", "quote.tsm_format"),
        ("sev\u{e9}", "quote.tsm_format"),
    ] {
        let kernel = Kernel::new(provider, Box::new(|_, _| Err(EINVAL)));
        assert_eq!(open(&kernel).err().expect("refused").code(), need, "{provider:?}");
        assert!(kernel.state().entries.is_empty());
    }
    let long = Kernel::new(&"x".repeat(TEXT_BYTES_MAX), Box::new(|_, _| Err(EINVAL)));
    assert_eq!(open(&long).err().expect("refused").code(), "quote.tsm_too_long");
}

#[test]
fn a_provider_that_changes_is_noticed() {
    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.state().provider = Some("tdx_guest".to_owned());
    assert_eq!(
        refused(&kernel, device.quote(ASKED)).0,
        "quote.tsm_provider_changed"
    );
}

/// Another process writes its own data into whatever entry it finds, right before `operation`, in as many entries
/// as `times` says.
fn intrude(kernel: &Kernel, operation: &'static str, times: usize) {
    let mut seen = BTreeSet::new();
    kernel.meddle(Box::new(move |state, now, entry| {
        if now == operation && seen.len() < times && seen.insert(entry.to_owned()) {
            state
                .store(entry, "inblob", &[0xbb; 64])
                .expect("the intruder writes");
        }
    }));
}

#[test]
fn a_foreign_write_costs_the_entry_and_a_fresh_one_answers() {
    for operation in ["write privlevel", "write inblob", "read outblob", "read auxblob"] {
        let kernel = snp_kernel();
        let device = opened(&kernel);
        intrude(&kernel, operation, ATTEMPTS as usize - 1);
        let evidence = device.quote(ASKED).expect("the last entry is left alone");
        assert_eq!(evidence.report, snp_bytes(&ASKED, 0), "{operation}");
        let log = kernel.state().log.clone();
        assert_eq!(
            log.iter().filter(|line| *line == "mkdir").count(),
            ATTEMPTS as usize
        );
        assert_eq!(
            log.iter().filter(|line| *line == "rmdir").count(),
            ATTEMPTS as usize
        );
    }
}

#[test]
fn foreign_writes_into_every_entry_are_a_named_conflict() {
    let kernel = tdx_kernel();
    let device = opened(&kernel);
    intrude(&kernel, "read outblob", usize::MAX);
    let (code, text) = refused(&kernel, device.quote(ASKED));
    assert_eq!(code, "quote.tsm_conflict");
    assert!(
        text.contains("written 2 times, must be 1") && text.contains("4 fresh entries"),
        "{text}"
    );
}

#[test]
fn a_dropped_write_is_noticed_although_the_kernel_is_silent() {
    // The entry begins one write before a whole round without a read: the privilege level still goes in, and
    // the report data is dropped when its file is closed.
    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.meddle(Box::new(|state, operation, entry| {
        if operation == "read generation"
            && let Some(entry) = state.entries.get_mut(entry)
            && entry.write_generation == 0
        {
            (entry.write_generation, entry.read_generation) = (7, 9);
        }
    }));
    let (code, text) = refused(&kernel, device.quote(ASKED));
    assert_eq!(code, "quote.tsm_conflict");
    assert!(text.contains("written 1 times, must be 2"), "{text}");
    let log = kernel.state().log.clone();
    assert!(
        !log.contains(&"read outblob".to_owned()),
        "no report over others' data is asked for: {log:?}"
    );
}

#[test]
fn a_busy_entry_refuses_the_privilege_level_by_name() {
    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.meddle(Box::new(|state, operation, entry| {
        if operation == "write privlevel"
            && let Some(entry) = state.entries.get_mut(entry)
        {
            entry.read_generation = entry.write_generation + 1;
        }
    }));
    assert_eq!(refused(&kernel, device.quote(ASKED)).0, "quote.tsm_busy");
}

#[test]
fn a_counter_that_wraps_is_no_conflict() {
    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.meddle(Box::new(|state, operation, entry| {
        if operation == "read provider"
            && let Some(entry) = state.entries.get_mut(entry)
        {
            (entry.write_generation, entry.read_generation) = (u64::MAX, u64::MAX - 4);
        }
    }));
    device.quote(ASKED).expect("two writes over the end");
}

#[test]
fn a_report_over_other_data_or_of_another_shape_is_refused() {
    type Change = fn(&[u8]) -> Vec<u8>;
    let cases: [(&str, Change, &str); 6] = [
        (
            "sev_guest",
            |_| snp_bytes(&[0xcc; 64], 0),
            "quote.other_report_data",
        ),
        (
            "sev_guest",
            |data| snp_bytes(data, 0)[..1183].to_vec(),
            "quote.report_layout",
        ),
        ("sev_guest", |_| Vec::new(), "quote.report_layout"),
        ("tdx_guest", |_| td_quote(&[0xcc; 64]), "quote.other_report_data"),
        (
            "tdx_guest",
            |data| td_quote(data)[..631].to_vec(),
            "quote.evidence",
        ),
        ("tdx_guest", |data| snp_bytes(data, 0), "quote.evidence"),
    ];
    for (number, (provider, change, need)) in cases.into_iter().enumerate() {
        let kernel = Kernel::new(provider, Box::new(move |data, _| Ok((change(data), Vec::new()))));
        assert_eq!(
            refused(&kernel, opened(&kernel).quote(ASKED)).0,
            need,
            "case {number}"
        );
    }
}

#[test]
fn padding_is_dropped_up_to_the_largest_answer() {
    let padded = |len| {
        let kernel = Kernel::new(
            "tdx_guest",
            Box::new(move |data, _| {
                let mut quote = td_quote(data);
                quote.resize(len, 0);
                Ok((quote, Vec::new()))
            }),
        );
        let quote = opened(&kernel).quote(ASKED);
        (kernel, quote)
    };
    let (_, quote) = padded(QUOTE_BYTES_MAX);
    assert!(quote.expect("padding is dropped").report.len() < 2_000);
    let (kernel, quote) = padded(QUOTE_BYTES_MAX + 1);
    assert_eq!(refused(&kernel, quote).0, "quote.tsm_too_long");
}

#[test]
fn sizes_are_bounded_by_us_and_by_the_kernel() {
    for (len, need) in [
        (OUTBLOB_BYTES_MAX, "quote.evidence"),
        (OUTBLOB_BYTES_MAX + 1, "quote.tsm_too_long"),
        (OUTBLOB_MAX, "quote.tsm_too_long"),
        (OUTBLOB_MAX + 1, "quote.tsm_too_big"),
    ] {
        let kernel = Kernel::new("tdx_guest", Box::new(move |_, _| Ok((vec![0; len], Vec::new()))));
        assert_eq!(
            refused(&kernel, opened(&kernel).quote(ASKED)).0,
            need,
            "{len} bytes"
        );
    }
}

#[test]
fn the_privilege_level_is_the_highest_that_the_guest_has_or_the_one_asked_for() {
    let kernel = snp_kernel();
    kernel.state().privlevel_floor = 2;
    assert_eq!(
        opened(&kernel).quote(ASKED).expect("a quote").report,
        snp_bytes(&ASKED, 2)
    );
    let at = |level| {
        opened(&kernel)
            .with_privilege_level(level)
            .expect("SNP has levels")
    };
    assert_eq!(at(3).quote(ASKED).expect("a quote").report, snp_bytes(&ASKED, 3));
    for level in [0, 1, 4, u32::MAX] {
        let (code, text) = refused(&kernel, at(level).quote(ASKED));
        assert_eq!(code, "quote.privilege_level");
        assert!(text.contains("2 to 3"), "{text}");
    }
    let error = opened(&tdx_kernel())
        .with_privilege_level(0)
        .err()
        .expect("refused");
    assert_eq!(error.code(), "quote.no_privilege_level");
}

#[test]
fn taken_names_are_passed_over_but_not_for_ever() {
    let kernel = snp_kernel();
    let device = opened(&kernel);
    let mut left = 3;
    kernel.meddle(Box::new(move |state, operation, entry| {
        if operation == "mkdir" && left > 0 {
            left -= 1;
            state.entries.entry(entry.to_owned()).or_default();
        }
    }));
    device.quote(ASKED).expect("the fourth name is free");
    assert_eq!(
        kernel.state().entries.len(),
        3,
        "entries of others are left alone"
    );

    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.state().failures.insert("mkdir", EEXIST);
    let (code, text) = refused(&kernel, device.quote(ASKED));
    assert_eq!(code, "quote.tsm_entry_taken");
    assert!(text.contains("4 report entries"), "{text}");
}

#[test]
fn an_entry_that_stays_is_told_and_one_that_is_gone_is_not() {
    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.state().failures.insert("rmdir", EBUSY);
    let error = device.quote(ASKED).expect_err("the entry stays");
    assert_eq!(error.code(), "quote.tsm_entry_stays");
    // What went wrong first is what is told.
    kernel.state().failures.insert("read outblob", EBUSY);
    assert_eq!(device.quote(ASKED).expect_err("busy").code(), "quote.tsm_busy");

    let kernel = snp_kernel();
    let device = opened(&kernel);
    kernel.meddle(Box::new(|state, operation, entry| {
        if operation == "rmdir" {
            state.entries.remove(entry);
        }
    }));
    device.quote(ASKED).expect("gone is gone");
}

#[test]
fn tdx_has_no_sealing_key_and_says_so() {
    let error = opened(&tdx_kernel())
        .sealing_key(b"context")
        .expect_err("refused");
    assert_eq!(error.code(), "quote.no_sealing_key");
    assert!(
        error.to_string().contains("tdx derives no sealing key"),
        "{error}"
    );
}

/// A directory on disk in configfs' place: `std::fs` does the reading and writing, this the kernel's part.
struct Disk(Mutex<u64>);

impl Files for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        ConfigFs.create_dir(path)?;
        *self.0.lock().expect("not poisoned") = 0;
        for (name, bytes) in [
            ("provider", "sev_guest\n"),
            ("generation", "0\n"),
            ("privlevel_floor", "0\n"),
            ("privlevel", ""),
            ("inblob", ""),
        ] {
            fs::write(path.join(name), bytes)?;
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        // rmdir on configfs takes the attributes along.
        for file in fs::read_dir(path)? {
            fs::remove_file(file?.path())?;
        }
        ConfigFs.remove_dir(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        ConfigFs.write(path, bytes)?;
        let mut generation = self.0.lock().expect("not poisoned");
        *generation += 1;
        let entry = path.parent().ok_or_else(|| errno(EINVAL))?;
        fs::write(entry.join("generation"), format!("{generation}\n"))?;
        if path.ends_with("inblob") {
            fs::write(entry.join("outblob"), snp_bytes(bytes, 0))?;
            fs::write(entry.join("auxblob"), table(&[(certificates::VCEK, VCEK_DER)]))?;
        }
        Ok(())
    }

    fn read(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        ConfigFs.read(path, max)
    }
}

#[test]
fn a_directory_on_disk_answers_through_std_fs() {
    let root = tempfile::tempdir().expect("a folder");
    let device = TsmDevice::open_with(root.path(), Box::new(Disk(Mutex::new(0)))).expect("it opens");
    let evidence = device.quote(ASKED).expect("a quote");
    assert_eq!(evidence.report, snp_bytes(&ASKED, 0));
    assert_eq!(evidence.leaf, VCEK_DER);
    assert_eq!(
        fs::read_dir(root.path()).expect("the folder").count(),
        0,
        "no entry stays behind"
    );

    // What the kernel's files refuse, `ConfigFs` refuses: it creates none and reads no more than it may.
    let path = root.path().join("absent");
    assert_eq!(
        ConfigFs.write(&path, b"x").expect_err("no file").kind(),
        ErrorKind::NotFound
    );
    fs::write(&path, [7; 100]).expect("a file");
    assert_eq!(ConfigFs.read(&path, 33).expect("a file"), [7; 33]);
    drop(root);
    assert_eq!(device.quote(ASKED).expect_err("gone").code(), "quote.tsm_missing");
}
