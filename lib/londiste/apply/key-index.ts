import type { Operation } from './event-type.ts';

const FIRST_SLOTS = 1024;

/**
 * The keys of a table's events in a segment, with the last event of each: half a million of them must not cost much more than
 * their texts, so they stand in typed arrays, by slot.
 */
export class KeyIndex {
  readonly #slots = new Map<string | number, number>();
  /** Id of the last event. */
  ids = new BigInt64Array(FIRST_SLOTS);
  /** Number of the stage that its row went to. */
  stages = new Int16Array(FIRST_SLOTS);
  /** Where its line stands among those that the stage has not sent; -1: it is sent. */
  starts = new Int32Array(FIRST_SLOTS);
  /** Operation of the first event: whether the row was there before. */
  firsts = new Uint8Array(FIRST_SLOTS);
  /** Whether an insert was among the events: the row is there afterwards. */
  inserts = new Uint8Array(FIRST_SLOTS);

  get size(): number {
    return this.#slots.size;
  }

  /** @returns the key's slot; -1 where it is new */
  find(key: string | number): number {
    return this.#slots.get(key) ?? -1;
  }

  /** Makes a slot for a new key, whose first event is this. */
  add(key: string | number, first: Operation): number {
    const slot = this.#slots.size;
    if (slot === this.ids.length) this.#grow();
    this.#slots.set(key, slot);
    this.firsts[slot] = first;
    this.inserts[slot] = 0;
    return slot;
  }

  #grow(): void {
    const grown = <A extends BigInt64Array | Int16Array | Int32Array | Uint8Array>(old: A, larger: A): A => {
      larger.set(old as never);
      return larger;
    };
    const size = this.ids.length * 2;
    this.ids = grown(this.ids, new BigInt64Array(size));
    this.stages = grown(this.stages, new Int16Array(size));
    this.starts = grown(this.starts, new Int32Array(size));
    this.firsts = grown(this.firsts, new Uint8Array(size));
    this.inserts = grown(this.inserts, new Uint8Array(size));
  }

  clear(): void {
    this.#slots.clear();
  }
}
