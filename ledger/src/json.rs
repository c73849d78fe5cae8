//! How byte strings and amounts look in JSON: hex for bytes, decimals for money.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Fixed byte arrays as lower-case hex.
pub(crate) mod hex32 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(input)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(|_| D::Error::custom("expected 64 hex digits"))?;
        Ok(bytes)
    }
}

/// Byte vectors as lower-case hex.
pub(crate) mod hex_vec {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(input)?).map_err(|_| D::Error::custom("expected hex"))
    }
}

/// Lists of byte vectors, each as lower-case hex.
pub(crate) mod hex_vecs {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(list: &[Vec<u8>], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(list.iter().map(hex::encode))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let list = Vec::<String>::deserialize(input)?;
        let bytes = |text: String| hex::decode(text).map_err(|_| D::Error::custom("expected hex"));
        list.into_iter().map(bytes).collect()
    }
}

/// Initial balances: a list of `{ "account": hex, "amount": "5.000000" }`.
pub(crate) mod allocations {
    use super::*;
    use crate::{
        account::AccountId,
        amount::{Amount, format_amount, parse_amount},
    };

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        account: AccountId,
        amount: String,
    }

    pub(crate) fn serialize<S: Serializer>(list: &[(AccountId, Amount)], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(list.iter().map(|(account, amount)| Written {
            account: *account,
            amount: format_amount(*amount),
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Vec<(AccountId, Amount)>, D::Error> {
        let list = Vec::<Written>::deserialize(input)?;
        list.into_iter()
            .map(|item| {
                Ok((
                    item.account,
                    parse_amount(&item.amount).map_err(D::Error::custom)?,
                ))
            })
            .collect()
    }
}
