//! Why a transaction was not applied: one table of stable codes, names and sentences.

use std::{fmt, io};

use borsh::{BorshDeserialize, BorshSerialize};

macro_rules! failure_codes {
    ($($name:ident = $code:literal, $slug:literal, $text:literal;)*) => {
        /// Why a transaction was not applied. Only the sender learns it, from the receipt. Encoded as u16 LE;
        /// codes are stable and never reused. [`Self::charged`] says whether the fee was taken.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum FailureCode {
            $(#[doc = $text] $name = $code,)*
        }

        impl FailureCode {
            /// All codes, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it is encoded.
            pub fn code(self) -> u16 {
                self as u16
            }

            /// The stable name for scripts.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// Back from the encoded code.
            pub fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }

        impl fmt::Display for FailureCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

failure_codes! {
    BadNonce = 1, "bad_nonce", "the nonce is not the account's next one";
    CannotPay = 2, "cannot_pay", "the account cannot pay the fee";
    FeeTooLow = 3, "fee_too_low", "the fee offered is below the charge for this size";
    InsufficientBalance = 16, "insufficient_balance", "the balance does not cover the transfer";
    ZeroAmount = 17, "zero_amount", "an amount of zero moves nothing";
    SelfTransfer = 18, "self_transfer", "sender and recipient are the same account";
    Overflow = 19, "overflow", "a sum would not fit";
    NameInvalid = 32, "name_invalid", "a name has 3 to 32 characters of a-z, 0-9 and -";
    NameTaken = 33, "name_taken", "the name belongs to another account";
    NotOwner = 34, "not_owner", "only the owner may do this";
    AlreadyNamed = 35, "already_named", "the account already has a name";
    NoSuchName = 36, "no_such_name", "nobody owns this name";
    NoSuchRoom = 48, "no_such_room", "there is no such room";
    RoomExists = 49, "room_exists", "a room with this salt exists already";
    NotMember = 50, "not_member", "the account is not a member of the room";
    AlreadyMember = 51, "already_member", "the account is a member already";
    RoomFull = 52, "room_full", "the room has no free seat";
    StaleGeneration = 53, "stale_generation", "the room's key has moved on to a newer generation";
    MembersMismatch = 54, "members_mismatch", "the wrapped keys do not fit the room's members";
    OwnerCannotLeave = 55, "owner_cannot_leave", "the owner cannot leave or be removed";
    NoMailKey = 56, "no_mail_key", "the recipient has published no mail key";
    InvalidKey = 57, "invalid_key", "the published key is no sealing key";
    TooLarge = 64, "too_large", "the content exceeds its bound";
    Empty = 65, "empty", "the content is empty";
}

impl FailureCode {
    /// Whether the fee was charged and the nonce used: false for what is refused before the action runs.
    pub fn charged(self) -> bool {
        !matches!(self, Self::BadNonce | Self::CannotPay | Self::FeeTooLow)
    }
}

impl BorshSerialize for FailureCode {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.code().serialize(writer)
    }
}

impl BorshDeserialize for FailureCode {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let code = u16::deserialize_reader(reader)?;
        Self::from_code(code)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown failure code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    #[test]
    fn codes_and_names_are_unique_and_come_back() {
        let names: std::collections::BTreeSet<_> = FailureCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), FailureCode::ALL.len());
        assert!(FailureCode::ALL.is_sorted());
        for code in FailureCode::ALL {
            assert_eq!(decode::<FailureCode>(&encode(code), 2), Ok(*code));
            assert!(!code.to_string().is_empty());
        }
        assert!(decode::<FailureCode>(&[0, 0], 2).is_err());
        assert!(!FailureCode::BadNonce.charged() && FailureCode::NameTaken.charged());
    }
}
