import type { Operation } from './event-type.ts';

const FIRST_SLOTS = 1024;

/**
 * The rows of a table's events in a segment, one slot for each key: a quarter of a million of them must not cost much more
 * than the texts of their keys, so what is known of them stands in typed arrays.
 */
export class KeyIndex {
  readonly #slots = new Map<string | number, number>();
  #size = 0;
  /** Id of the last event. */
  ids = new BigInt64Array(FIRST_SLOTS);
  /** Number of the stage that its line went to. */
  stages = new Int16Array(FIRST_SLOTS);
  /** Where its line stands there. */
  starts = new Int32Array(FIRST_SLOTS);
  /** Operation of the first event: whether the row was there before. */
  firsts = new Uint8Array(FIRST_SLOTS);
  /** Operation of the last event, which the line is of. */
  lasts = new Uint8Array(FIRST_SLOTS);
  /** Whether an insert was among the events: the row is there afterwards. */
  inserts = new Uint8Array(FIRST_SLOTS);

  /** @returns the key's slot; -1 where it is new */
  find(key: string | number): number {
    return this.#slots.get(key) ?? -1;
  }

  /** Makes a slot for a new key, whose first event is this; `undefined`: for this event alone. */
  add(key: string | number | undefined, first: Operation): number {
    const slot = this.#size++;
    if (slot === this.ids.length) this.#grow();
    if (key !== undefined) this.#slots.set(key, slot);
    this.firsts[slot] = first;
    this.inserts[slot] = 0;
    return slot;
  }

  /** Notes the last event of a slot. */
  note(slot: number, id: bigint, operation: Operation, stage: number, start: number): void {
    this.ids[slot] = id;
    this.lasts[slot] = operation;
    if (operation === 0) this.inserts[slot] = 1;
    this.stages[slot] = stage;
    this.starts[slot] = start;
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
    this.lasts = grown(this.lasts, new Uint8Array(size));
    this.inserts = grown(this.inserts, new Uint8Array(size));
  }

  clear(): void {
    this.#slots.clear();
    this.#size = 0;
  }
}
