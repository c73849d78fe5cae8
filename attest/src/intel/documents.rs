//! What Intel says of machines: TCB infos and QE identities of version 3 and 2 of Intel's "Get TCB Info" and "Get QE
//! Identity" interfaces. Only what judges is read; the signature covers the rest.

use core::cmp::Reverse;

use serde::Deserialize;
use x509_cert::der::DateTime;

use crate::facts::{Fmspc, TcbStatus, Tee};

/// The version of TCB infos that this code reads.
const TCB_INFO_VERSION: u8 = 3;

/// The TCB levels of one kind of machine.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TcbInfo {
    id: String,
    version: u8,
    issue_date: String,
    next_update: String,
    fmspc: String,
    pce_id: String,
    tcb_type: u32,
    pub(crate) tcb_evaluation_data_number: u32,
    #[serde(default)]
    pub(crate) tdx_module: Option<TdxModule>,
    #[serde(default)]
    pub(crate) tdx_module_identities: Vec<TdxModuleIdentity>,
    pub(crate) tcb_levels: Vec<TcbLevel>,
}

/// One level.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TcbLevel {
    pub(crate) tcb: Tcb,
    pub(crate) tcb_status: TcbStatus,
    #[serde(default, rename = "advisoryIDs")]
    pub(crate) advisory_ids: Vec<String>,
}

/// The lowest security versions of a level.
#[derive(Deserialize)]
pub(crate) struct Tcb {
    pub(crate) sgxtcbcomponents: [Component; 16],
    pub(crate) pcesvn: u16,
    #[serde(default)]
    pub(crate) tdxtcbcomponents: Option<[Component; 16]>,
}

/// A part of the firmware.
#[derive(Deserialize)]
pub(crate) struct Component {
    pub(crate) svn: u8,
    /// Who brings updates.
    #[serde(default)]
    pub(crate) category: String,
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
}

/// Who signed the TDX module and what it may do.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TdxModule {
    pub(crate) mrsigner: String,
    pub(crate) attributes: String,
    pub(crate) attributes_mask: String,
}

/// The same for one major version of the module, with levels of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TdxModuleIdentity {
    pub(crate) id: String,
    pub(crate) mrsigner: String,
    pub(crate) attributes: String,
    pub(crate) attributes_mask: String,
    pub(crate) tcb_levels: Vec<SvnLevel>,
}

/// A level that is one number.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SvnLevel {
    pub(crate) tcb: Svn,
    pub(crate) tcb_status: TcbStatus,
    #[serde(default, rename = "advisoryIDs")]
    pub(crate) advisory_ids: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Svn {
    pub(crate) isvsvn: u16,
}

/// Which quoting enclave Intel stands for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QeIdentity {
    id: String,
    version: u8,
    issue_date: String,
    next_update: String,
    pub(crate) tcb_evaluation_data_number: u32,
    pub(crate) miscselect: String,
    pub(crate) miscselect_mask: String,
    pub(crate) attributes: String,
    pub(crate) attributes_mask: String,
    pub(crate) mrsigner: String,
    pub(crate) isvprodid: u16,
    pub(crate) tcb_levels: Vec<SvnLevel>,
}

/// First and last second, Unix time, inclusive.
pub(crate) type Window = (u64, u64);

impl TcbInfo {
    pub(crate) fn parse(body: &str) -> Result<Self, &'static str> {
        let mut info: Self =
            serde_json::from_str(body).map_err(|_| "is not a TCB info that this code reads")?;
        if info.version != TCB_INFO_VERSION {
            return Err("is not of version 3");
        }
        if info.tcb_type != 0 {
            return Err("has a TCB type other than 0");
        }
        let tdx = info.tee()? == Tee::Tdx;
        info.window()?;
        info.fmspc()?;
        info.pce_id()?;
        if tdx
            && (info.tdx_module.is_none()
                || info
                    .tcb_levels
                    .iter()
                    .any(|level| level.tcb.tdxtcbcomponents.is_none()))
        {
            return Err("lacks the TDX module or its components");
        }
        // Intel's verifier does not rely on the order either: highest first.
        info.tcb_levels.sort_by_key(|level| Reverse(key(&level.tcb, tdx)));
        Ok(info)
    }

    pub(crate) fn tee(&self) -> Result<Tee, &'static str> {
        match self.id.as_str() {
            "SGX" => Ok(Tee::Sgx),
            "TDX" => Ok(Tee::Tdx),
            _ => Err("is of an unknown TEE"),
        }
    }

    pub(crate) fn fmspc(&self) -> Result<Fmspc, &'static str> {
        hex_field(&self.fmspc).map(Fmspc)
    }

    pub(crate) fn pce_id(&self) -> Result<[u8; 2], &'static str> {
        hex_field(&self.pce_id)
    }

    pub(crate) fn window(&self) -> Result<Window, &'static str> {
        window(&self.issue_date, &self.next_update)
    }
}

impl QeIdentity {
    pub(crate) fn parse(body: &str) -> Result<Self, &'static str> {
        let identity: Self =
            serde_json::from_str(body).map_err(|_| "is not a QE identity that this code reads")?;
        identity.tee()?;
        identity.window()?;
        Ok(identity)
    }

    pub(crate) fn tee(&self) -> Result<Tee, &'static str> {
        match (self.id.as_str(), self.version) {
            ("QE", 2) => Ok(Tee::Sgx),
            ("TD_QE", 2 | 3) => Ok(Tee::Tdx),
            _ => Err("is of an unknown enclave or version"),
        }
    }

    pub(crate) fn window(&self) -> Result<Window, &'static str> {
        window(&self.issue_date, &self.next_update)
    }
}

/// What levels are ordered by.
fn key(tcb: &Tcb, tdx: bool) -> ([u8; 16], u16, [u8; 16]) {
    let svns =
        |components: &[Component; 16]| core::array::from_fn(|i| components.get(i).map_or(0, |c| c.svn));
    let module = tcb.tdxtcbcomponents.as_ref().filter(|_| tdx);
    (
        svns(&tcb.sgxtcbcomponents),
        tcb.pcesvn,
        module.map_or([0; 16], svns),
    )
}

/// Intel writes RFC 3339 in whole seconds of UTC.
fn window(issued: &str, next: &str) -> Result<Window, &'static str> {
    let seconds = |text: &str| {
        text.parse::<DateTime>()
            .map(|date| date.unix_duration().as_secs())
    };
    match (seconds(issued), seconds(next)) {
        (Ok(issued), Ok(next)) if issued <= next => Ok((issued, next)),
        _ => Err("has unreadable dates"),
    }
}

/// Bytes in hex of either case.
pub(crate) fn hex_field<const N: usize>(text: &str) -> Result<[u8; N], &'static str> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| "has an unreadable hex field")?;
    Ok(bytes)
}
