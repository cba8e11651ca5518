/** The merges of a BPE model: pair of token ids to rank and merged id, in one open-addressing hash table. */

export class MergeTable {
  /** Left and right id, rank and merged id of each slot; left is -1 where the slot is free. */
  private readonly slots: Int32Array;
  private readonly mask: number;

  /** `capacity`: the greatest number of merges that will be set. */
  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(capacity, 1) * 2));
    this.slots = new Int32Array(size * 4).fill(-1);
    this.mask = size - 1;
  }

  /** Sets rank and result of a pair; a later merge of the same pair replaces the earlier one. */
  set(left: number, right: number, rank: number, merged: number): void {
    const at = this.locate(left, right);
    this.slots[at] = left;
    this.slots[at + 1] = right;
    this.slots[at + 2] = rank;
    this.slots[at + 3] = merged;
  }

  /** Rank of the pair (lower merges first), or -1 when the pair does not merge. */
  rank(left: number, right: number): number {
    return this.slots[this.locate(left, right) + 2]!;
  }

  /** The id a pair merges into; only for pairs that do. */
  merged(left: number, right: number): number {
    return this.slots[this.locate(left, right) + 3]!;
  }

  private locate(left: number, right: number): number {
    const { slots, mask } = this;
    const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    while (true) {
      const found = slots[slot * 4]!;
      if (found === -1 || (found === left && slots[slot * 4 + 1] === right)) return slot * 4;
      slot = (slot + 1) & mask;
    }
  }
}
