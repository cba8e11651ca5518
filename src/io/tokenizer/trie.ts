/** A trie over UTF-16 code units whose edges live in one open-addressing hash table. */

const noToken = -1;

export class Trie {
  /** Token id that ends at a node, or -1. */
  ids = new Int32Array(1 << 12).fill(noToken);
  private readonly first = new Int32Array(1 << 16);
  private nodes = 1;
  private edges = 0;
  private keys = new Float64Array(1 << 14);
  private children = new Int32Array(1 << 14);

  /** Stores `id` under `token`; a later id for the same token replaces the earlier one. */
  insert(token: string, id: number): void {
    let node = 0;
    for (let i = 0; i < token.length; i++) {
      const unit = token.charCodeAt(i);
      node = this.child(node, unit) || this.addEdge(node, unit);
    }
    this.ids[node] = id;
  }

  /** The node reached from `node` (0 is the root) over `unit`, or 0 when there is none. */
  child(node: number, unit: number): number {
    if (node === 0) return this.first[unit]!;
    const { keys } = this;
    const mask = keys.length - 1;
    const key = node * 65536 + unit;
    let slot = hash(node, unit) & mask;
    while (true) {
      const found = keys[slot]!;
      if (found === key) return this.children[slot]!;
      if (found === 0) return 0;
      slot = (slot + 1) & mask;
    }
  }

  private addEdge(node: number, unit: number): number {
    const child = this.nodes++;
    if (child >= this.ids.length) {
      const grown = new Int32Array(this.ids.length * 2).fill(noToken);
      grown.set(this.ids);
      this.ids = grown;
    }
    if (node === 0) {
      this.first[unit] = child;
    } else {
      if (++this.edges * 2 > this.keys.length) this.rehash();
      this.place(node, unit, child);
    }
    return child;
  }

  private place(node: number, unit: number, child: number): void {
    const mask = this.keys.length - 1;
    let slot = hash(node, unit) & mask;
    while (this.keys[slot] !== 0) slot = (slot + 1) & mask;
    this.keys[slot] = node * 65536 + unit;
    this.children[slot] = child;
  }

  private rehash(): void {
    const { keys, children } = this;
    this.keys = new Float64Array(keys.length * 2);
    this.children = new Int32Array(keys.length * 2);
    for (let slot = 0; slot < keys.length; slot++) {
      const key = keys[slot]!;
      if (key !== 0) this.place(Math.floor(key / 65536), key % 65536, children[slot]!);
    }
  }
}

function hash(node: number, unit: number): number {
  const mixed = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
