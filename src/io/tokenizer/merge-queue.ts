/** A binary min-heap of candidate merges, ordered by rank and then by position. */

const positions = 2 ** 29;

export class MergeQueue {
  private heap = new Float64Array(1024);
  private count = 0;

  push(rank: number, position: number): void {
    if (this.count === this.heap.length) {
      const grown = new Float64Array(this.count * 2);
      grown.set(this.heap);
      this.heap = grown;
    }
    const { heap } = this;
    const key = rank * positions + position;
    let at = this.count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= key) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = key;
  }

  /** Takes the first candidate, or undefined when none is left. */
  pop(): { rank: number; position: number } | undefined {
    if (this.count === 0) return undefined;
    const { heap } = this;
    const top = heap[0]!;
    const last = heap[--this.count]!;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return { rank: Math.floor(top / positions), position: top % positions };
  }
}
