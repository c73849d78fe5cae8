//! What headers state of execution, against what public data gives.
//!
//! The public root and the receipts root of every height can be computed by everybody. Of the private state everybody
//! knows when it may change at all: by an envelope that opened, and when its keys come to be, at the end of epoch 0. Between
//! two statements without either its root must be the same. The supply never changes.

use std::collections::VecDeque;

use tacit_consensus::{Digest, Executed, Height};

use crate::{amount::Amount, audit::defect::Defect, receipt::chain_receipts};

/// Longest tail of an epoch that is skipped with all its heights, in blocks.
const MAX_TAIL: u64 = 65_536;

/// What the blocks up to one height give.
struct Computed {
    height: Height,
    /// None where the public state is not known.
    public_root: Option<Digest>,
    /// Over the receipts of this block alone.
    block_receipts: Digest,
    /// Whether the private state may have changed here.
    touched: bool,
}

/// See the module.
pub(super) struct Statements {
    supply: Amount,
    /// The newest statement that was checked.
    stated: Executed,
    /// The receipts root below `waiting`; none where the chain's beginning is not here and no header stated it yet.
    receipts: Option<Digest>,
    /// Heights above the newest statement, ascending.
    waiting: VecDeque<Computed>,
    /// The private state has keys from this height on.
    keyed: Option<Height>,
}

impl Statements {
    /// Of a chain from its genesis, whose state is `stated`.
    pub(super) fn genesis(stated: Executed) -> Self {
        Self {
            supply: stated.supply,
            stated,
            receipts: Some(stated.receipts_root),
            waiting: VecDeque::new(),
            keyed: None,
        }
    }

    /// Goes on behind the closing block of an epoch, which stated `stated`, without what lies between the two: by T4 that is
    /// a part of the epoch's tail, in which no envelope stands. With `keys` the private state got its keys there.
    pub(super) fn skip_to(&mut self, closing: Height, stated: Executed, keys: bool) {
        self.stated = stated;
        // Keys that did not come with it were there before.
        self.keyed
            .get_or_insert(if keys { closing } else { stated.height });
        let between = closing.saturating_sub(stated.height);
        // A longer tail cannot be an honest one, and is not worth the memory.
        self.receipts = (between <= MAX_TAIL).then_some(stated.receipts_root);
        let first = closing.saturating_sub(between.min(MAX_TAIL)).saturating_add(1);
        let empty = |height| Computed {
            height,
            public_root: None,
            block_receipts: Digest::ZERO,
            touched: keys && height == closing,
        };
        self.waiting = (first..=closing).map(empty).collect();
    }

    /// The public root after the block that was skipped to.
    pub(super) fn resume(&mut self, closing: Height, public_root: Digest) {
        if let Some(one) = self.waiting.back_mut().filter(|one| one.height == closing) {
            one.public_root = Some(public_root);
        }
    }

    /// The newest statement.
    pub(super) fn stated(&self) -> &Executed {
        &self.stated
    }

    /// Notes what a block gives. `keys`: with it the private state gets its keys.
    pub(super) fn computed(
        &mut self,
        height: Height,
        public_root: Option<Digest>,
        block_receipts: Digest,
        touched: bool,
        keys: bool,
    ) {
        if keys {
            self.keyed.get_or_insert(height);
        }
        self.waiting.push_back(Computed {
            height,
            public_root,
            block_receipts,
            touched: touched || keys,
        });
    }

    /// The receipts root up to the newest block, where it is known.
    pub(super) fn receipts_root(&self) -> Option<Digest> {
        let below = self.receipts?;
        let later = self.waiting.iter();
        Some(later.fold(below, |root, one| chain_receipts(&root, &one.block_receipts)))
    }

    /// Checks what the header of the block above `parent` states.
    pub(super) fn check(&mut self, have: &Executed, parent: Height) -> Result<(), Defect> {
        let (at, min) = (have.height, self.stated.height);
        if at < min || at > parent {
            return Err(Defect::ExecutedHeight {
                have: at,
                min,
                max: parent,
            });
        }
        if have.supply != self.supply {
            return Err(Defect::Supply {
                at,
                have: have.supply,
                need: self.supply,
            });
        }
        if at == min {
            return match *have == self.stated {
                true => Ok(()),
                false => Err(Defect::ExecutedTwice { at }),
            };
        }
        let mut touched = false;
        let mut public_root = None;
        let mut receipts = self.receipts;
        while let Some(one) = self.waiting.front().filter(|one| one.height <= at) {
            touched |= one.touched;
            public_root = one.public_root;
            receipts = receipts.map(|root| chain_receipts(&root, &one.block_receipts));
            self.waiting.pop_front();
        }
        if let Some(need) = public_root.filter(|need| *need != have.public_root) {
            let have = have.public_root;
            return Err(Defect::PublicRoot { at, have, need });
        }
        if let Some(need) = receipts.filter(|need| *need != have.receipts_root) {
            let have = have.receipts_root;
            return Err(Defect::ReceiptsRoot { at, have, need });
        }
        let private = |why| {
            let have = have.private_root;
            Err(Defect::PrivateRoot { at, have, why })
        };
        let keyed = self.keyed.is_some_and(|from| from <= at);
        if !keyed && have.private_root != Digest::ZERO {
            return private("the private state has no keys yet, so it must be zero");
        }
        if keyed && have.private_root == Digest::ZERO {
            return private("the private state has keys, so it cannot be zero");
        }
        if !touched && have.private_root != self.stated.private_root {
            return private("no envelope opened since the statement before, so it must be the same");
        }
        self.stated = *have;
        self.receipts = Some(have.receipts_root);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    fn executed(
        height: Height,
        public_root: Digest,
        private_root: Digest,
        receipts_root: Digest,
    ) -> Executed {
        Executed {
            height,
            public_root,
            private_root,
            receipts_root,
            supply: 7,
        }
    }

    /// Genesis, a closing block at height 1, an empty block 2, an envelope in 3.
    fn statements() -> (Statements, [Digest; 4]) {
        let mut roots = [Digest::ZERO; 4];
        let mut statements = Statements::genesis(executed(0, A, Digest::ZERO, Digest::ZERO));
        for (height, leaf) in [(1, Digest::ZERO), (2, Digest::ZERO), (3, B)] {
            statements.computed(height, Some(A), leaf, height == 3, height == 1);
            roots[height as usize] = statements.receipts_root().unwrap();
        }
        (statements, roots)
    }

    #[test]
    fn every_field_is_checked() {
        let check = |list: &[Executed], parent: Height| {
            let (mut statements, _) = statements();
            let mut verdict = Ok(());
            for one in list {
                verdict = verdict.and_then(|()| statements.check(one, parent));
            }
            verdict.map_err(|defect| defect.code())
        };
        let roots = statements().1;
        let genesis = executed(0, A, Digest::ZERO, Digest::ZERO);
        let one = executed(1, A, B, roots[1]);
        let two = executed(2, A, B, roots[2]);
        let three = executed(3, A, A, roots[3]);
        assert_eq!(check(&[genesis, one, one, two, three], 3), Ok(()));
        assert_eq!(check(&[three], 3), Ok(()), "several heights at once");
        assert_eq!(check(&[three], 2), Err("chain.executed"), "above the parent");
        assert_eq!(check(&[two, one], 3), Err("chain.executed"), "backwards");
        assert_eq!(
            check(&[executed(0, B, Digest::ZERO, Digest::ZERO)], 3),
            Err("chain.executed")
        );
        assert_eq!(check(&[executed(1, B, B, roots[1])], 3), Err("chain.public_root"));
        assert_eq!(
            check(&[executed(1, A, B, roots[2])], 3),
            Err("chain.receipts_root")
        );
        assert_eq!(
            check(&[executed(1, A, Digest::ZERO, roots[1])], 3),
            Err("chain.private_root")
        );
        assert_eq!(
            check(&[one, executed(2, A, A, roots[2])], 3),
            Err("chain.private_root")
        );
        assert_eq!(check(&[Executed { supply: 8, ..one }], 3), Err("chain.supply"));
    }

    #[test]
    fn before_the_first_keys_the_private_root_is_zero() {
        let mut statements = Statements::genesis(executed(0, A, Digest::ZERO, Digest::ZERO));
        statements.computed(1, Some(A), Digest::ZERO, false, false);
        let root = statements.receipts_root().unwrap();
        let stated = executed(1, A, B, root);
        assert_eq!(
            statements.check(&stated, 1).unwrap_err().code(),
            "chain.private_root"
        );
    }

    #[test]
    fn behind_a_pruned_part_the_closing_headers_statement_is_the_ground() {
        let ground = |keys| {
            let mut statements = Statements::genesis(executed(0, A, Digest::ZERO, Digest::ZERO));
            statements.skip_to(9, executed(7, A, A, A), keys);
            statements
        };
        let eight = chain_receipts(&A, &Digest::ZERO);
        let nine = chain_receipts(&eight, &Digest::ZERO);
        let ten = chain_receipts(&nine, &B);
        assert_eq!(ground(false).receipts_root(), Some(nine));
        let check = |keys, list: &[Executed]| {
            let mut statements = ground(keys);
            statements.computed(10, None, B, true, false);
            let all = list.iter().try_for_each(|one| statements.check(one, 10));
            all.map_err(|defect| defect.code())
        };
        let good = [
            executed(8, B, A, eight),
            executed(9, B, A, nine),
            executed(10, A, B, ten),
        ];
        assert_eq!(check(false, &good), Ok(()));
        assert_eq!(check(false, &[executed(10, A, B, ten)]), Ok(()));
        assert_eq!(
            check(false, &[executed(10, A, B, nine)]),
            Err("chain.receipts_root")
        );
        assert_eq!(
            check(false, &[executed(9, A, B, nine)]),
            Err("chain.private_root")
        );
        assert_eq!(
            check(true, &[executed(9, A, B, nine)]),
            Ok(()),
            "keys came with the closing block"
        );
        assert_eq!(check(false, &[executed(7, A, B, A)]), Err("chain.executed"));
        let mut known = ground(false);
        known.resume(9, B);
        let wrong = known.check(&executed(9, A, A, nine), 10).unwrap_err();
        assert_eq!(wrong.code(), "chain.public_root");
        // No honest tail has a million blocks: nothing is concluded from one.
        let mut absurd = Statements::genesis(executed(0, A, Digest::ZERO, Digest::ZERO));
        absurd.skip_to(u64::MAX, executed(7, A, A, A), false);
        assert_eq!(absurd.receipts_root(), None);
    }
}
