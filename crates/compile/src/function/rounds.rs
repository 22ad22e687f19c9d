//! The heads of innermost loops that see to [many rounds](crate::rounds) at once.

use super::{FuncEmitter, OwnLocal, at};
use crate::rounds::{AccessSpan, RoundStep, Rounds, Strided};
use stepmark_core::machine::DIRTY_SHIFT;

impl FuncEmitter<'_> {
    /// Opens what is around a loop that sees to its rounds, if one does: whoever comes here, at first or because so many rounds may be
    /// over as were seen to, sees to more, or leaves before the instruction of this index, the first in the loop.
    pub(crate) fn open_rounds(&mut self, index: u32, rounds: &Rounds) {
        self.open_loop();
        self.compare_gas(index);
        for address in &rounds.addresses {
            self.is_beyond(address);
            self.open_if();
            // Nothing of the round has been charged.
            self.leave_at(index, 0);
            self.close();
        }
        let more = self.own(OwnLocal::Rounds);
        self.sink().i32_const(rounds.most as i32 - 1).local_set(more);
        for address in &rounds.addresses {
            self.bound_rounds(address);
        }
        self.set_floor(index, rounds.cost);
        for address in &rounds.addresses {
            if let Some(stored) = address.stored {
                self.mark_stored(address, stored);
            }
        }
    }

    /// At the head of the loop itself: goes back if so many rounds may be over as were seen to.
    pub(crate) fn compare_rounds(&mut self) {
        let (gas, floor) = (self.gas(), self.own(OwnLocal::Floor));
        self.sink().local_get(gas).local_get(floor).i64_lt_s().br_if(1);
    }

    /// Puts the address on the companion's stack, moved by `moved`.
    fn get_strided(&mut self, address: &Strided, moved: i64) {
        let local = self.local(address.local);
        self.sink().local_get(local);
        if let Some(added) = address.added {
            let added = self.local(added);
            self.sink().local_get(added).i32_add();
        }
        if moved != 0 {
            self.sink().i32_const(moved as i32).i32_add();
        }
    }

    /// Whether something of what is accessed in the round that comes lies outside the memory.
    fn is_beyond(&mut self, address: &Strided) {
        self.get_strided(address, address.accessed.low);
        self.reaches_beyond(address.accessed.bytes());
    }

    /// Bounds the rounds after the one that comes by how far the address, which lies in the memory, may move.
    fn bound_rounds(&mut self, address: &Strided) {
        let (size, more, room) = (self.own(OwnLocal::MemorySize), self.own(OwnLocal::Rounds), self.own(OwnLocal::Room));
        let accessed = address.accessed;
        match address.step {
            RoundStep::Bytes(0) => return,
            RoundStep::Bytes(step) if step < 0 => self.get_strided(address, accessed.low),
            _ => {
                self.sink().local_get(size);
                self.get_strided(address, accessed.high);
                self.sink().i32_sub();
            }
        }
        match address.step {
            RoundStep::Bytes(step) => {
                self.sink().i32_const(step.unsigned_abs() as i32).i32_div_u().local_set(room);
            }
            RoundStep::Local(local) => {
                self.sink().local_set(room);
                if let Some(marked) = address.marked_room() {
                    let most = self.own(OwnLocal::Word);
                    self.sink().i32_const(marked as i32).local_set(most);
                    self.lessen(room, most);
                }
                let step = self.local(local);
                // One that does not move may take as many rounds as one that moves by a byte.
                self.sink().local_get(room).local_get(step).local_get(step).i32_eqz().i32_or();
                self.sink().i32_div_u().local_set(room);
            }
        }
        self.lessen(more, room);
    }

    /// Makes a local the lesser of what it and another one hold.
    fn lessen(&mut self, local: u32, other: u32) {
        self.sink().local_get(local).local_get(other).local_get(local).local_get(other);
        self.sink().i32_lt_u().select().local_set(local);
    }

    /// So many rounds more are seen to, each of which costs so much at least: the limit is above what gas is when they are over, and
    /// not below what a round needs.
    fn set_floor(&mut self, index: u32, cost: i64) {
        let (gas, floor, more) = (self.gas(), self.own(OwnLocal::Floor), self.own(OwnLocal::Rounds));
        let need = self.costs.need(index);
        self.sink().local_get(gas).local_get(more).i64_extend_i32_u().i64_const(cost).i64_mul().i64_sub();
        self.sink().i64_const(cost - 1).i64_sub().local_tee(floor);
        self.sink().i64_const(need).local_get(floor).i64_const(need).i64_gt_s().select().local_set(floor);
    }

    /// Marks the page at which what is stored begins: that stands for those after it too.
    fn mark_stored(&mut self, address: &Strided, stored: AccessSpan) {
        let place = at(self.program.layout.marks);
        self.get_strided(address, stored.low);
        self.sink().i32_const(DIRTY_SHIFT as i32).i32_shr_u().i32_const(1).i32_store8(place);
    }
}
