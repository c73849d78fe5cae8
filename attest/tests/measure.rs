//! Launch digests: the ones that `sev`'s own tests know, and every input that must not lead to one.

use std::fs;
use std::path::{Path, PathBuf};

use tacit_attest::measure::{
    CMDLINE_BYTES_MAX, FIRMWARE_BYTES_MAX, Family, Inputs, KERNEL_BYTES_MAX, MeasureError, VCPU_TYPES,
    VCPUS_MAX, Vmm, family, snp, tdx,
};
use tempfile::TempDir;

const AMDSEV: &[u8] = include_bytes!("fixtures/ovmf-amdsev-suffix.bin");
const X64: &[u8] = include_bytes!("fixtures/ovmf-x64-suffix.bin");
/// From the end of the AmdSev image: its SEV metadata, and each of its sections.
const METADATA: usize = 4096 - 1364;
const SECTIONS: usize = METADATA + 16;
/// The table's end: its footer.
const TABLE_END: usize = 4096 - 50;
/// In the table's last entry, read backwards its first but one: the address where further processors begin.
const RESET_BLOCK: usize = TABLE_END - 22;

struct Build {
    folder: TempDir,
}

impl Build {
    fn new() -> Self {
        let build = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        build.put("amdsev.fd", AMDSEV);
        build.put("x64.fd", X64);
        build.put("empty", b"");
        build
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// As in `sev`'s tests, whose kernel and initrd are empty.
    fn inputs(&self) -> Inputs {
        Inputs {
            firmware: self.path("amdsev.fd"),
            kernel: Some(self.path("empty")),
            initrd: Some(self.path("empty")),
            cmdline: None,
            vcpus: 1,
            vcpu_type: "EPYC-v4".to_owned(),
            guest_features: 1,
            vmm: Vmm::Qemu,
        }
    }

    fn without_kernel(&self, firmware: &str) -> Inputs {
        Inputs {
            firmware: self.path(firmware),
            kernel: None,
            initrd: None,
            ..self.inputs()
        }
    }
}

fn digest(inputs: &Inputs) -> String {
    snp(inputs).expect("a digest").to_string()
}

fn refusal(inputs: &Inputs) -> MeasureError {
    snp(inputs).expect_err("this must not be measured")
}

#[test]
fn the_digests_of_sevs_own_tests_come_out() {
    let build = Build::new();
    let base = build.inputs();
    let cmdline = Some("console=ttyS0 loglevel=7".to_owned());
    let features = |guest_features, inputs: Inputs| Inputs {
        guest_features,
        ..inputs
    };
    let with_cmdline = Inputs {
        cmdline,
        ..base.clone()
    };
    let ec2 = Inputs {
        vmm: Vmm::Ec2,
        ..base.clone()
    };
    let four = Inputs {
        vcpus: 4,
        ..base.clone()
    };
    let bare = build.without_kernel("amdsev.fd");
    let x64 = build.without_kernel("x64.fd");
    for (inputs, need) in [
        (
            features(0x01, base.clone()),
            "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa3852819b5",
        ),
        (
            features(0x21, base),
            "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef198",
        ),
        (
            features(0x01, with_cmdline.clone()),
            "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa",
        ),
        (
            features(0x21, with_cmdline),
            "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe778d0228977",
        ),
        (
            features(0x01, ec2.clone()),
            "7d3756157c805bf6adf617064c8552e8c1688fa1c8756f11cbf56ba5d25c9270fb69c0505c1cbe1c5c66c0e34c6ed3be",
        ),
        (
            features(0x21, ec2),
            "6ae80856486b1396af8c82a40351d6ed76a20c785e9c7fa4ffa27c22d5d6313b4b3b458cd3c9968e6f89fb5d8450d7a6",
        ),
        (
            features(0x01, four.clone()),
            "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046ad5",
        ),
        (
            features(0x21, four),
            "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e2414a631942",
        ),
        (
            features(0x01, bare.clone()),
            "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6db5d6d76e7c5df632d",
        ),
        (
            features(0x21, bare),
            "e1e1ca029dd7973ab9513295be68198472dcd4fc834bd9af9b63f6e8a1674dbf281a9278a4a2ebe0eed9f22adbcd0e2b",
        ),
        (
            features(0x01, x64.clone()),
            "da0296de8193586a5512078dcd719eccecbd87e2b825ad4148c44f665dc87df21e5b49e21523a9ad993afdb6a30b4005",
        ),
        (
            features(0x21, x64),
            "28797ae0afaba4005a81e629acebfb59e6687949d6be44007cd5506823b0dd66f146aaae26ff291eed7b493d8a64c385",
        ),
    ] {
        assert_eq!(digest(&inputs), need, "{inputs:?}");
    }
}

#[test]
fn every_input_counts() {
    let build = Build::new();
    let mut seen = vec![digest(&build.inputs())];
    let other = build.put("other", b"other");
    let changes: [fn(&mut Inputs, &Path); 7] = [
        |inputs, other| inputs.kernel = Some(other.to_path_buf()),
        |inputs, other| inputs.initrd = Some(other.to_path_buf()),
        |inputs, _| inputs.cmdline = Some("x".to_owned()),
        |inputs, _| inputs.vcpus = 2,
        |inputs, _| inputs.vcpu_type = "EPYC-Turin".to_owned(),
        |inputs, _| inputs.guest_features = 0x201,
        |inputs, _| inputs.vmm = Vmm::Krun,
    ];
    for change in changes {
        let mut inputs = build.inputs();
        change(&mut inputs, &other);
        seen.push(digest(&inputs));
    }
    // A byte of the firmware that is neither table nor metadata.
    let mut image = AMDSEV.to_vec();
    image[0] ^= 1;
    let firmware = build.put("patched.fd", &image);
    seen.push(digest(&Inputs {
        firmware,
        ..build.inputs()
    }));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);

    // No initrd and no command line are as empty ones.
    let none = Inputs {
        initrd: None,
        ..build.inputs()
    };
    let empty = Inputs {
        cmdline: Some(String::new()),
        ..build.inputs()
    };
    assert_eq!(digest(&none), digest(&build.inputs()));
    assert_eq!(digest(&empty), digest(&build.inputs()));
}

#[test]
fn a_kernel_needs_firmware_that_measures_it() {
    let build = Build::new();
    let inputs = Inputs {
        firmware: build.path("x64.fd"),
        ..build.inputs()
    };
    let error = refusal(&inputs);
    assert!(matches!(error, MeasureError::NoKernelHashes { .. }), "{error}");
    assert!(error.to_string().contains("x64.fd"), "{error}");
}

#[test]
fn what_would_not_be_measured_is_refused() {
    let build = Build::new();
    let mut inputs = build.without_kernel("amdsev.fd");
    inputs.initrd = Some(build.path("empty"));
    assert!(matches!(
        refusal(&inputs),
        MeasureError::WithoutKernel { what: "an initrd" }
    ));
    let mut inputs = build.without_kernel("amdsev.fd");
    inputs.cmdline = Some("quiet".to_owned());
    assert!(matches!(
        refusal(&inputs),
        MeasureError::WithoutKernel {
            what: "a command line"
        }
    ));
}

#[test]
fn each_wrong_number_or_name_is_refused_by_name() {
    let build = Build::new();
    let with = |change: fn(&mut Inputs)| {
        let mut inputs = build.inputs();
        change(&mut inputs);
        refusal(&inputs)
    };
    assert!(matches!(
        with(|i| i.vcpus = 0),
        MeasureError::VcpuCount {
            have: 0,
            max: VCPUS_MAX
        }
    ));
    assert!(matches!(
        with(|i| i.vcpus = VCPUS_MAX + 1),
        MeasureError::VcpuCount { .. }
    ));
    assert!(matches!(
        with(|i| i.guest_features = 0x20),
        MeasureError::GuestFeatures { have: 0x20 }
    ));
    let error = with(|i| i.vcpu_type = "Xeon".to_owned());
    assert!(matches!(error, MeasureError::VcpuType { .. }), "{error}");
    assert!(error.to_string().contains("EPYC-Genoa"), "{error}");
    for cmdline in [" quiet", "quiet\n", "a\0b"] {
        let inputs = Inputs {
            cmdline: Some(cmdline.to_owned()),
            ..build.inputs()
        };
        assert!(
            matches!(refusal(&inputs), MeasureError::Cmdline { .. }),
            "{cmdline:?}"
        );
    }
    let long = |len| Inputs {
        cmdline: Some("x".repeat(len)),
        ..build.inputs()
    };
    digest(&long(CMDLINE_BYTES_MAX));
    assert!(matches!(
        refusal(&long(CMDLINE_BYTES_MAX + 1)),
        MeasureError::Cmdline { .. }
    ));
    for (text, need) in [("qemu", Vmm::Qemu), ("ec2", Vmm::Ec2), ("krun", Vmm::Krun)] {
        assert_eq!(text.parse::<Vmm>().expect("known"), need);
        assert_eq!(need.to_string(), text);
    }
    assert!("hyper-v".parse::<Vmm>().is_err());
}

#[test]
fn files_are_bounded_before_they_are_read() {
    let build = Build::new();
    // Sparse: its size is what counts, nothing of it may be read.
    let sparse = |name: &str, len| {
        let path = build.put(name, b"");
        fs::File::create(&path)
            .and_then(|file| file.set_len(len))
            .expect("a sparse file");
        path
    };
    let firmware = Inputs {
        firmware: sparse("huge.fd", FIRMWARE_BYTES_MAX + 4096),
        ..build.inputs()
    };
    let kernel = Inputs {
        kernel: Some(sparse("huge", KERNEL_BYTES_MAX + 1)),
        ..build.inputs()
    };
    let initrd = Inputs {
        initrd: Some(sparse("vast", u64::from(u32::MAX))),
        ..build.inputs()
    };
    for (inputs, part) in [(firmware, "firmware"), (kernel, "kernel"), (initrd, "initrd")] {
        match refusal(&inputs) {
            MeasureError::TooLarge { role, .. } => assert_eq!(role, part),
            error => panic!("{part}: {error}"),
        }
    }
    let folder = Inputs {
        kernel: Some(build.folder.path().to_path_buf()),
        ..build.inputs()
    };
    assert!(matches!(refusal(&folder), MeasureError::NotAFile { .. }));
    let device = Inputs {
        kernel: Some("/dev/zero".into()),
        ..build.inputs()
    };
    assert!(matches!(refusal(&device), MeasureError::NotAFile { .. }));
    let absent = Inputs {
        firmware: build.path("absent.fd"),
        ..build.inputs()
    };
    let error = refusal(&absent);
    assert!(
        matches!(error, MeasureError::File { .. }) && error.to_string().contains("absent.fd"),
        "{error}"
    );
}

#[test]
fn broken_firmware_is_refused_with_a_reason_and_never_panics() {
    let build = Build::new();
    let word = |at: usize, value: u32| {
        let mut image = AMDSEV.to_vec();
        image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        image
    };
    let footer_size = |value: u16| {
        let mut image = AMDSEV.to_vec();
        image[TABLE_END..TABLE_END + 2].copy_from_slice(&value.to_le_bytes());
        image
    };
    let section = |number: usize, field: usize, value| word(SECTIONS + 12 * number + 4 * field, value);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "multiple of 4,096"),
        (AMDSEV[..4095].to_vec(), "multiple of 4,096"),
        (vec![0; 4096], "no OVMF image"),
        (footer_size(0), "GUID table is broken"),
        (footer_size(17), "GUID table is broken"),
        (footer_size(0xffff), "GUID table is broken"),
        // The table without its entries: no image says so little of itself.
        (footer_size(18), "no SEV-ES reset block"),
        (word(METADATA, 0), "version 1"),
        (word(METADATA + 4, 0), "reaches beyond"),
        (word(METADATA + 4, u32::MAX), "reaches beyond"),
        (word(METADATA + 4, 99), "another size"),
        (word(METADATA + 8, 2), "version 1"),
        (word(METADATA + 12, 6), "another size"),
        (word(METADATA + 12, 65), "more than 64 sections"),
        (word(METADATA + 12, u32::MAX), "more than 64 sections"),
        (section(0, 0, 0x80_0001), "whole pages"),
        (section(0, 1, 0), "whole pages"),
        (section(0, 1, 0x8001), "whole pages"),
        (section(0, 1, 0xffff_f000), "whole pages"),
        (section(0, 1, 0x0400_1000), "64 MiB"),
        (section(0, 2, 0), "unknown kind"),
        (section(0, 2, 0x101), "unknown kind"),
        (section(5, 1, 0x2000), "kernel's hashes"),
        (section(5, 0, 0x82_0000), "kernel's hashes"),
        (section(6, 2, 0x10), "kernel's hashes"),
    ];
    for (number, (image, need)) in cases.into_iter().enumerate() {
        let firmware = build.put("broken.fd", &image);
        let error = refusal(&Inputs {
            firmware,
            ..build.inputs()
        });
        assert!(
            matches!(error, MeasureError::Firmware { .. }),
            "case {number}: {error}"
        );
        assert!(error.to_string().contains(need), "case {number}: {error}");
    }
}

#[test]
fn one_bit_of_the_tables_changes_the_digest_or_is_refused_and_never_panics() {
    let build = Build::new();
    let plain = digest(&build.inputs());
    let metadata = METADATA..SECTIONS + 7 * 12;
    let table = TABLE_END - 118..4096;
    for at in metadata.chain(table) {
        for bit in 0..8 {
            let mut image = AMDSEV.to_vec();
            image[at] ^= 1 << bit;
            let firmware = build.put("flipped.fd", &image);
            let result = snp(&Inputs {
                firmware,
                ..build.inputs()
            });
            if let Ok(measurement) = result {
                assert_ne!(measurement.to_string(), plain, "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn firmware_without_a_reset_address_starts_one_vcpu_only() {
    let build = Build::new();
    let block = RESET_BLOCK..RESET_BLOCK + 4;
    assert_eq!(
        AMDSEV[block.clone()],
        [0x04, 0xb0, 0x80, 0x00],
        "the reset address"
    );
    let mut image = AMDSEV.to_vec();
    image[block].fill(0);
    let inputs = |vcpus| Inputs {
        firmware: build.put("one.fd", &image),
        vcpus,
        ..build.inputs()
    };
    digest(&inputs(1));
    assert!(matches!(refusal(&inputs(2)), MeasureError::OneProcessor { .. }));
}

#[test]
fn a_release_has_a_family_that_is_published_as_json() {
    let build = Build::new();
    let types = ["EPYC-Genoa", "epyc-genoa-v1", "EPYC-v4"].map(str::to_owned);
    let inputs = Inputs {
        cmdline: Some("console=ttyS0".to_owned()),
        ..build.inputs()
    };
    let family = family(&inputs, &[1, 4], &types).expect("a family");
    assert_eq!(family.members.len(), 6);
    for member in &family.members {
        let one = Inputs {
            vcpus: member.vcpus,
            vcpu_type: member.vcpu_type.clone(),
            ..inputs.clone()
        };
        assert_eq!(snp(&one).expect("a digest"), member.measurement);
    }
    // The two Genoa types are one CPU.
    assert_eq!(family.members[0].measurement, family.members[1].measurement);
    assert_eq!(family.measurements().len(), 4);
    assert_eq!(family.firmware.bytes, 4096);
    assert_eq!(
        family.firmware.sha256,
        "8f765dfabc127fc0a938a0744a3103ec15864d7d794eb4c398aa976b6d6ab16c"
    );
    assert_eq!(family.kernel.as_ref().map(|file| file.bytes), Some(0));

    let json = serde_json::to_string(&family).expect("JSON");
    assert_eq!(serde_json::from_str::<Family>(&json).expect("a family"), family);
    assert!(
        !json.contains(&build.folder.path().display().to_string()),
        "no path of this machine is published"
    );
    let text = serde_json::to_string(&inputs).expect("JSON");
    assert_eq!(serde_json::from_str::<Inputs>(&text).expect("inputs"), inputs);
}

#[test]
fn a_family_is_as_large_as_a_policy_can_name() {
    let build = Build::new();
    let types = VCPU_TYPES.map(str::to_owned);
    for (vcpus, types) in [
        (&[][..], &types[..]),
        (&[1][..], &[][..]),
        (&[1; 15][..], &types[..]),
        (&[1; 257][..], &types[..1]),
    ] {
        let error = family(&build.inputs(), vcpus, types).expect_err("refused");
        assert!(matches!(error, MeasureError::FamilySize { .. }), "{error}");
    }
    // Every name that is offered is known; each counts once a CPU model.
    let all = family(&build.inputs(), &[1], &types).expect("a family");
    assert_eq!(
        all.members
            .iter()
            .map(|m| m.vcpu_type.as_str())
            .collect::<Vec<_>>(),
        VCPU_TYPES
    );
    assert_eq!(all.measurements().len(), 5);
}

fn numbered(first: u8) -> [u8; 48] {
    core::array::from_fn(|at| first.wrapping_add(at as u8))
}

#[test]
fn the_measurement_of_a_trust_domain_is_pinned() {
    // sha384("tacit 2026 tdx measurement" + eight runs of 48 consecutive bytes from 16, 32, .. 128).
    let pinned =
        "3718621c39009c83f0e40955d46b49360f16fdedcdbd8e963e0294a03a01864c4a692617618b990bd8e568467f40eca4";
    let measured = tdx(
        numbered(16),
        [numbered(32), numbered(48), numbered(64), numbered(80)],
        numbered(96),
        numbered(112),
        numbered(128),
    );
    assert_eq!(measured.to_string(), pinned);
}

#[test]
fn every_register_counts_and_so_does_its_place() {
    let base = [[0; 48]; 8];
    let digest = |r: &[[u8; 48]; 8]| tdx(r[0], [r[1], r[2], r[3], r[4]], r[5], r[6], r[7]);
    let mut seen = vec![digest(&base)];
    for at in 0..8 {
        let mut changed = base;
        changed[at][47] = 1;
        seen.push(digest(&changed));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 9);
}
